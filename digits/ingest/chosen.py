"""Data sets of records that were chosen of another one, such as those that a model took for something else.

Records are copied as they are stored, column by column, with their labels and everything else; only what is counted over a split
is counted anew. The numbers of the records lie in the job's folder.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from digits.domain.datasets import (
    CHOSEN_FILE,
    STAGES,
    TRAIN_DB,
    VAL_DB,
    ChosenRecords,
    DatasetInfo,
    DatasetSpec,
    RecordMeta,
    SplitInfo,
)
from digits.domain.events import LogEvent
from digits.errors import DataError, JobStopped
from digits.ingest.pipeline import IngestContext
from digits.ingest.progress import Progress
from digits.ingest.split_statistics import MEAN_ARRAY_FILE, LabelStatistics, Sums, content_hash, size_histogram, write_mean
from digits.storage.files import read_json, tree_size, write_json
from digits.storage.folders import JobFolder
from digits.storage.records.open import open_split
from digits.storage.records.reader import META_KEY, RecordReader, remove_split
from digits.storage.records.shards import write_shard
from digits.storage.records.writer import MARKER
from digits.tasks import Labels, of

AT_ONCE = 64  # records that are counted together
SHARD_BYTES, TAKEN_BYTES = 256_000_000, 32_000_000  # of a file, and in memory beside it
FORGOTTEN = ("labels", "problem_counts", "left_out", "prebuilt", "random_seed", "mean_array")  # of what a data set says of itself


def ingest_chosen(folder: JobFolder, spec: DatasetSpec, context: IngestContext) -> DatasetInfo:
    """Write the splits of a job and `dataset.json`. Raises DataError where the records are not there any more, JobStopped."""
    _clear(folder)
    try:
        chosen = ChosenRecords(**spec.extension_data)
        source = JobFolder(folder.path.parent / chosen.dataset_id)
        info = _copied(folder, chosen, source.dataset_info(), open_split(source, chosen.split), context)
        context.retry_when_disk_full(lambda: write_json(folder.dataset_file, info.to_json()))
        return info
    except BaseException:
        _clear(folder)
        raise


def divided(groups: Sequence[str], percent_val: float, seed: int = 0) -> tuple[list[int], list[int]]:
    """Places of the records of these groups (empty: of none) for training and for validation, ascending; those of one group stay
    together."""
    names = [group or f"\0{place}" for place, group in enumerate(groups)]
    counts = Counter(names)
    order = list(counts)
    np.random.default_rng(seed).shuffle(order)
    wanted, taken, held = round(len(names) * percent_val / 100), 0, set[str]()
    for name in order:
        if taken >= wanted:
            break
        held.add(name)
        taken += counts[name]
    val = [place for place, name in enumerate(names) if name in held]
    return [place for place, name in enumerate(names) if name not in held], val


def _copied(
    folder: JobFolder, chosen: ChosenRecords, source: DatasetInfo, reader: RecordReader, context: IngestContext
) -> DatasetInfo:
    rows = np.array(sorted({int(row) for row in read_json(folder.path / CHOSEN_FILE)}), np.int64)
    if not len(rows) or rows[0] < 0 or rows[-1] >= len(reader):
        raise DataError("The records that were chosen are not in the data set any more.", advice="Choose them again.")
    context.emit(LogEvent(message=f"Copying {len(rows):,} of {len(reader):,} records of {chosen.dataset_id}."))
    train, val = divided(reader.column("group", rows), chosen.percent_val)
    if not train:
        raise DataError("All of the records would be for the validation.", advice="Give a smaller share.")
    progress = Progress(context.emit, len(rows), "entries")
    splits: dict[str, SplitInfo] = {}
    statistics: dict[str, LabelStatistics] = {}
    mean_image = ""
    for name, places in ((TRAIN_DB, train), (VAL_DB, val)):
        if not places:
            continue
        progress.stage(name)
        sums, counted = _counted(reader, rows[places], source, progress, context)
        mean, std = sums.over_pictures(reader.meta.pictures).mean_and_std()
        meta = replace(reader.meta, mean=mean, std=std)
        context.retry_when_disk_full(partial(_write, folder.path / name, reader, rows[places], meta))
        if name == TRAIN_DB:
            mean_image = write_mean(folder.path, sums.over_pictures(meta.pictures), len(places))
        statistics[name] = counted
        splits[name] = _split(folder.path / name, name, meta, counted)
    readers = {name: RecordReader(folder.path / name) for name in splits}
    labels = {name: found for name, facts in statistics.items() if (found := facts.to_json())}
    extra = {name: value for name, value in source.extra.items() if name not in FORGOTTEN}
    extra |= {**({"labels": labels} if labels else {}), "problem_counts": {}, "left_out": 0}
    extra |= {**({"mean_array": MEAN_ARRAY_FILE} if mean_image else {}), "made_from": chosen.made_from}
    info = replace(
        source,
        splits=splits,
        feature_shape=reader.meta.feature_shape,
        sizes=size_histogram(readers),
        problems=0,
        duplicates=0,
        mean_image=mean_image,
        extra=extra,
    )
    return replace(info, content_hash=content_hash(readers, statistics, info))


def _counted(
    reader: RecordReader, rows: np.ndarray, source: DatasetInfo, progress: Progress, context: IngestContext
) -> tuple[Sums, LabelStatistics]:
    """Sums over the features of records `rows` (n,), and what their labels add up to."""
    sums, counted = Sums(), LabelStatistics()
    for start in range(0, len(rows), AT_ONCE):
        if context.should_stop():
            raise JobStopped("Stopped while records were copied.")
        some = rows[start : start + AT_ONCE]
        if reader.meta.feature_shape is not None:
            sums.add(reader.features(some), True)
        else:
            for row in some:
                sums.add(reader.feature(int(row))[np.newaxis], False)
        labels = reader.labels(some)
        found = [None] * len(some) if labels is None else list(labels)
        if labels is not None:
            shapes = np.array(reader.column("shape", some), np.int64).reshape(-1, 3)
            counted.add(reader.meta, found, shapes, source.ignored)
        counted.mark([bytes(value) for value in reader.column("hash", some)], found)
        progress.advance(len(some))
    return sums, counted


def _split(path: Path, name: str, meta: RecordMeta, counted: LabelStatistics) -> SplitInfo:
    reader = RecordReader(path)
    counts = tuple(counted.images)
    if of(meta.task, Labels.of_records(meta)).counted == "records":
        counts = tuple(int(count) for count in reader.class_counts(len(meta.class_labels)))
    return SplitInfo(name, len(reader), meta, counts, 0, tree_size(path))


def _write(path: Path, reader: RecordReader, rows: np.ndarray, meta: RecordMeta) -> None:
    """Write records `rows` (n,), ascending, as a split of its own."""
    remove_split(path)
    path.mkdir()
    done: list[dict[str, Any]] = []
    metadata = {META_KEY: json.dumps(meta.to_json()).encode()}
    for batch in _pieces(reader.taken(rows, TAKEN_BYTES)):
        file = path / f"shard-{len(done):05d}.arrow"
        arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
        write_shard(file, arrays, metadata, [])
        done.append({"file": file.name, "rows": batch.num_rows, "bytes": file.stat().st_size})
    write_json(path / MARKER, {"schema": meta.schema, "rows": len(rows), "meta": meta.to_json(), "shards": done})


def _pieces(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same records in batches of no more than a shard's size; of very small ones several together."""
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        if held and size + batch.nbytes > SHARD_BYTES:
            yield pa.Table.from_batches(held).combine_chunks().to_batches()[0]
            held, size = [], 0
        held.append(batch)
        size += batch.nbytes
    if held:
        yield pa.Table.from_batches(held).combine_chunks().to_batches()[0]


def _clear(folder: JobFolder) -> None:
    folder.dataset_file.unlink(missing_ok=True)
    for name in STAGES:
        remove_split(folder.path / name)
