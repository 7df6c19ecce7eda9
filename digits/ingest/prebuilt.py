"""Databases that exist already: looked through once (keys, shapes, labels, mean), then used where they are.

A split is an LMDB of Datum records (with or without one of labels under the same keys) or a split of records of ours.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np

from digits.domain.datasets import HASH_KIND, TRAIN_DB, VAL_DB, DatasetInfo, DatasetSpec, RecordMeta, SplitInfo
from digits.domain.events import LogEvent, WarningEvent
from digits.errors import DataError, JobStopped, Misfit
from digits.extensions.data.source import ROOTS, ConfinedSource, Options
from digits.images.arrays import becomes
from digits.ingest.encode import digest_of, reason_of
from digits.ingest.left_out import LeftOut
from digits.ingest.pipeline import IngestContext
from digits.ingest.problems import PROBLEM_WORDS, SKIPPED, ProblemLog
from digits.ingest.progress import Progress
from digits.ingest.record_schema import check_finite
from digits.ingest.split_statistics import LABEL_DIGESTS, LabelStatistics, Sums, hash_of_parts, numbered_classes
from digits.storage.files import tree_size, write_json
from digits.storage.folders import JobFolder
from digits.storage.records import KEYS_FILE
from digits.storage.records.caffe_datum import Datum, DatumDatabase, parse_mean
from digits.storage.records.lmdb_reader import ROOTS as KEPT_ROOTS
from digits.storage.records.open import is_complete, open_records
from digits.storage.records.reader import RecordReader
from digits.storage.records.writer import MARKER, remove_split
from digits.tasks import GENERIC, Labels, label_forms, of, of_dataset
from digits.utils.confinement import EVERYWHERE, Confinement
from digits.utils.values import counted

EXTENSION = "prebuilt"
PLUGIN = "The databases"  # in messages
SAME_SHAPE = "Write them alike, or choose not to enforce the same shape."
LABELS_AT_ONCE = 256
T = TypeVar("T")
Hashed = tuple[np.ndarray, int]  # the hashes of a split's records (n, 16) uint8, the digest of their labels


class Form(NamedTuple):
    """What tells how a record is stored: shape (C, H, W) and type of its feature and, where that is an array, of its label."""

    shape: tuple[int, ...]
    dtype: np.dtype
    label_shape: tuple[int, ...] = ()
    label_dtype: np.dtype | None = None


@dataclass
class DatabaseScan:
    """What one pass over a pair of databases finds: the key, the form, the number, the hash and the label's digest of each record
    that can be read, and sums over the features of each form."""

    keys: list[bytes] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)
    sums: dict[Form, Sums] = field(default_factory=dict)

    def add(self, key: bytes, datum: Datum, label: np.ndarray | None) -> None:
        """Note one record: its feature (C, H, W), and its label (C, H, W) where one database holds labels as arrays."""
        own = () if label is None else (label.shape, label.dtype)
        form = Form(datum.array.shape, datum.array.dtype, *own)
        self.keys.append(key)
        self.labels.append(datum.label)
        self.hashes.append(digest_of(np.frombuffer(datum.file, np.uint8) if datum.file else datum.array))
        self.marks.append(LabelStatistics.of(self.hashes[-1:], [np.int64(datum.label) if label is None else label]).digest)
        self.forms.append(form)
        self.sums.setdefault(form, Sums()).add(datum.array[np.newaxis], False)

    def common(self, same_shape: bool) -> Form:
        """The form of most records; shapes without `same_shape` are none: ()."""
        counts = Counter(self.forms)
        shape, dtype = _most(counts, lambda form: (form.shape if same_shape else (), form.dtype))
        alike = Counter(
            {form: n for form, n in counts.items() if form.dtype == dtype and (not same_shape or form.shape == shape)}
        )
        label = _most(alike, lambda form: (form.label_shape if same_shape else (), form.label_dtype))
        return Form(shape, dtype, *label)

    def kept(self, rows: Sequence[int]) -> DatabaseScan:
        """Only some of the records."""
        forms = [self.forms[row] for row in rows]
        sums = {form: self.sums[form] for form in dict.fromkeys(forms)}
        return DatabaseScan(
            [self.keys[row] for row in rows],
            [self.labels[row] for row in rows],
            [self.hashes[row] for row in rows],
            [self.marks[row] for row in rows],
            forms,
            sums,
        )

    def hashed(self, with_labels: bool) -> Hashed:
        """What counts of these records in the data set's content hash."""
        hashes = np.frombuffer(b"".join(self.hashes), np.uint8).reshape(len(self.hashes), -1)
        return hashes, sum(self.marks) % LABEL_DIGESTS if with_labels else 0

    def mean_and_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Per channel, in stored units."""
        total = Sums()
        for sums in self.sums.values():
            total.merge(sums)
        return total.mean_and_std()


def _most(counts: Mapping[Form, int], part: Callable[[Form], T]) -> T:
    """The most frequent part of the forms; of several the one that comes first."""
    totals: Counter[T] = Counter()
    for form, count in counts.items():
        totals[part(form)] += count
    return totals.most_common(1)[0][0]


@dataclass(frozen=True)
class DatabaseOptions(Options):
    """Paths of databases and of a mean file; empty where there is none."""

    train_images: str = ""
    train_labels: str = ""
    val_images: str = ""
    val_labels: str = ""
    mean_file: str = ""
    ignore_labels: bool = False


class Databases(ConfinedSource):
    """The records of a form's databases as entries, to be looked at before they are used; an entry is (split, key or number)."""

    OPTIONS: ClassVar[type[Options]] = DatabaseOptions
    options: DatabaseOptions

    def itemize_entries(self, stage: str) -> list[tuple[str, Any]]:
        images = self.options.train_images if stage == TRAIN_DB else self.options.val_images if stage == VAL_DB else ""
        if not images:
            return []
        if own := records_folder(Path(images)):
            return [(stage, number) for number in range(len(open_records(own, self.confinement())))]
        with DatumDatabase(Path(images), self.confinement()) as database:
            return [(stage, key) for key in database.iterate_keys()]

    def encode_entry(self, entry: tuple[str, Any]) -> Any:
        stage, key = entry
        split = stage.removesuffix("_db")
        images, labels = (getattr(self.options, f"{split}_{what}") for what in ("images", "labels"))
        ignored = self.options.ignore_labels
        if own := records_folder(Path(images)):
            reader = open_records(own, self.confinement())
            found = reader.labels([key])
            return reader.feature(key), None if found is None or ignored else found[0]
        with DatumDatabase(Path(images), self.confinement()) as database:
            datum = database.get(key)
        if ignored or not labels:
            return datum.array, None if ignored else datum.label
        with DatumDatabase(Path(labels), self.confinement()) as database:
            return datum.array, database.get(key).array


def ingest_prebuilt(folder: JobFolder, spec: DatasetSpec, context: IngestContext) -> DatasetInfo:
    """Make the splits of a job point at their databases and write `dataset.json`; records that cannot be used are left out by the
    rule of every source (`ingest.left_out`). Raises DataError for what cannot be used."""
    _clear(folder)
    problems = ProblemLog(folder.problems_file)
    try:
        info = Prebuilt(folder, spec, context, problems).run()
        context.retry_when_disk_full(lambda: write_json(folder.dataset_file, info.to_json()))
        return info
    except BaseException:
        _clear(folder)
        raise
    finally:
        problems.close()


def _clear(folder: JobFolder) -> None:
    folder.dataset_file.unlink(missing_ok=True)
    for name in (TRAIN_DB, VAL_DB):
        path = folder.path / name
        if path.is_symlink():
            path.unlink()
        else:
            remove_split(path)


class Prebuilt:
    """One look through the databases of a job."""

    def __init__(self, folder: JobFolder, spec: DatasetSpec, context: IngestContext, problems: ProblemLog) -> None:
        self.folder, self.spec, self.context, self.problems = folder, spec, context, problems
        self.given = DatabaseOptions.read(spec.extension_data)
        self.allowed = Confinement(
            spec.extension_data.get(ROOTS) or EVERYWHERE
        )  # the form of older versions confined paths alone
        records = sum(_records_in(path, self.allowed) for path in self._images() if path)
        self.left_out = LeftOut(PLUGIN, records, spec.max_left_out)
        self.hashed: dict[str, Hashed] = {}

    def run(self) -> DatasetInfo:
        splits = {name: self._split(name) for name, images in zip((TRAIN_DB, VAL_DB), self._images(), strict=True) if images}
        if VAL_DB in splits:
            self._compare(splits[TRAIN_DB].meta, splits[VAL_DB].meta)
        info = _info(self.folder, splits, self.given, self.spec)
        for kind, words in PROBLEM_WORDS.items():
            if count := self.problems.counts.get(kind):
                self._warn(kind, words(count))
        skipped = self.problems.counts.get(SKIPPED, 0)
        if skipped:
            self._warn(SKIPPED, f"{counted(skipped, 'record')} could not be used; left out.")
        facts = {"problem_counts": dict(self.problems.counts), "left_out": self.problems.lost, "hash_kind": HASH_KIND}
        info = replace(info, problems=skipped, extra=info.extra | facts)
        means = [json.dumps(info.splits[TRAIN_DB].meta.mean)] if self.given.mean_file else []
        parts = ((name, *hashed) for name, hashed in self.hashed.items())
        return replace(info, content_hash=hash_of_parts(parts, info, *means))

    def _compare(self, train: RecordMeta, val: RecordMeta) -> None:
        """Nothing is written, so what differs stays different: refused where a network cannot take both, else said."""
        ours, theirs = train.feature_shape, val.feature_shape
        if ours and theirs and ours != theirs:
            found = f"The training pictures have the shape {ours}, those of the validation {theirs}"
            if ours[0] != theirs[0]:
                raise DataError(f"{found}.", advice="Write them alike.")
            self._warn("shape", f"{found}: what a network of a fixed size sees of them is cut out of the middle, or refused.")
        if not becomes(np.dtype(val.feature_dtype), np.dtype(train.feature_dtype)):
            found = f"The training pictures are {train.feature_dtype}, those of the validation {val.feature_dtype}"
            self._warn("type", f"{found}; each is read as it is.")

    def _images(self) -> tuple[str, str]:
        return self.given.train_images, self.given.val_images

    def _split(self, name: str) -> SplitInfo:
        first = name == TRAIN_DB
        images, labels = (
            (self.given.train_images, self.given.train_labels) if first else (self.given.val_images, self.given.val_labels)
        )
        self.context.emit(LogEvent(message=f"Looking through {images}."))
        source, ignored = records_folder(Path(images)), self.given.ignore_labels
        if source is not None:
            open_records(source, self.allowed)
            os.symlink(source, self.folder.path / name)
            reader = open_records(self.folder.path / name)
            found = _own_records(name, reader, self.spec, ignored)
            self.hashed[name] = _hashed(reader, not ignored)
            return found
        labels = "" if ignored else labels
        before = self.problems.counts.get(SKIPPED, 0)
        scan, common = self._fitting(name, self._scan(name, Path(images), Path(labels) if labels else None))
        meta = without_labels(_meta(scan, common, False)) if ignored else _meta(scan, common, bool(labels))
        self.hashed[name] = scan.hashed(not ignored)
        _write(self.folder.path / name, scan, meta, {"images": images, "labels": labels, KEPT_ROOTS: self.allowed.roots})
        lost = self.problems.counts.get(SKIPPED, 0) - before
        return SplitInfo(name, len(scan.keys), meta, skipped=lost, bytes=tree_size(Path(images)))

    def _scan(self, stage: str, images: Path, labels: Path | None) -> DatabaseScan:
        """Every record that can be read."""
        scan = DatabaseScan()
        with DatumDatabase(images, self.allowed) as database:
            progress = Progress(self.context.emit, len(database), "entries")
            label_database = DatumDatabase(labels, self.allowed) if labels else None
            unused = len(label_database) - len(database) if label_database is not None else 0
            for key in database.iterate_keys():
                try:
                    datum = database.get(key)
                    label = label_database.get(key).array if label_database is not None else None
                    for what, array in (("feature", datum.array), ("label", label)):
                        if array is not None:
                            check_finite(array, what, PLUGIN, str(key))
                    scan.add(key, datum, label)
                except (DataError, Misfit) as error:
                    self._leave_out(stage, key, reason_of(error))
                progress.advance(1)
                if self.context.should_stop():
                    raise JobStopped("Stopped while looking through a database.")
        if not scan.keys:
            advice = "Name an LMDB with Datum records."
            raise DataError(f"{images} holds no records that can be used. {self.left_out.reasons()}".strip(), advice=advice)
        if unused > 0:
            reason = f"It has {counted(unused, 'record')} more than there are pictures; labels without a picture are not used."
            self._add({"kind": "pair", "stage": stage, "entry": str(labels), "reason": reason})
        return scan

    def _fitting(self, stage: str, scan: DatabaseScan) -> tuple[DatabaseScan, Form]:
        """The records of the form of most, and that form. Nothing is written, so nothing can be converted but a type as it is
        read."""
        common = scan.common(self.spec.force_same_shape)
        reasons = {form: _misfit(form, common) for form in scan.sums}
        rows = [row for row, form in enumerate(scan.forms) if not reasons[form]]
        for key, form in zip(scan.keys, scan.forms, strict=True):
            if reasons[form]:
                self._leave_out(stage, key, reasons[form])
        return scan.kept(rows), common

    def _leave_out(self, stage: str, key: bytes, reason: str) -> None:
        entry = key.decode("utf-8", "replace")
        self._add({"kind": SKIPPED, "stage": stage, "entry": entry, "reason": reason})
        self.left_out.add([(entry, reason)], 1)
        self.left_out.check()

    def _add(self, problem: dict[str, Any]) -> None:
        self.context.retry_when_disk_full(lambda: self.problems.add(problem))

    def _warn(self, code: str, message: str) -> None:
        self.context.emit(WarningEvent(code=code, message=message, advice="The list of problems names each with the reason."))


def _records_in(path: str, allowed: Confinement) -> int:
    """How many records of a database may be left out: those of an LMDB."""
    if records_folder(Path(path)) is not None:
        return 0
    with DatumDatabase(Path(path), allowed) as database:
        return len(database)


def _misfit(form: Form, common: Form) -> str:
    """Why a record of one form cannot be among those of another; empty where it can."""
    if common.shape and form.shape != common.shape:
        return f"The shape is {form.shape}, that of most {common.shape}. {SAME_SHAPE}"
    if not becomes(form.dtype, common.dtype):
        return f"The type is {form.dtype}, that of most {common.dtype}. Write them alike."
    if common.label_shape and form.label_shape != common.label_shape:
        return f"The label has the shape {form.label_shape}, those of most {common.label_shape}. {SAME_SHAPE}"
    own, wanted = form.label_dtype, common.label_dtype
    if own is not None and wanted is not None and not becomes(own, wanted):
        return f"The label has the type {own}, those of most {wanted}. Write them alike."
    return ""


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


def _hashed(reader: RecordReader, with_labels: bool) -> Hashed:
    """What counts of records of ours in the data set's content hash, as when they were made; those of other writers may be
    without hashes."""
    hashes, labels = np.array(reader.numbers("hash")), LabelStatistics()
    for row in np.flatnonzero(~hashes.any(axis=1)):
        hashes[row] = np.frombuffer(digest_of(reader.feature(int(row))), np.uint8)
    for start in range(0, len(reader) if with_labels else 0, LABELS_AT_ONCE):
        rows = np.arange(start, min(start + LABELS_AT_ONCE, len(reader)))
        found = reader.labels(rows)
        labels.mark([hashes[row].tobytes() for row in rows], [None] * len(rows) if found is None else list(found))
    return hashes, labels.digest


def _meta(scan: DatabaseScan, common: Form, with_labels: bool) -> RecordMeta:
    """What the records of a split have in common."""
    mean, std = scan.mean_and_std()
    shapes = {form.shape for form in scan.sums}
    one = next(iter(shapes)) if len(shapes) == 1 else None
    shape = None if one is None else (int(one[0]), int(one[1]), int(one[2]))
    meta = RecordMeta(
        task=GENERIC.name,
        feature_shape=shape,
        feature_dtype=str(common.dtype),
        feature_encoding="raw",
        mean=mean,
        std=std,
    )
    if not with_labels:
        return replace(meta, class_labels=numbered_classes(np.array(scan.labels)))
    label_shapes = {form.label_shape for form in scan.sums}
    label_shape = next(iter(label_shapes)) if len(label_shapes) == 1 else None
    return replace(meta, **label_forms.array_fields(label_shape, str(common.label_dtype), shape))


def _write(split: Path, scan: DatabaseScan, meta: RecordMeta, external: Mapping[str, Any]) -> None:
    split.mkdir()
    np.save(split / KEYS_FILE, np.array(scan.keys))
    np.save(split / "labels.npy", np.array(scan.labels, np.int64))
    np.save(split / "shapes.npy", np.array([form.shape for form in scan.forms], np.int32))
    write_json(split / MARKER, {"meta": meta.to_json(), "shards": [], "external": dict(external)})


def _info(folder: JobFolder, splits: Mapping[str, SplitInfo], given: DatabaseOptions, spec: DatasetSpec) -> DatasetInfo:
    train = splits[TRAIN_DB].meta
    if VAL_DB in splits and splits[VAL_DB].meta.label_kind != train.label_kind:
        raise DataError(
            f"The training labels are of the kind {train.label_kind}, the validation labels {splits[VAL_DB].meta.label_kind}.",
            advice="Give a label database for both or for none.",
        )
    mean_image = ""
    if given.mean_file:
        mean = _read_mean(Path(given.mean_file), train, Confinement(spec.extension_data.get(ROOTS) or EVERYWHERE))
        mean_image = _save_mean(folder, mean)
        values = tuple(float(v) for v in mean.reshape(mean.shape[0], -1).mean(axis=1))
        splits = {name: replace(split, meta=replace(split.meta, mean=values)) for name, split in splits.items()}
    labels = _classes({name: split.meta.class_labels for name, split in splits.items()})
    info = DatasetInfo(
        task=GENERIC.name,
        class_labels=labels,
        splits=dict(splits),
        feature_shape=train.feature_shape,
        mean_image=mean_image,
        extra={"prebuilt": {name: value for name, value in spec.extension_data.items() if name != ROOTS}},
    )
    return replace(info, task=of_dataset(info).name)


def _classes(named: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The names of the classes of all splits, whose records have numbers: where two name one number differently it is refused, as
    nothing says which is right. A split without names has the numbers as such."""
    spoken = {name: labels for name, labels in named.items() if labels != tuple(map(str, range(len(labels))))}
    longest = max(spoken or named, key=lambda name: len(named[name]))
    for split, labels in spoken.items():
        for number, (own, other) in enumerate(zip(labels, named[longest], strict=False)):
            if own != other:
                raise DataError(
                    f"Class {number} is {own!r} in {split} and {other!r} in {longest}.",
                    advice="Make both of pictures with one list of classes: records have the numbers, not the names.",
                )
    return named[longest]


def _read_mean(file: Path, meta: RecordMeta, allowed: Confinement) -> np.ndarray:
    try:
        with allowed.open(file) as content:
            mean = parse_mean(content.read(), meta.feature_shape)
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
