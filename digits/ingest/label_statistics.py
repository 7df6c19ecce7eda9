"""What the labels of a split hold, counted while they are encoded: boxes or pixels per class, sizes and shapes of boxes; and
what is said of them when all splits have been counted.

Sizes of boxes are the square root of their share of the picture, shapes width over height; both as histograms with fixed,
logarithmic bins so that parts of a split can be added up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from digits.domain.datasets import IGNORED, TRAIN_DB, RecordMeta, SplitInfo
from digits.errors import DataError
from digits.storage.records.reader import BOX_IGNORED, RecordReader
from digits.tasks import Labels, Task, of

COUNTED = ("boxes", "pixels", "labels")  # while labels are encoded; records of a class are counted when they are written
MAX_NUMBERED = 100_000  # beyond it whole numbers are rather counts or marks than classes,
SURELY_NUMBERED = 1000  # up to here they are taken for classes even where few records have each
SIZE_EDGES = tuple(float(v) for v in np.round(np.geomspace(1 / 256, 1, 17), 5))
SHAPE_EDGES = tuple(float(v) for v in np.round(np.geomspace(1 / 8, 8, 13), 4))


@dataclass
class LabelStatistics:
    """Sums over records; empty for kinds of labels that have nothing to count.

    `objects` (boxes or pixels) and `images` (records with at least one) follow the class labels; `empty` counts records
    without any object, `ignored` boxes or pixels that do not count.
    """

    counted: str = ""  # boxes, pixels or labels
    objects: list[int] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    empty: int = 0
    ignored: int = 0
    sizes: list[int] = field(default_factory=list)
    shapes: list[int] = field(default_factory=list)

    def add(self, meta: RecordMeta, labels: list[Any], shapes: np.ndarray | None) -> None:
        """Count the labels of some records, as `RecordReader.labels` gives them; `shapes` (n, 3) are those of their features."""
        task, classes = of(meta.task, Labels.of_records(meta)), len(meta.class_labels)
        if not classes or task.counted not in COUNTED:
            return
        self._start(task.counted, classes)
        if task.counted == "boxes" and shapes is not None:
            for boxes, shape in zip(labels, shapes, strict=True):
                self._add_boxes(boxes, int(shape[1]) * int(shape[2]))
        elif task.counted == "pixels":
            for label in labels:
                self._add_map(label)
        elif task.counted == "labels":
            for label in labels:
                self._count(label > 0, (label > 0).astype(int))

    def merge(self, other: LabelStatistics) -> None:
        """Take in another's sums."""
        if not other.objects:
            return
        if not self.objects:
            self._start(other.counted, len(other.objects))
        for name in ("objects", "images", "sizes", "shapes"):
            setattr(self, name, [a + b for a, b in zip(getattr(self, name), getattr(other, name), strict=True)])
        self.empty += other.empty
        self.ignored += other.ignored

    def to_json(self) -> dict[str, Any]:
        """For `DatasetInfo.extra["labels"]`; empty where nothing was counted."""
        if not self.objects:
            return {}
        counted = {
            "kind": self.counted if self.counted != "labels" else "",
            "objects": self.objects,
            "images": self.images,
            "empty": self.empty,
            "ignored": self.ignored,
        }
        if self.counted != "boxes":
            return counted
        histograms = {
            "sizes": {"edges": SIZE_EDGES, "counts": self.sizes},
            "shapes": {"edges": SHAPE_EDGES, "counts": self.shapes},
        }
        return {**counted, **histograms}

    def _start(self, counted: str, classes: int) -> None:
        if self.objects:
            return
        self.counted = counted
        self.objects, self.images = [0] * classes, [0] * classes
        if counted == "boxes":
            self.sizes, self.shapes = [0] * (len(SIZE_EDGES) - 1), [0] * (len(SHAPE_EDGES) - 1)

    def _add_boxes(self, boxes: np.ndarray, area: int) -> None:
        counted = boxes[(boxes["flags"] & BOX_IGNORED) == 0]
        self.ignored += len(boxes) - len(counted)
        self._count(len(counted) > 0, np.bincount(counted["class"], minlength=len(self.objects))[: len(self.objects)])
        width, height = counted["x1"] - counted["x0"], counted["y1"] - counted["y0"]
        sizes = np.sqrt(width * height / max(area, 1))
        self.sizes = _added(self.sizes, sizes, SIZE_EDGES)
        self.shapes = _added(self.shapes, width / np.maximum(height, 1e-6), SHAPE_EDGES)

    def _add_map(self, label: np.ndarray) -> None:
        pixels = np.bincount(label.reshape(-1), minlength=IGNORED + 1)
        found = pixels[: len(self.objects)]
        self.ignored += int(pixels.sum() - found.sum())
        self._count(found[1:].any(), found)

    def _count(self, has_object: Any, counts: np.ndarray) -> None:
        self.objects = [a + int(b) for a, b in zip(self.objects, counts, strict=True)]
        self.images = [a + int(b > 0) for a, b in zip(self.images, counts, strict=True)]
        self.empty += int(not np.any(has_object))


def numbered_classes(labels: np.ndarray) -> tuple[str, ...]:
    """Names for whole numbers (n,) that look like classes: 0 to the highest; none where they do not."""
    low, high = (int(labels.min()), int(labels.max())) if len(labels) else (0, 0)
    most = SURELY_NUMBERED if 2 * (high + 1) > len(labels) else MAX_NUMBERED
    return tuple(str(i) for i in range(high + 1)) if low >= 0 and 0 < high < most else ()


def with_numbers(
    infos: Mapping[str, SplitInfo], readers: Mapping[str, RecordReader]
) -> tuple[tuple[str, ...], dict[str, SplitInfo]]:
    """Whole numbers that the source gave no names for are classes by their numbers, where they look like that.

    Returns the names (none: they do not) and the splits with their counts.
    """
    numbers = {name: np.asarray(reader.labels(np.arange(len(reader)))) for name, reader in readers.items()}
    labels = numbered_classes(np.concatenate(list(numbers.values())))
    if not labels:
        return (), dict(infos)
    counts = {name: np.bincount(found, minlength=len(labels)).tolist() for name, found in numbers.items()}
    return labels, {name: replace(info, class_counts=tuple(counts[name])) for name, info in infos.items()}


def _added(before: list[int], values: np.ndarray, edges: tuple[float, ...]) -> list[int]:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return [a + int(b) for a, b in zip(before, counts, strict=True)]


def label_problems(meta: RecordMeta, statistics: Mapping[str, LabelStatistics]) -> Iterator[dict[str, Any]]:
    """One problem for each class that stands out. Raises DataError when no picture of the training split has an object."""
    counted = {name: one for name, one in statistics.items() if one.objects}
    if not counted:
        return
    task = of(meta.task, Labels.of_records(meta))
    _check_training(task, meta, counted.get(TRAIN_DB))
    yield from _whole(task, meta, counted)
    yield from _lopsided(meta, counted)


def _check_training(task: Task, meta: RecordMeta, train: LabelStatistics | None) -> None:
    problem = task.nothing_to_learn(meta.class_labels, train.objects) if train is not None else None
    if problem is not None:
        raise DataError(problem[0], advice=problem[1])


def _whole(task: Task, meta: RecordMeta, statistics: Mapping[str, LabelStatistics]) -> Iterator[dict[str, Any]]:
    seen = [sum(one.objects[i] for one in statistics.values()) for i in range(len(meta.class_labels))]
    problem = task.label_problem(meta.class_labels, seen)
    if problem is not None:
        kind, entry, reason = problem
        yield {"kind": kind, "stage": "", "entry": entry, "reason": reason}


def _lopsided(meta: RecordMeta, statistics: Mapping[str, LabelStatistics]) -> Iterator[dict[str, Any]]:
    if len(statistics) < 2:
        return
    for number, label in enumerate(meta.class_labels):
        have = [name for name, one in statistics.items() if one.images[number]]
        if have and len(have) < len(statistics):
            lacking = ", ".join(name for name in statistics if name not in have)
            reason = f"The class {label!r} is in {', '.join(have)}, but not in {lacking}. {_meaning(have)}"
            yield {"kind": "one-split", "stage": "", "label": label, "entry": label, "reason": reason}


def _meaning(have: list[str]) -> str:
    if TRAIN_DB in have:
        return "Nothing can be measured for it there."
    return "It cannot be learned. Use another seed or share, or leave the class out."
