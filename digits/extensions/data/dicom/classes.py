"""Which classes the masks of DICOM pictures have: values of pictures and volumes by number, segments by their labels."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from digits.domain.datasets import IGNORED
from digits.errors import DataError
from digits.extensions.data.dicom.segmentation import BACKGROUND, Segmentation, labels_of

MOST = 255
BLACK_AND_WHITE = ({0, 255}, {255}, {0, 65535}, {65535})
OBJECT = "object"


@dataclass(frozen=True)
class Classes:
    """Names by number; the class of each value of a mask (None: its value), and of each label of a segment. `unknown`: labels
    that the names given leave out."""

    names: list[str]
    values: dict[int, int] | None = None
    labels: dict[str, int] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def classes_of(values: Collection[int], files: Sequence[Segmentation], names: Sequence[str], threshold: int = 0) -> Classes:
    """The classes of masks with some values (empty: there are only segmentations) and of segmentations; `names` are those given,
    in the order of the numbers. `threshold`: black and white masks with grey edges are object from there on. Raises DataError."""
    labels = labels_of(files)
    by_value = _of_values(set(values), names, threshold) if values else Classes([])
    by_label = _of_labels(files, labels, names, by_value.names) if labels or not values else by_value
    found = Classes(by_label.names, by_value.values, by_label.labels, by_label.unknown)
    if not 2 <= len(found.names) <= MOST:
        raise DataError(
            f"The masks have {len(found.names)} classes; 2 to {MOST} are possible.", advice="Background is a class too."
        )
    return found


def _of_values(values: set[int], names: Sequence[str], threshold: int) -> Classes:
    """A value is the number of a class, 255 does not count; masks of nothing but 0 and 255 are black and white."""
    if values in BLACK_AND_WHITE and len(names) in (0, 2):
        return Classes(list(names) or [BACKGROUND, OBJECT], {0: 0, max(values): 1})
    if threshold and len(names) in (0, 2):
        numbers = {value: int(value >= threshold) for value in range(max(values) + 1)}
        return Classes(list(names) or [BACKGROUND, OBJECT], numbers)
    ignored = {IGNORED: IGNORED}
    if names:
        return Classes(list(names), ignored | {value: value for value in range(len(names))})
    counting = sorted(values - {IGNORED})
    if counting and counting[-1] >= max(2 * len(counting), len(counting) + 16):  # far apart: only those that occur
        counting = sorted({0, *counting})
        return Classes([str(value) for value in counting], ignored | {value: number for number, value in enumerate(counting)})
    count = max(counting[-1] + 1 if counting else 0, 2)
    return Classes([str(value) for value in range(count)], ignored | {value: value for value in range(count)})


def _of_labels(files: Sequence[Segmentation], labels: list[str], names: Sequence[str], numbered: list[str]) -> Classes:
    """Segments by their labels: those among the names given; else by their numbers where these name the classes; else in the
    order of their numbers, behind the classes that values have."""
    if names:
        known = {label: list(names).index(label) for label in labels if label in names}
        if known:
            return Classes(list(names), labels=known, unknown=[label for label in labels if label not in known])
        return Classes(list(names), labels=_by_numbers(files, labels, names))
    if numbered:
        together = [*numbered, *(label for label in labels if label not in numbered)]
    elif all(label.isdecimal() for label in labels):  # segments that have no label
        together = [str(number) for number in range(max(map(int, labels), default=0) + 1)]
    else:
        together = [BACKGROUND, *labels]
    return Classes(together, labels={label: together.index(label) for label in labels})


def _by_numbers(files: Sequence[Segmentation], labels: list[str], names: Sequence[str]) -> dict[str, int]:
    """Labels by the number that each has in all files. Raises DataError where the names given cannot be meant by number."""
    numbers = {label: {n for file in files for n, own in file.segments.items() if own == label} for label in labels}
    several = any(len(found) > 1 for found in numbers.values()) or len(set(map(min, numbers.values()))) < len(numbers)
    if several or any(max(found) >= len(names) for found in numbers.values()):
        raise DataError(
            f"The segments are called {', '.join(labels[:8])}; the class names given are {', '.join(names[:8])}.",
            advice="Give the names of the segments, or leave the class names blank.",
        )
    return {label: min(found) for label, found in numbers.items()}
