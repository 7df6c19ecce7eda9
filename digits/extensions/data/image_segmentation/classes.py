"""Which classes there are and how masks name them: from a labels file, a colour map, a known label set, the masks themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digits.domain.datasets import IGNORED
from digits.errors import DataError, LoadImageError
from digits.extensions.data.classification.lists import read_labels, read_lines
from digits.extensions.data.image_segmentation.label_sets import LABEL_SETS, Colour
from digits.extensions.data.image_segmentation.masks import MOST_CLASSES, MaskRules, colour_code, read_palette, read_values
from digits.extensions.data.images.findings import Findings
from digits.utils.values import is_digits

VOID_COLOUR = (255, 255, 255)
BINARY_NAMES = ("background", "object")


@dataclass(frozen=True)
class Classes:
    """Class names, the rules to read masks with, and 768 numbers of colours (empty: to be chosen)."""

    labels: list[str]
    rules: MaskRules
    palette: list[int]


def of_label_set(name: str, masks: Sequence[str]) -> Classes:
    """The classes of a known label set; whether by value or by colour is seen from the first mask that can be read."""
    known = LABEL_SETS[name]
    values = {**dict.fromkeys(known.void, IGNORED), **{value: i for i, value in enumerate(known.values)}}
    colours = {colour_code(c): IGNORED for c in known.void_colours}
    colours |= {colour_code(c): i for i, c in enumerate(known.colours)}
    rules = MaskRules(values, colours, by_colour=_are_coloured(masks), unknown_void=False)
    return Classes(list(known.names), rules, palette_of(known.colours))


def of_colour_map(file: str, labels_file: str, void: Sequence[str], unknown_void: bool) -> Classes:
    """The classes of a text file with `R G B` and perhaps a name on each line. Raises DataError with file and line."""
    rows = read_colour_map(file)
    named = read_labels(Path(labels_file)) if labels_file else []
    if named and len(named) != len(rows):
        raise DataError(
            f"{file} has {len(rows)} colours, {labels_file} names {len(named)} classes.",
            advice="Give each class one line in both files, in the same order.",
        )
    names = named or [name or str(number) for number, (_, name) in enumerate(rows)]
    numbers, labels = _numbered(names, void)
    colours = {colour_code(colour): number for (colour, _), number in reversed(list(zip(rows, numbers, strict=True)))}
    kept = [colour for (colour, _), number in zip(rows, numbers, strict=True) if number != IGNORED]
    _check_number(labels, file)
    return Classes(labels, MaskRules({}, colours, True, unknown_void), palette_of(kept))


def of_masks(masks: Sequence[str], labels_file: str, void: Sequence[str], unknown_void: bool, findings: Findings) -> Classes:
    """The classes of index and palette masks: named by a labels file, else those that occur."""
    names = read_labels(Path(labels_file)) if labels_file else []
    looked_at = masks if not names else _spread(masks, 200)
    found = _values_in(looked_at)
    void_values = {int(word) for word in void if is_digits(word)}
    if len(found) == 2 and found <= {0, 255, 65535} and len(names) in (0, 2):
        return _binary(names, max(found))
    if names:
        numbers, labels = _numbered(names, void)
        values = dict(enumerate(numbers))
    else:
        counted = sorted(found - void_values)
        values, labels = _of_values(counted)
    values |= dict.fromkeys(void_values, IGNORED)
    _check_number(labels, labels_file or "The masks")
    return Classes(labels, MaskRules(values, {}, False, unknown_void), _kept_palette(looked_at, values, findings))


def read_colour_map(file: str) -> list[tuple[Colour, str]]:
    """Colours and names (empty where there is none) of a colour map file. Raises DataError."""
    rows: list[tuple[Colour, str]] = []
    for number, line in enumerate(read_lines(Path(file)), start=1):
        words = line.replace(",", " ").split(maxsplit=3)
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 3 or not all(is_digits(word) and int(word) < 256 for word in words[:3]):
            raise DataError(
                f"{file}, line {number}: {line.strip()[:80]!r} is no colour.",
                advice="Write one class a line: red, green and blue from 0 to 255, and the class name if you like.",
            )
        colour = (int(words[0]), int(words[1]), int(words[2]))
        _check_new(rows, colour, file, number)
        rows.append((colour, words[3].strip() if len(words) > 3 else ""))
    if not rows:
        raise DataError(f"{file} has no colours.", advice="Write one class a line: red, green and blue from 0 to 255.")
    return rows


def palette_of(colours: Sequence[Colour]) -> list[int]:
    """768 numbers: the colours of the classes, black for other numbers, white for void."""
    flat = [value for colour in colours for value in colour]
    return (flat + [0] * 768)[: 3 * IGNORED] + list(VOID_COLOUR)


def _check_new(rows: list[tuple[Colour, str]], colour: Colour, file: str, number: int) -> None:
    if any(colour == known for known, _ in rows):
        raise DataError(f"{file}, line {number}: the colour {colour} stands twice.", advice="Give each class its own.")


def _numbered(names: Sequence[str], void: Sequence[str]) -> tuple[list[int], list[str]]:
    """The class number of each name (IGNORED for those that do not count) and the names that count."""
    left_out = {word.lower() for word in void}
    numbers: list[int] = []
    labels: list[str] = []
    for index, name in enumerate(names):
        if name.lower() in left_out or str(index) in left_out:
            numbers.append(IGNORED)
        else:
            numbers.append(len(labels))
            labels.append(name)
    return numbers, labels


def _of_values(found: list[int]) -> tuple[dict[int, int], list[str]]:
    """Classes of masks without names: 0 to the greatest value, or only the values that occur where they lie far apart."""
    if found and found[-1] >= max(2 * len(found), len(found) + 16):
        return {value: number for number, value in enumerate(found)}, [str(value) for value in found]
    count = found[-1] + 1 if found else 0
    return {value: value for value in range(count)}, [str(value) for value in range(count)]


def _binary(names: list[str], high: int) -> Classes:
    labels = names or list(BINARY_NAMES)
    return Classes(labels, MaskRules({0: 0, high: 1}), palette_of([(0, 0, 0), (255, 0, 0)]))


def _check_number(labels: list[str], where: str) -> None:
    if len(labels) < 2:
        raise DataError(f"{where}: {len(labels)} class that counts; segmentation needs two.", advice="Background is a class too.")
    if len(labels) > MOST_CLASSES:
        raise DataError(f"{where}: {len(labels)} classes; at most {MOST_CLASSES} are possible.", advice="Join some of them.")


def _values_in(masks: Sequence[str]) -> set[int]:
    """All values that occur; masks that cannot be read are reported when they are encoded. Raises DataError if none can."""
    found: set[int] = set()
    failed: list[str] = []
    for path in masks:
        try:
            found |= {int(value) for value in np.unique(read_values(path))}
        except LoadImageError as error:
            failed.append(str(error))
    if not found:
        raise DataError(f"None of the masks can be read. {failed[0] if failed else ''}", advice="" if failed else "Give masks.")
    return found


def _kept_palette(masks: Sequence[str], values: dict[int, int], findings: Findings) -> list[int]:
    """The palette of the masks, in the order of the classes; empty where they have none."""
    first: list[int] = []
    first_path = ""
    for path in masks:
        palette = read_palette(path)
        if palette and not first:
            first, first_path = palette, path
        elif palette and palette != first:
            reason = f"Its palette differs from that of {first_path}: check that its numbers mean the same classes."
            findings.add("mask", reason, path)
    if not first:
        return []
    colours = {number: tuple(first[3 * value : 3 * value + 3]) for value, number in values.items() if value < 256}
    return palette_of([colours.get(number, (0, 0, 0)) for number in range(max(set(colours) - {IGNORED}, default=0) + 1)])  # type: ignore[misc]


def _are_coloured(masks: Sequence[str]) -> bool:
    for path in masks[:20]:
        try:
            read_values(path)
            return False
        except LoadImageError as error:
            if "colours" in error.message:
                return True
    return False


def _spread(items: Sequence[str], count: int) -> list[str]:
    rows = np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).astype(int))
    return [items[int(row)] for row in rows]
