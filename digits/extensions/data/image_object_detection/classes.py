"""Class names of boxes: those that occur, or the ones of a list that may also join several under one name."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from digits.errors import DataError
from digits.extensions.data.image_object_detection.boxes import DONT_CARE, RawBox, Reading
from digits.extensions.data.images.findings import Findings
from digits.utils.values import is_digits

NONE = -1


@dataclass(frozen=True)
class ClassMap:
    """`labels` in order; `numbers` maps a lower-case name of the files to its class."""

    labels: list[str]
    numbers: dict[str, int]

    def number(self, box: RawBox) -> int:
        """The class of a box; -1 where it does not count."""
        return self.numbers.get(box.name.lower(), NONE)


def class_map(wanted: str, readings: Mapping[str, Reading], findings: Findings) -> ClassMap:
    """The classes of a list (`car, van=car, person`), or all that the files declare and use. Raises DataError."""
    classes = _listed(wanted) if wanted.strip() else _found(readings.values())
    if not classes.labels:
        raise DataError(
            "The files name no class.", advice="Give the classes in the form, and check that the label folder has annotations."
        )
    _report_unknown(classes, readings, findings)
    return classes


def _listed(text: str) -> ClassMap:
    labels: list[str] = []
    numbers: dict[str, int] = {}
    for part in text.split(","):
        name, _, target = (word.strip() for word in part.partition("="))
        target = target or name
        if not name:
            continue
        if target.lower() == DONT_CARE:
            numbers[name.lower()] = NONE
            continue
        if target.lower() not in {label.lower() for label in labels}:
            labels.append(target)
        numbers[name.lower()] = [label.lower() for label in labels].index(target.lower())
    return ClassMap(labels, numbers)


def _found(readings: Iterable[Reading]) -> ClassMap:
    """Names that a format declares keep their order; others follow by the alphabet."""
    readings = list(readings)
    declared = list(dict.fromkeys(name for reading in readings for name in reading.declared))
    used = {box.name for reading in readings for item in reading.pictures for box in item.boxes if not box.does_not_count}
    labels = declared + sorted(used - set(declared), key=_order)
    return _without_doubles(labels)


def _order(name: str) -> tuple[int, str]:
    """Numbers by their value, then words by the alphabet."""
    return (int(name), "") if is_digits(name) else (sys.maxsize, name)


def _without_doubles(labels: list[str]) -> ClassMap:
    """`Car` and `car` are one class, named as it was first."""
    numbers: dict[str, int] = {}
    kept: list[str] = []
    for label in labels:
        if label.lower() not in numbers and label.lower() != DONT_CARE:
            numbers[label.lower()] = len(kept)
            kept.append(label)
    return ClassMap(kept, numbers)


def _report_unknown(classes: ClassMap, readings: Mapping[str, Reading], findings: Findings) -> None:
    """One finding for each name that is in the files, but in no list."""
    counts: Counter[str] = Counter()
    first: dict[str, tuple[str, int]] = {}
    for reading in readings.values():
        for item in reading.pictures:
            for box in item.boxes:
                if box.name.lower() not in classes.numbers and not box.does_not_count:
                    counts[box.name] += 1
                    first.setdefault(box.name, (item.source, box.line))
    for name, count in counts.most_common():
        file, line = first[name]
        reason = (
            f"The class {name!r} is not among {', '.join(classes.labels[:10])}; its {count} boxes do not count. "
            f"Add it to the list of classes, or map it with {name}=…"
        )
        findings.add("unknown-class", reason, file, line=line)
