"""Databases that exist already: looked through once (keys, shapes, labels, mean), then used where they are.

A split is an LMDB of Datum records (with or without one of labels under the same keys) or a split of records of ours.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from digits.domain.datasets import TRAIN_DB, VAL_DB, DatasetInfo, DatasetSpec, RecordMeta, SplitInfo
from digits.domain.events import LogEvent
from digits.errors import DataError, JobStopped
from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.data.source import Options
from digits.ingest.pipeline import IngestContext, Progress
from digits.ingest.split_statistics import numbered_classes
from digits.storage.files import tree_size, write_json
from digits.storage.folders import JobFolder
from digits.storage.records.caffe_datum import Datum, DatumDatabase, parse_mean
from digits.storage.records.lmdb_reader import KEYS_FILE
from digits.storage.records.open import is_complete, open_records
from digits.storage.records.reader import RecordReader
from digits.storage.records.writer import MARKER, remove_split
from digits.tasks import GENERIC, Labels, label_forms, of

EXTENSION = "prebuilt"


@dataclass
class DatabaseScan:
    """What one pass over a pair of databases finds."""

    keys: list[bytes] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    label_shapes: set[tuple[int, ...]] = field(default_factory=set)
    dtypes: set[str] = field(default_factory=set)
    label_dtypes: set[str] = field(default_factory=set)
    count: int = 0
    total: np.ndarray = field(default_factory=lambda: np.zeros(0))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def add(self, key: bytes, datum: Datum, label: np.ndarray | None) -> None:
        """Note one record: its feature (C, H, W), and its label (C, H, W) where one database holds labels as arrays."""
        self.keys.append(key)
        self.labels.append(datum.label)
        self.shapes.append(datum.array.shape)
        self.dtypes.add(str(datum.array.dtype))
        if label is not None:
            self.label_shapes.add(label.shape)
            self.label_dtypes.add(str(label.dtype))
        values = datum.array.reshape(datum.array.shape[0], -1).astype(np.float64)
        if not self.total.size:
            self.total, self.squares = np.zeros(len(values)), np.zeros(len(values))
        if len(values) == len(self.total):
            self.total += values.sum(axis=1)
            self.squares += (values**2).sum(axis=1)
            self.count += values.shape[1]

    def mean_and_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Per channel, in stored units."""
        mean = self.total / max(self.count, 1)
        std = np.sqrt(np.maximum(self.squares / max(self.count, 1) - mean**2, 0))
        return tuple(mean.tolist()), tuple(std.tolist())


@dataclass(frozen=True)
class DatabaseOptions(Options):
    """Paths of databases and of a mean file; empty where there is none."""

    train_images: str = ""
    train_labels: str = ""
    val_images: str = ""
    val_labels: str = ""
    mean_file: str = ""
    ignore_labels: bool = False


class Databases(DataIngestionInterface):
    """The records of a form's databases as entries, to be looked at before they are used; an entry is (split, key or number)."""

    def __init__(self, is_inference_db: bool = False, **kwargs: Any) -> None:
        super().__init__(is_inference_db, **kwargs)
        self.options = DatabaseOptions.read(kwargs)

    def itemize_entries(self, stage: str) -> list[tuple[str, Any]]:
        images = self.options.train_images if stage == TRAIN_DB else self.options.val_images if stage == VAL_DB else ""
        if not images:
            return []
        if own := records_folder(Path(images)):
            return [(stage, number) for number in range(len(RecordReader(own)))]
        with DatumDatabase(Path(images)) as database:
            return [(stage, key) for key in database.iterate_keys()]

    def encode_entry(self, entry: tuple[str, Any]) -> Any:
        stage, key = entry
        split = stage.removesuffix("_db")
        images, labels = (getattr(self.options, f"{split}_{what}") for what in ("images", "labels"))
        ignored = self.options.ignore_labels
        if own := records_folder(Path(images)):
            reader = RecordReader(own)
            found = reader.labels([key])
            return reader.feature(key), None if found is None or ignored else found[0]
        with DatumDatabase(Path(images)) as database:
            datum = database.get(key)
        if ignored or not labels:
            return datum.array, None if ignored else datum.label
        with DatumDatabase(Path(labels)) as database:
            return datum.array, database.get(key).array


def ingest_prebuilt(folder: JobFolder, spec: DatasetSpec, context: IngestContext) -> DatasetInfo:
    """Make the splits of a job point at their databases and write `dataset.json`. Raises DataError for what cannot be used."""
    given = DatabaseOptions.read(spec.extension_data)
    _clear(folder)
    try:
        splits = {TRAIN_DB: _split(folder, TRAIN_DB, given, spec, context)}
        if given.val_images:
            splits[VAL_DB] = _split(folder, VAL_DB, given, spec, context)
        info = _info(folder, splits, given, spec)
        context.retry_when_disk_full(lambda: write_json(folder.dataset_file, info.to_json()))
        return info
    except BaseException:
        _clear(folder)
        raise


def _clear(folder: JobFolder) -> None:
    folder.dataset_file.unlink(missing_ok=True)
    for name in (TRAIN_DB, VAL_DB):
        path = folder.path / name
        if path.is_symlink():
            path.unlink()
        else:
            remove_split(path)


def _split(folder: JobFolder, name: str, given: DatabaseOptions, spec: DatasetSpec, context: IngestContext) -> SplitInfo:
    first = name == TRAIN_DB
    images, labels = (given.train_images, given.train_labels) if first else (given.val_images, given.val_labels)
    context.emit(LogEvent(message=f"Looking through {images}."))
    source = records_folder(Path(images))
    ignored = given.ignore_labels
    if source is not None:
        os.symlink(source, folder.path / name)
        return _own_records(name, open_records(folder.path / name), spec, ignored)
    with DatumDatabase(Path(images)) as database:
        scan = _scan(database, Path(labels) if labels else None, spec.force_same_shape, context)
    meta = without_labels(_meta(scan, False)) if ignored else _meta(scan, bool(labels))
    _write(folder.path / name, scan, meta, images, labels)
    return SplitInfo(name, len(scan.keys), meta, bytes=tree_size(Path(images)))


def records_folder(path: Path) -> Path | None:
    """The split of records that a path means (`…/train_db` or `…/train_db/features`); None where there is none."""
    for candidate in (path, path.parent if path.name == "features" else path):
        if is_complete(candidate):
            return candidate
    return None


def without_labels(meta: RecordMeta) -> RecordMeta:
    """The same features as records without labels."""
    return replace(meta, **label_forms.without_labels())


def _own_records(name: str, reader: RecordReader, spec: DatasetSpec, ignored: bool) -> SplitInfo:
    if spec.force_same_shape and reader.meta.feature_shape is None:
        raise DataError(
            f"The records of {reader.path} differ in shape.",
            advice="Choose not to enforce the same shape, and train without a mean.",
        )
    if ignored:
        return SplitInfo(name, len(reader), without_labels(reader.meta), bytes=tree_size(reader.path))
    counts: tuple[int, ...] = ()
    if of(reader.meta.task, Labels.of_records(reader.meta)).counted == "records":
        counts = tuple(int(n) for n in reader.class_counts(len(reader.meta.class_labels)))
    return SplitInfo(name, len(reader), reader.meta, class_counts=counts, bytes=tree_size(reader.path))


def _scan(database: DatumDatabase, labels: Path | None, same_shape: bool, context: IngestContext) -> DatabaseScan:
    scan = DatabaseScan()
    progress = Progress(context.emit, len(database), "entries")
    label_database = DatumDatabase(labels) if labels else None
    if label_database is not None and len(label_database) != len(database):
        raise DataError(
            f"{labels} has {len(label_database)} records, {database.path} {len(database)}; both must have the same keys."
        )
    for key in database.iterate_keys():
        datum = database.get(key)
        scan.add(key, datum, label_database.get(key).array if label_database is not None else None)
        if same_shape and datum.array.shape != scan.shapes[0]:
            raise DataError(
                f"Record {key!r} of {database.path} has shape {datum.array.shape}, the first has {scan.shapes[0]}.",
                advice="Choose not to enforce the same shape, or make them equal.",
            )
        progress.advance(1)
        if context.should_stop():
            raise JobStopped("Stopped while looking through a database.")
    if not scan.keys:
        raise DataError(f"{database.path} holds no records.", advice="Name an LMDB with Datum records.")
    return scan


def _meta(scan: DatabaseScan, with_labels: bool) -> RecordMeta:
    mean, std = scan.mean_and_std()
    shapes = set(scan.shapes)
    one = next(iter(shapes)) if len(shapes) == 1 else None
    shape = None if one is None else (int(one[0]), int(one[1]), int(one[2]))
    meta = RecordMeta(
        task=GENERIC.name,
        feature_shape=shape,
        feature_dtype=next(iter(scan.dtypes)) if len(scan.dtypes) == 1 else "float32",
        feature_encoding="raw",
        mean=mean,
        std=std,
    )
    if not with_labels:
        return replace(meta, class_labels=numbered_classes(np.array(scan.labels)))
    label_shape = next(iter(scan.label_shapes)) if len(scan.label_shapes) == 1 else None
    dtype = next(iter(scan.label_dtypes)) if len(scan.label_dtypes) == 1 else "float32"
    return replace(meta, **label_forms.array_fields(label_shape, dtype, shape))


def _write(split: Path, scan: DatabaseScan, meta: RecordMeta, images: str, labels: str) -> None:
    split.mkdir()
    np.save(split / KEYS_FILE, np.array(scan.keys))
    np.save(split / "labels.npy", np.array(scan.labels, np.int64))
    np.save(split / "shapes.npy", np.array(scan.shapes, np.int32))
    write_json(split / MARKER, {"meta": meta.to_json(), "shards": [], "external": {"images": images, "labels": labels}})


def _info(folder: JobFolder, splits: Mapping[str, SplitInfo], given: DatabaseOptions, spec: DatasetSpec) -> DatasetInfo:
    train = splits[TRAIN_DB].meta
    if VAL_DB in splits and splits[VAL_DB].meta.label_kind != train.label_kind:
        raise DataError(
            f"The training labels are of the kind {train.label_kind}, the validation labels {splits[VAL_DB].meta.label_kind}.",
            advice="Give a label database for both or for none.",
        )
    mean_image = ""
    if given.mean_file:
        mean = _read_mean(Path(given.mean_file), train)
        mean_image = _save_mean(folder, mean)
        values = tuple(float(v) for v in mean.reshape(mean.shape[0], -1).mean(axis=1))
        splits = {name: replace(split, meta=replace(split.meta, mean=values)) for name, split in splits.items()}
    labels = max((split.meta.class_labels for split in splits.values()), key=len)
    return DatasetInfo(
        task=GENERIC.name,
        class_labels=labels,
        splits=dict(splits),
        feature_shape=train.feature_shape,
        mean_image=mean_image,
        extra={"prebuilt": dict(spec.extension_data)},
    )


def _read_mean(file: Path, meta: RecordMeta) -> np.ndarray:
    try:
        mean = parse_mean(file.read_bytes())
    except (OSError, ValueError, IndexError) as error:
        raise DataError(
            f"{file} is no mean file (.binaryproto): {error}.", advice="Leave the field empty to compute it."
        ) from error
    if meta.feature_shape is not None and mean.shape[0] != meta.feature_shape[0]:
        raise DataError(f"{file} has {mean.shape[0]} channels, the pictures have {meta.feature_shape[0]}.")
    return mean


def _save_mean(folder: JobFolder, mean: np.ndarray) -> str:
    from PIL import Image

    pixels = mean.clip(0, 255).round().astype(np.uint8)
    if pixels.shape[0] not in (1, 3):
        return ""
    Image.fromarray(pixels[0] if pixels.shape[0] == 1 else pixels.transpose(1, 2, 0)).save(folder.path / "mean.jpg", quality=95)
    return "mean.jpg"
