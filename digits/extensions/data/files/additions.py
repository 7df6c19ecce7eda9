"""What the names of labels have besides the names of their pictures: a pattern says it (`*_1stHO`), or what the names share.

A star stands for the picture's name. `*_training = *_manual1`: the names of the pictures have an addition too, and the stars
stand for the same, one after the other where there are several (`*_NOISY_* = *_GT_*`). Names may begin with their folders:
`blur/* = sharp/*` pairs `a/blur/1.png` with `a/sharp/1.png`.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from digits.errors import DataError
from digits.extensions.data.files.names import last_parts, plain, stem, without_ending
from digits.extensions.data.files.pairs import Pairs, match

LOOKED_AT = 500  # labels from whose names an addition is seen
LONGEST = 80  # characters of a name that are looked at
SHARE = 0.5  # of the pictures must have a label with the addition
ADVICE = (
    "Write a star for the picture's name, e.g. *_1stHO, or *_training = *_manual1 where pictures have an addition too. Both "
    "sides have as many stars, and as many folders (blur/* = sharp/*)."
)


@dataclass(frozen=True)
class Addition:
    """What stands before and behind a name, and `between` its parts. All of it may hold `/`, the names of folders then count."""

    before: str = ""
    behind: str = ""
    between: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "*".join((self.before, *self.between, self.behind))

    @cached_property
    def folders(self) -> int:
        """How many folders it names."""
        return str(self).count("/")

    def core(self, name: str) -> str:
        """What the star stands for in a name without its ending; empty where it has not the addition. With several stars, what
        they stand for, joined by stars."""
        if self.between or self.folders:
            found = self._expression.fullmatch(name)
            return "*".join(found.groups()) if found else ""
        fits = name.startswith(self.before) and name.endswith(self.behind) and len(name) > len(self.before + self.behind)
        return name[len(self.before) : len(name) - len(self.behind)] if fits else ""

    def core_of(self, path: str) -> str:
        """The same of the end of a path, with as many folders as it names."""
        return self.core(stem(last_parts(path, self.folders + 1)))

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile("([^/]+)".join(map(re.escape, (self.before, *self.between, self.behind))), re.DOTALL)


@dataclass(frozen=True)
class Naming:
    """How pictures and their labels are named."""

    picture: Addition
    label: Addition

    def __str__(self) -> str:
        return str(self.label) if self.picture == Addition() else f"{self.picture} = {self.label}"

    def divided(self, paths: Sequence[str]) -> tuple[list[str], list[str]]:
        """Files of one folder as pictures and labels."""
        labels = [path for path in paths if self.label.core_of(path)]
        if self.label == Addition():  # `*x2 = *`: all names are of its form
            labels = [path for path in labels if not self.picture.core_of(path)]
        others = set(labels)
        return [path for path in paths if path not in others and self.picture.core_of(path)], labels

    def match(self, root: str, pictures: Sequence[str], label_root: str, labels: Sequence[str]) -> Pairs:
        """Pair files whose names are so, by the rule of all names (`files/pairs.py`); others are left over. Where that pairs
        none, the folders of both sides have nothing to do with each other, and names that each side has once are pairs."""
        by_picture, by_label = _renamed(pictures, self.picture), _renamed(labels, self.label)
        found = match(root, list(by_picture), label_root, list(by_label))
        renamed = found.pairs or _of_unique_names(found.unpaired_features, found.unpaired_labels)
        pairs = {by_picture[picture]: by_label[label] for picture, label in renamed}
        unclear = [(by_picture[path], reason) for path, reason in found.unclear]
        taken = {*pairs, *pairs.values(), *(path for path, _ in unclear)}
        return Pairs(
            [(path, pairs[path]) for path in pictures if path in pairs],
            [path for path in pictures if path not in taken],
            [by_label[path] for path in found.unpaired_labels if by_label[path] not in taken],
            unclear,
        )


def naming_of(pattern: str) -> Naming:
    """The naming that a pattern says. Raises DataError."""
    picture, equals, label = pattern.rpartition("=")
    sides = [side.strip() for side in ((picture, label) if equals else ("*", label))]
    alike = all(sides[0].count(mark) == sides[1].count(mark) for mark in "*/")
    parts = [part for side in sides for part in side.split("/")]
    if not alike or "*" not in sides[1] or sides[0] == sides[1] or not all(parts) or any("**" in part for part in parts):
        raise DataError(f"The pattern {pattern!r} of names cannot be understood.", advice=ADVICE)
    return Naming(_addition(sides[0]), _addition(sides[1]))


def _addition(pattern: str) -> Addition:
    before, *between, behind = map(plain, pattern.split("*"))
    return Addition(before, behind, tuple(between))


def namings_of(pictures: Sequence[str], labels: Sequence[str]) -> list[Naming]:
    """How most pictures and labels are named, the first with most pictures; several where pictures have several labels."""
    names = [name_of(path) for path in pictures]
    step = max(1, len(labels) // LOOKED_AT)
    looked_at = [name_of(path) for path in labels[::step]]
    for own in _shared(names):
        cores = {core for name in names if (core := own.core(name))}
        found: dict[Addition, set[str]] = defaultdict(set)
        for name in looked_at:
            for core, addition in _around(name, cores):
                found[addition].add(core)
        least = max(2.0, SHARE * min(len(cores), len(looked_at)))
        fitting = sorted((addition for addition in found if len(found[addition]) >= least), key=lambda a: -len(found[a]))
        if fitting:
            return [Naming(own, addition) for addition in fitting]
    return []


def are_labels(paths: Sequence[str]) -> list[str]:
    """Those files of one folder whose names are the names of others with something added."""
    names = {path: name_of(path) for path in paths}
    cores = set(names.values())
    return [path for path, name in names.items() if any(_around(name, cores))]


def name_of(path: str) -> str:
    """The file's own name without its ending."""
    return without_ending(plain(os.path.basename(path)))


def _of_unique_names(pictures: Sequence[str], labels: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of files whose name is that of one picture and of one label, wherever they lie."""
    first, second = _by_name(pictures), _by_name(labels)
    return [(paths[0], second[name][0]) for name, paths in first.items() if len(paths) == len(second.get(name, ())) == 1]


def _by_name(paths: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        found[name_of(path)].append(path)
    return found


def _shared(names: Sequence[str]) -> Iterator[Addition]:
    """What all names may have in common besides what tells them apart: nothing, an end, a beginning, both."""
    yield Addition()
    if len(names) < 2:
        return
    before = os.path.commonprefix(list(names)).rstrip("0123456789")
    behind = os.path.commonprefix([name[len(before) :][::-1] for name in names])[::-1].lstrip("0123456789")
    for addition in (Addition("", behind), Addition(before, ""), Addition(before, behind)):
        if addition != Addition():
            yield addition


def _around(name: str, cores: set[str]) -> Iterator[tuple[str, Addition]]:
    """The longest core within a name, with what is around it; digits and letters are not torn apart."""
    name = name[:LONGEST]
    for length in sorted({len(core) for core in cores} & set(range(1, len(name))), reverse=True):
        for start in range(len(name) - length + 1):
            core = name[start : start + length]
            if core in cores and _is_border(name, start) and _is_border(name, start + length):
                yield core, Addition(name[:start], name[start + length :])
                return


def _is_border(name: str, place: int) -> bool:
    if place in (0, len(name)):
        return True
    before, behind = name[place - 1], name[place]
    return not ((before.isdigit() and behind.isdigit()) or (before.isalpha() and behind.isalpha()))


def _renamed(paths: Sequence[str], addition: Addition) -> dict[str, str]:
    """Files under the names that they would have without the addition; those without it are left out."""
    found: dict[str, str] = {}
    for path in paths:
        end = last_parts(path, addition.folders + 1)
        if core := addition.core_of(path):
            folder, name = path[: len(path) - len(end)], plain(end)
            found.setdefault(folder + core + name[len(without_ending(name)) :], path)
    return found
