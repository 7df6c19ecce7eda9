"""Class names of boxes: those that occur, or the ones of a list that may also join several under one name.

Files that tell classes apart by a number (COCO, YOLO) may have `Pt` and `PT`, which stay two classes. Where the name is all
there is (KITTI, VOC, CSV, …), spellings that differ in capitals only are one class, which is said; a list that names both keeps
them apart.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from digits.errors import DataError
from digits.extensions.data.files.tables import number_of
from digits.extensions.data.image_object_detection.boxes import Annotated, RawBox, Reading, is_dont_care, plain_class
from digits.extensions.data.images.findings import Findings
from digits.utils.values import counted, is_digits

NONE = -1
FAULTS = ("annotation", "box", "unknown-class")  # kinds of problems that take objects away
Spellings = dict[str, set[str]]


@dataclass(frozen=True)
class ClassMap:
    """`labels` in order. `numbers` maps a name of the files to its class, `folded` a lower-case name where that is clear."""

    labels: list[str]
    numbers: dict[str, int]
    folded: dict[str, int]

    def number(self, box: RawBox) -> int:
        """The class of a box; -1 where it does not count."""
        return self.numbers.get(box.name, self.folded.get(box.name.lower(), NONE))

    def knows(self, box: RawBox) -> bool:
        return box.name in self.numbers or box.name.lower() in self.folded


def class_map(wanted: str, readings: Mapping[str, Reading], findings: Findings) -> ClassMap:
    """The classes of a list (`car, van=car, person`), or all that the files declare and use. Raises DataError."""
    apart = _told_apart(readings.values())
    classes = _listed(wanted, apart) if wanted.strip() else _found(readings.values(), apart)
    if not classes.labels:
        raise DataError(
            f"The files name no class.{findings.first_of(FAULTS)}",
            advice="Give the classes in the form, and check that the label folder has annotations.",
        )
    _report_joined(classes, readings, findings)
    _report_unknown(classes, readings, findings)
    return classes


def _listed(text: str, apart: Spellings) -> ClassMap:
    """A name that stands alone is a class of its own, as spelled; the target of `van=car` is the class that spells alike."""
    labels: list[str] = []
    targets: set[str] = set()
    numbers: dict[str, int] = {}
    for part in text.split(","):
        name, _, target = map(plain_class, part.partition("="))
        if not name:
            continue
        if is_dont_care(target or name):
            numbers[name] = NONE
            continue
        alike = [label for label in labels if label.lower() == (target or name).lower()]
        label = target or name
        if label not in labels and alike and (target or alike[0] in targets):
            label = alike[0]
        if label not in labels:
            labels.append(label)
            targets |= {label} if target else set()
        numbers[name] = labels.index(label)
    return ClassMap(labels, numbers, _folded(numbers, apart))


def _found(readings: Iterable[Reading], apart: Spellings) -> ClassMap:
    """Names that a format declares keep their order; others follow by the alphabet."""
    readings = list(readings)
    declared = list(dict.fromkeys(name for reading in readings for name in reading.declared))
    used = {box.name for reading in readings for box, _ in _boxes(reading) if not box.does_not_count}
    labels: list[str] = []
    numbers: dict[str, int] = {}
    first: dict[str, int] = {}
    for name in declared + sorted(used - set(declared), key=_order):
        lowered = name.lower()
        if is_dont_care(name):
            continue
        if lowered in first and lowered not in apart:
            numbers[name] = first[lowered]
            continue
        numbers[name] = first[lowered] = len(labels)
        labels.append(name)
    return ClassMap(labels, numbers, _folded(numbers, apart))


def _folded(numbers: Mapping[str, int], apart: Spellings) -> dict[str, int]:
    """Lower-case names that stand for one class only; where the files tell spellings apart, one that is named is no other."""
    meant: dict[str, set[int]] = defaultdict(set)
    for name, number in numbers.items():
        meant[name.lower()].add(number)
    plain = {lowered: next(iter(found)) for lowered, found in meant.items() if len(found) == 1}
    return {lowered: number for lowered, number in plain.items() if not apart.get(lowered, set()) & numbers.keys()}


def _told_apart(readings: Iterable[Reading]) -> Spellings:
    """Lower-case names that stand for several classes, which the files tell apart by their numbers, with their spellings."""
    spelled: dict[str, set[str]] = defaultdict(set)
    for reading in readings:
        for name in reading.declared if reading.by_id else ():
            spelled[name.lower()].add(name)
    return {lowered: names for lowered, names in spelled.items() if len(names) > 1}


def _order(name: str) -> tuple[int, str]:
    """Numbers by their value, then words by the alphabet."""
    return (int(name), "") if is_digits(name) else (sys.maxsize, name)


def _boxes(reading: Reading) -> Iterator[tuple[RawBox, Annotated]]:
    return ((box, item) for item in reading.pictures for box in item.boxes)


def _report_joined(classes: ClassMap, readings: Mapping[str, Reading], findings: Findings) -> None:
    """One finding for each class whose name the files spell in several ways."""
    spelled: dict[int, Counter[str]] = defaultdict(Counter)
    for reading in readings.values():
        for box, _ in _boxes(reading):
            spelled[classes.number(box)][box.name] += 1
    _report_numbers({name for names in spelled.values() for name in names}, findings)
    for number, names in spelled.items():
        for lowered in {name.lower() for name in names} if number != NONE else ():
            same = [
                f"{name!r} ({counted(count, 'box', 'boxes')})" for name, count in names.most_common() if name.lower() == lowered
            ]
            if len(same) > 1:
                reason = f"{' and '.join(same)} differ in capitals only: one class. List both as classes to keep both."
                findings.add("class-names", reason, classes.labels[number])


def _report_numbers(names: Iterable[str], findings: Findings) -> None:
    """One finding for each number that is written in several ways, `1` and `1.0`, which are several classes."""
    written: dict[float, list[str]] = defaultdict(list)
    for name in sorted(names):
        if (number := number_of(name)) is not None:
            written[number].append(name)
    for same in written.values():
        if len(same) > 1:
            joined = f"{same[-1]}={same[0]}"
            reason = f"{' and '.join(map(repr, same))} are one number, but different classes. Map one to the other with {joined}."
            findings.add("class-names", reason, same[0])


def _report_unknown(classes: ClassMap, readings: Mapping[str, Reading], findings: Findings) -> None:
    """One finding for each name that is in the files, but in no list."""
    counts: Counter[str] = Counter()
    first: dict[str, tuple[str, int]] = {}
    for reading in readings.values():
        for box, item in _boxes(reading):
            if not classes.knows(box) and not box.does_not_count:
                counts[box.name] += 1
                first.setdefault(box.name, (item.source, box.line))
    for name, count in counts.most_common():
        file, line = first[name]
        reason = (
            f"The class {name!r} is not among {', '.join(classes.labels[:10])}; its {count} boxes do not count. "
            f"Add it to the list of classes, or map it with {name}=…"
        )
        findings.add("unknown-class", reason, file, line=line)
