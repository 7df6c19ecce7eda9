"""What is counted while splits are encoded, and what is said of them when all are written: mean and spread of pixels, boxes or
pixels or labels per class, classes that stand out, copies across splits, sizes of the sources, a hash of everything.

Sizes of boxes are the square root of their share of the picture, shapes width over height; both as histograms with fixed,
logarithmic bins so that parts of a split can be added up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from digits.domain.datasets import IGNORED, TRAIN_DB, DatasetInfo, RecordMeta, SplitInfo
from digits.errors import DataError
from digits.images.arrays import over_pictures
from digits.ingest.problems import CONTRADICTION, DUPLICATE
from digits.storage.files import atomic
from digits.storage.records.reader import BOX_DTYPE, BOX_IGNORED, RecordReader
from digits.tasks import Labels, Task, of
from digits.tasks.label_forms import words
from digits.utils.constants import MEAN_FILE_IMAGE

COUNTED = ("boxes", "pixels", "labels")  # while labels are encoded; records of a class are counted when they are written
PREPARED = (  # keys of `DatasetInfo.extra` that say what was made of the pictures
    "width", "height", "channels", "resize_mode", "keep_size", "fill", "padding", "dtype", "feature_encoding", "jpeg_quality",
)  # fmt: skip
MAX_NUMBERED = 100_000  # beyond it whole numbers are rather counts or marks than classes,
SURELY_NUMBERED = 1000  # up to here they are taken for classes even where few records have each
MASKS_AT_ONCE = 64
SIZE_EDGES = tuple(float(v) for v in np.round(np.geomspace(1 / 256, 1, 17), 5))
SHAPE_EDGES = tuple(float(v) for v in np.round(np.geomspace(1 / 8, 8, 13), 4))
MEAN_ARRAY_FILE = "mean.npy"
LISTED_SIZES = 1000
COMPARED_AT_ONCE = 256  # labels of copies
DIGEST_BYTES = 16
LABEL_DIGESTS = 1 << 8 * DIGEST_BYTES  # sums of digests of labels stay below it
SHORT = 2  # bytes of numbers so small that a count of each is kept


@dataclass
class Sums:
    """Sums for mean and standard deviation: per channel, and per pixel where the mean picture is wanted (float64)."""

    pixels: int = 0
    total: np.ndarray | None = None
    squares: np.ndarray | None = None
    picture: np.ndarray | None = None

    def add(self, features: np.ndarray, with_picture: bool) -> None:
        """Take in features (n, C, H, W) in stored units."""
        channels = features.shape[1]
        if with_picture:
            picture = features.sum(axis=0, dtype=np.uint32 if features.dtype == np.uint8 else np.float64).astype(np.float64)
            self.picture = picture if self.picture is None else self.picture + picture
            total = picture.reshape(channels, -1).sum(axis=1)
        else:
            total = features.sum(axis=(0, 2, 3), dtype=np.uint64 if features.dtype == np.uint8 else np.float64).astype(np.float64)
        squares = np.array([_squares(features[:, channel]) for channel in range(channels)])
        self.total = total if self.total is None else self.total + total
        self.squares = squares if self.squares is None else self.squares + squares
        self.pixels += features.shape[0] * features.shape[2] * features.shape[3]

    def merge(self, other: Sums) -> None:
        """Take in another's sums; those of another number of channels are left out."""
        if other.total is None or other.squares is None:
            return
        if self.total is None or self.squares is None:
            self.total, self.squares = np.zeros_like(other.total), np.zeros_like(other.squares)
        if self.total.shape != other.total.shape:
            return
        self.total = self.total + other.total
        self.squares = self.squares + other.squares
        self.pixels += other.pixels
        if other.picture is not None:
            self.picture = other.picture if self.picture is None else self.picture + other.picture

    def over_pictures(self, pictures: int) -> Sums:
        """The same of records of several pictures in their channels (`RecordMeta.pictures`): each has the sums of all."""
        total, squares, picture = (
            None if sums is None else over_pictures(sums, pictures) for sums in (self.total, self.squares, self.picture)
        )
        return Sums(self.pixels, total, squares, picture)

    def mean_and_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Per channel; empty before anything was taken in."""
        if self.total is None or self.squares is None or not self.pixels:
            return (), ()
        mean = self.total / self.pixels
        variance = np.maximum(self.squares / self.pixels - mean**2, 0.0)
        return tuple(map(float, mean)), tuple(map(float, np.sqrt(variance)))


@dataclass
class LabelStatistics:
    """Sums over records; empty for kinds of labels that have nothing to count.

    `objects` (boxes or pixels) and `images` (records with at least one) follow the class labels; `empty` counts records
    without any object, `ignored` boxes or pixels that do not count. `digest` is of all labels, each with the record it is of:
    a sum, so that parts of a split can be added up in any order.
    """

    counted: str = ""  # boxes, pixels or labels
    objects: list[int] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    empty: int = 0
    ignored: int = 0
    sizes: list[int] = field(default_factory=list)
    shapes: list[int] = field(default_factory=list)
    digest: int = 0

    @classmethod
    def of(cls, hashes: Sequence[bytes], labels: Sequence[Any]) -> LabelStatistics:
        """Those of some records with nothing but their digest."""
        found = cls()
        found.mark(hashes, labels)
        return found

    def mark(self, hashes: Sequence[bytes], labels: Sequence[Any]) -> None:
        """Take in which labels, as `RecordReader.labels` gives them (None: none), the records of these hashes have."""
        for own, label in zip(hashes, labels, strict=True):
            found = hashlib.blake2b(own, digest_size=DIGEST_BYTES)
            if label is not None:
                array = np.ascontiguousarray(label)
                found.update(f"{array.shape}{array.dtype.descr}".encode())
                found.update(array.tobytes())
            self.digest = (self.digest + int.from_bytes(found.digest())) % LABEL_DIGESTS

    def add(self, meta: RecordMeta, labels: list[Any], shapes: np.ndarray | None, void: int = IGNORED) -> None:
        """Count the labels of some records, as `RecordReader.labels` gives them; `shapes` (n, 3) are those of their features.
        Pixels of the value `void` do not count."""
        task, classes = of(meta.task, Labels.of_records(meta)), len(meta.class_labels)
        if not classes or task.counted not in COUNTED:
            return
        self._start(task.counted, classes)
        if task.counted == "boxes" and shapes is not None:
            for boxes, shape in zip(labels, shapes, strict=True):
                self._add_boxes(boxes, int(shape[1]) * int(shape[2]))
        elif task.counted == "pixels":
            for label in labels:
                self._add_map(label, void)
        elif task.counted == "labels":
            for label in labels:
                self._count(label > 0, (label > 0).astype(int))

    def merge(self, other: LabelStatistics) -> None:
        """Take in another's sums."""
        self.digest = (self.digest + other.digest) % LABEL_DIGESTS
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

    def _add_map(self, label: np.ndarray, void: int) -> None:
        known = label[label >= 0] if label.dtype.kind == "i" else label.reshape(-1)
        if known.dtype.itemsize > SHORT:  # counted up to the largest value there is
            known = known[known < len(self.objects)].astype(np.int64)
        found = np.bincount(known, minlength=len(self.objects))[: len(self.objects)]
        if 0 <= void < len(found):
            found[void] = 0
        self.ignored += int(label.size - found.sum())
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


def numbered_pixels(readers: Mapping[str, RecordReader], ignored: int) -> tuple[str, ...]:
    """Names for the classes of masks (1, H, W) that the source gave no names for: 0 to the highest number; none where their
    numbers are no classes."""
    high = 0
    for reader in readers.values():
        for start in range(0, len(reader), MASKS_AT_ONCE):
            for mask in reader.labels(np.arange(start, min(start + MASKS_AT_ONCE, len(reader)))):
                known = mask[mask != ignored]
                if known.size and (known.min() < 0 or not np.array_equal(known, np.floor(known))):
                    return ()
                high = max(high, int(known.max(initial=0)))
    return tuple(str(i) for i in range(high + 1)) if 0 < high < SURELY_NUMBERED else ()


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


def content_hash(readers: Mapping[str, RecordReader], statistics: Mapping[str, LabelStatistics], info: DatasetInfo) -> str:
    """SHA-256, hexadecimal, of what a training can see of a data set: over all splits the hashes of their records in order and
    their labels, the names of the classes, and how pictures were prepared. The same on every machine: no path, time or id counts,
    and of pictures the files do, not what a version of a library makes of their pixels."""
    parts = (
        (name, reader.numbers("hash"), statistics[name].digest if name in statistics else 0) for name, reader in readers.items()
    )
    return hash_of_parts(parts, info)


def hash_of_parts(parts: Iterable[tuple[str, np.ndarray, int]], info: DatasetInfo, *more: str) -> str:
    """The same of splits as name, hashes of the records (n, 16) uint8 and digest of the labels; `more` is what else counts."""
    digest = hashlib.sha256()
    for name, hashes, labels in parts:
        meta = info.splits[name].meta
        shape = [meta.feature_shape, meta.feature_dtype, meta.feature_encoding, meta.label_kind]
        digest.update(json.dumps([name, len(hashes), shape, f"{labels:x}"]).encode())
        digest.update(np.ascontiguousarray(hashes).data)
    prepared = {key: info.extra[key] for key in PREPARED if key in info.extra}
    digest.update(json.dumps([list(info.class_labels), prepared, *more], sort_keys=True, default=str).encode())
    return digest.hexdigest()


def size_histogram(readers: Mapping[str, RecordReader]) -> tuple[tuple[int, int, int], ...]:
    """`(width, height, count)` of the original sizes that are known, most frequent first, at most 1,000 rows."""
    parts = [_packed_sizes(reader) for reader in readers.values()]
    values, counts = np.unique(np.concatenate(parts) if parts else np.zeros(0, np.int64), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:LISTED_SIZES]
    return tuple((int(v >> 32), int(v & 0xFFFFFFFF), int(c)) for v, c in zip(values[order], counts[order], strict=True))


def duplicates(readers: Mapping[str, RecordReader]) -> Iterator[dict[str, Any]]:
    """One problem for each record of a later split that is an exact copy of one in an earlier split, and one more where their
    labels differ."""
    names = list(readers)
    for position, later in enumerate(names):
        found: set[int] = set()
        for earlier in names[:position]:
            pairs = [(row, original) for row, original in _copies(readers[earlier], readers[later]) if row not in found]
            found.update(row for row, _ in pairs)
            for start in range(0, len(pairs), COMPARED_AT_ONCE):
                yield from _listed_copies(readers, later, earlier, pairs[start : start + COMPARED_AT_ONCE])


def disagreements(readers: Mapping[str, RecordReader]) -> Iterator[dict[str, Any]]:
    """One problem for each record with the picture of an earlier one of its split, pixel by pixel, and another label."""
    for stage, reader in readers.items():
        _, firsts, places = np.unique(reader.numbers("hash"), axis=0, return_index=True, return_inverse=True)
        originals = firsts[places.reshape(-1)]
        rows = np.flatnonzero(originals != np.arange(len(originals)))
        for start in range(0, len(rows), COMPARED_AT_ONCE):
            part = rows[start : start + COMPARED_AT_ONCE]
            labels, others = reader.labels(part), reader.labels(originals[part])
            for place, (row, original) in enumerate(zip(part.tolist(), originals[part].tolist(), strict=True)):
                if labels is None or others is None or _equal(labels[place], others[place]):
                    continue
                if np.array_equal(reader.feature(row), reader.feature(original)):  # and not two parts of one file
                    yield _disagreement(reader, stage, row, original, labels[place], others[place])


def _disagreement(reader: RecordReader, stage: str, row: int, original: int, label: Any, other: Any) -> dict[str, Any]:
    entry, copy_of = _name(reader, row), _name(reader, original)
    here, there = (words(reader.meta.label_kind, np.asarray(one), reader.meta.class_labels) for one in (label, other))
    reason = f"The same picture as {copy_of} in {stage} has another label (here {here}, there {there})."
    advice = "One of both is wrong: correct it, or remove the copy."
    found = {"kind": CONTRADICTION, "stage": stage, "entry": entry, "copy_of": copy_of, "copy_stage": stage}
    return {**found, "reason": f"{reason} {advice}"}


def hardly_repeat(readers: Mapping[str, RecordReader], later: str) -> bool:
    """Whether the records of the splits before `later` differ from one another, most of them: copies of those are no chance, as
    they are among drawings of ten kinds."""
    names = list(readers)
    hashes = np.concatenate([readers[name].numbers("hash") for name in names[: names.index(later)]])
    return 2 * len(np.unique(hashes, axis=0)) > len(hashes)


def _listed_copies(
    readers: Mapping[str, RecordReader], later: str, earlier: str, pairs: Sequence[tuple[int, int]]
) -> Iterator[dict[str, Any]]:
    meta = readers[later].meta
    rows, originals = zip(*pairs, strict=True)
    labels, others = readers[later].labels(rows), readers[earlier].labels(originals)
    for place, (row, original) in enumerate(pairs):
        copy = _duplicate(readers, later, row, earlier, original)
        yield copy
        if labels is None or others is None or _equal(labels[place], others[place]):
            continue
        here, there = (words(meta.label_kind, np.asarray(one[place]), meta.class_labels) for one in (labels, others))
        reason = f"An exact copy of {copy['copy_of']} in {earlier} has another label (here {here}, there {there})."
        yield {**copy, "kind": CONTRADICTION, "reason": f"{reason} One of both is wrong: correct it, or remove the copy."}


def _equal(label: Any, other: Any) -> bool:
    """Whether two labels, numbers or arrays of one kind, say the same; boxes (n,) in any order, counting or not."""
    if np.asarray(label).dtype == BOX_DTYPE:
        fields = [name for name in BOX_DTYPE.names or () if name != "flags"]
        label, other = (np.sort(one[fields].copy()) for one in (label, other))
    return bool(np.array_equal(label, other))


def write_mean(folder: Path, sums: Sums, count: int) -> str:
    """Write `mean.npy` (float32 C,H,W) and, to look at, `mean.jpg`; the latter's name, empty where there is no mean picture."""
    if sums.picture is None or not count:
        return ""
    mean = sums.picture / count
    with atomic(folder / MEAN_ARRAY_FILE) as handle:
        np.save(handle, mean.astype(np.float32))
    shown = mean if mean.shape[0] in (1, 3) else mean[:1]
    if shown.max() > 255 or shown.min() < 0 or shown.max() <= 1:
        low, high = float(shown.min()), float(shown.max())
        shown = (shown - low) * (255.0 / (high - low)) if high > low else np.zeros_like(shown)
    pixels = np.clip(np.rint(shown), 0, 255).astype(np.uint8)
    with atomic(folder / MEAN_FILE_IMAGE) as handle:
        Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(handle, "JPEG", quality=95)
    return MEAN_FILE_IMAGE


def _packed_sizes(reader: RecordReader) -> np.ndarray:
    sizes = reader.numbers("original_size").astype(np.int64)
    packed = (sizes[:, 0] << 32) | sizes[:, 1]
    return packed[packed > 0]


def _copies(first: RecordReader, second: RecordReader) -> Iterator[tuple[int, int]]:
    """(row of `second`, row of `first`) with equal hashes."""
    ours, theirs = _hash_keys(first), _hash_keys(second)
    order = np.argsort(ours, kind="stable")
    places = np.searchsorted(ours, theirs, sorter=order)
    candidates = np.flatnonzero(places < len(ours))
    hits = candidates[ours[order[places[candidates]]] == theirs[candidates]]
    all_first, all_second = first.numbers("hash"), second.numbers("hash")
    for row in hits:
        original = order[places[row]]
        if (all_first[original] == all_second[row]).all():
            yield int(row), int(original)


def _hash_keys(reader: RecordReader) -> np.ndarray:
    """The first eight bytes of each hash as a number."""
    return np.ascontiguousarray(reader.numbers("hash")[:, :8]).view(np.uint64).reshape(-1)


def _duplicate(readers: Mapping[str, RecordReader], later: str, row: int, earlier: str, original: int) -> dict[str, Any]:
    entry, copy_of = _name(readers[later], row), _name(readers[earlier], original)
    return {
        "kind": DUPLICATE,
        "stage": later,
        "entry": entry,
        "copy_of": copy_of,
        "copy_stage": earlier,
        "reason": f"An exact copy of {copy_of} in {earlier}: results on {later} will look better than they are.",
    }


def _name(reader: RecordReader, row: int) -> str:
    return reader.column("source", [row])[0] or reader.column("key", [row])[0]


def _squares(values: np.ndarray) -> float:
    """Sum of squares, in float64 beyond one picture."""
    total = 0.0
    for plane in values:
        flat = plane.reshape(-1).astype(np.float32 if values.dtype.itemsize == 1 else np.float64)
        total += float(np.dot(flat, flat))
    return total
