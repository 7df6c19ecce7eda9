"""The palettes of masks: whether numbers or colours are the classes where files give one number different colours.

Where a colour stands at several numbers, the files have the colours in common: programs renumber palettes when they save, so
colours count. Where each colour has one number, only the paint may differ, or the classes do: nothing tells. Numbers then count
where a file names them, or where no palette is that of most masks; else the masks that differ from most are left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from PIL import Image

from digits.extensions.data.image_segmentation.masks import BY_PALETTE, MaskRules, colour_code
from digits.extensions.data.images.findings import Findings
from digits.utils.confinement import open_file
from digits.utils.values import counted

Used = tuple[tuple[int, int], ...]  # the numbers that a mask has, with the colours of its palette
ADVICE = "A file of class labels says that the numbers count, a colour map that the colours do."


@dataclass
class Palettes:
    """What was seen: the masks by what they use of their palettes, marks (hashes) of the whole palettes, and the values of masks
    that have none. Properties are known from all of them, so they are asked for when nothing more is added."""

    masks: dict[Used, list[str]] = field(default_factory=lambda: defaultdict(list))
    whole: set[int] = field(default_factory=set)
    plain: set[int] = field(default_factory=set)

    def add(self, path: str, values: Sequence[int], palette: tuple[int, ...]) -> None:
        """Take in a mask with these values."""
        if not palette or max(values, default=0) >= len(palette) // 3:
            self.plain.update(values)
            return
        self.whole.add(hash(palette))
        used = tuple(
            (value, colour_code((palette[3 * value], palette[3 * value + 1], palette[3 * value + 2]))) for value in values
        )
        self.masks[used].append(path)

    @cached_property
    def of_most(self) -> dict[int, int]:
        """The colour of each number, as most masks say."""
        return {value: votes.most_common(1)[0][0] for value, votes in sorted(self._votes(0).items())}

    @cached_property
    def numbers(self) -> dict[int, int]:
        """The number of each colour, as most masks say."""
        return {colour: votes.most_common(1)[0][0] for colour, votes in sorted(self._votes(1).items())}

    @cached_property
    def differing(self) -> list[str]:
        """Masks that have another colour at a number than most."""
        return [
            path for used, paths in self.masks.items() if any(self.of_most[value] != one for value, one in used) for path in paths
        ]

    @property
    def like_most(self) -> str:
        """A mask that is as most."""
        others = set(self.differing)
        return next((path for paths in self.masks.values() for path in paths if path not in others), "most masks")

    @property
    def tells_apart(self) -> bool:
        """Whether the numbers of each mask have different colours."""
        return all(len({colour for _, colour in used}) == len(used) for used in self.masks)

    @cached_property
    def colours_count(self) -> bool:
        """Whether colours are the classes, and numbers are not."""
        moved = any(len(votes) > 1 for votes in self._votes(1).values())
        return bool(self.differing) and self.tells_apart and moved

    @property
    def is_numbered(self) -> bool:
        """Whether most masks with a colour give it the same number, which no other has."""
        clear = all(2 * max(votes.values()) > votes.total() for votes in self._votes(1).values())
        return clear and len(set(self.numbers.values())) == len(self.numbers)

    def _votes(self, key: int) -> dict[int, Counter[int]]:
        """How many masks have a colour at a number: colours by numbers (`key` 0), or numbers by colours (1)."""
        votes: dict[int, Counter[int]] = defaultdict(Counter)
        for used, paths in self.masks.items():
            for pair in used:
                votes[pair[key]][pair[1 - key]] += len(paths)
        return votes


def with_palettes(rules: MaskRules, found: Palettes, is_named: bool, findings: Findings) -> MaskRules:
    """The rules for masks of which some differ in their palettes; what becomes of these is said. `is_named`: a file says what the
    numbers mean."""
    if not found.differing:
        return rules
    count, like = counted(len(found.differing), "palette mask"), found.like_most
    verb = "gives" if len(found.differing) == 1 else "give"
    differ = f"{count} {verb} numbers other colours than {like}, e.g. {found.differing[0]}"
    if found.colours_count:
        colours = {colour: rules.values[value] for colour, value in found.numbers.items() if value in rules.values}
        reason = f"{differ}, and these colours stand at other numbers there: masks are read by the colours of their palettes."
        findings.add("mask", reason, found.differing[0])
        return replace(rules, colours=colours, by_palette=BY_PALETTE)
    is_clear = 2 * len(found.differing) < sum(map(len, found.masks.values()))
    if is_named or not is_clear or not found.tells_apart:
        for path in found.differing:
            reason = f"Its palette differs from that of {like}: check that its numbers mean the same classes."
            findings.add("mask", reason, path)
        return rules
    colours = {colour: rules.values[value] for value, colour in found.of_most.items() if value in rules.values}
    findings.add("mask", f"{differ}: whether they mean the same classes, nothing tells; such masks are left out. {ADVICE}", like)
    return replace(rules, colours=colours, by_palette=BY_PALETTE)


def unlike(paths: Sequence[str], known: set[int]) -> list[str]:
    """Those of some masks that have another palette than the known ones (their marks), by their headers."""
    return [path for path in paths if (palette := _palette_of(path)) and hash(palette) not in known]


def _palette_of(path: str) -> tuple[int, ...]:
    try:
        with open_file(path) as file, Image.open(file) as image:
            if image.mode != "P" or image.palette is None:
                return ()
            return tuple([*image.palette.palette, *[0] * 768][:768])
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return ()  # left to the encoder to list
