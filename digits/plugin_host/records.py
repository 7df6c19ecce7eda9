"""Reads records of databases of others, which a request names or a data set uses in place, an LMDB or a split: in this process,
which has a deadline and a memory limit, and not in the one that answers pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from digits.errors import BadRequest, NotFound, StorageError
from digits.images.prepare_for_model import find_origin_of_record
from digits.storage.folders import JobFolder
from digits.storage.records import boxes as box_arrays
from digits.storage.records.caffe_datum import DatumDatabase
from digits.storage.records.open import is_complete, open_records, open_split
from digits.utils.confinement import Confinement

Record = tuple[str, str, np.ndarray, Any, list[float]]  # key, number, feature (C, H, W), label, origin


def read(
    path: Path, roots: Sequence[str], start: int, count: int, most: int, limit: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of the first `limit` records (0: all, but not more than `most`) those from `start` on, at most `count`.

    Returns `total`, how many there are to be read in all, `keys`, `numbers` and `origins` (`Origin.numbers`, empty where that is
    not known), and arrays `<i>/feature` (C, H, W) and, where there is one, `<i>/label`. Raises BadRequest, DataError and
    StorageError.
    """
    allowed = Confinement(roots)
    split = path.parent if path.name in ("features", "labels") and is_complete(path.parent) else path
    if is_complete(split):
        reader = open_records(split, allowed)
        total = _counted(len(reader), limit, most)
        found = list(_of_split(split, reader, range(start, min(start + count, total))))
    else:
        with DatumDatabase(path, allowed) as database:
            total = _counted(len(database), limit, most)
            found = [
                (key, key, datum.array, datum.label, []) for key, datum in islice(database.items(total), start, start + count)
            ]
    arrays: dict[str, Any] = {}
    for row, (_, _, feature, label, _) in enumerate(found):
        arrays[f"{row}/feature"] = np.ascontiguousarray(feature)
        if label is not None:
            box_arrays.put(arrays, f"{row}/label", label)
    names = {"keys": [one[0] for one in found], "numbers": [one[1] for one in found], "origins": [one[4] for one in found]}
    return {"total": total, **names}, arrays


def read_of_dataset(dataset: JobFolder, split: str, row: int, what: str) -> np.ndarray:
    """The `feature` or the `label` of a record of a data set, (C, H, W). Raises DataError, StorageError."""
    reader = open_split(dataset, split)
    if not 0 <= row < len(reader):
        raise NotFound(f"There is no record {row} in {split}.")
    found = reader.feature(row) if what == "feature" else reader.labels([row])[0]
    return np.ascontiguousarray(found)


def _of_split(split: Path, reader: Any, rows: range) -> Iterator[Record]:
    described = _described(JobFolder(split.parent))
    for row in rows:
        labels, key = reader.labels([row]), str(reader.column("key", [row])[0])
        number = key if key.isdigit() else f"{row:09d}"  # one entry of several samples has keys with two numbers
        feature = reader.feature(row)
        width, height = (int(side) for side in reader.column("original_size", [row])[0])
        origin = find_origin_of_record(described, (width, height), (feature.shape[2], feature.shape[1]))
        yield key, number, feature, None if labels is None else labels[0], [] if origin is None else origin.numbers


def _described(dataset: JobFolder) -> Mapping[str, Any]:
    """What the data set of a split says of itself (`DatasetInfo.extra`); nothing where the split lies elsewhere."""
    try:
        info = dataset.find_dataset_info()
    except StorageError:
        return {}
    return info.extra if info is not None else {}


def _counted(records: int, limit: int, most: int) -> int:
    """How many of a database's records are tested; never fewer than requested without a word."""
    if not limit and records > most:
        raise BadRequest(
            f"The database has {records} records; at most {most} are tested at once.",
            advice="Set num_test_images to test the first ones, or evaluate the model on the split, which has no such limit.",
        )
    return min(records, limit or records)
