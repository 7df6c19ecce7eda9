"""What a model answered to each validation picture, in a few numbers: an Arrow IPC file, written whole, compressed.

One row per picture, by record. Column `record` (index in the split), then those that the metrics of the task declare
(`Metric.of_pictures`): numbers, fixed-size lists, or lists. The schema's metadata holds one JSON object under `about`: `step`,
`epoch`, `snapshot` (path in the model's folder), `metrics` of the whole split, `task`, `split`, `dataset_id`, `dataset_hash`
(`DatasetInfo.content_hash`), `total` (pictures of the split) and `stride` (every how many-th record is kept: a power of two, so
that two files have most of their records in common).

Files of a training lie in the folder `validation_pictures/` of its model, `step_<S>.arrow`, at most two: of the best snapshot and
of the last. Which step is the best says the event log alone; a file of another step belongs to no snapshot.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from digits.errors import StorageError
from digits.storage.files import atomic

FOLDER = "validation_pictures"
FILE = "validation_pictures.arrow"  # in the folder of an evaluation
ABOUT = b"about"


@dataclass(frozen=True)
class Ragged:
    """Lists of numbers of N pictures: `values` (T,) one after the other, `pictures` (T,) whose each is."""

    values: np.ndarray
    pictures: np.ndarray

    def chosen(self, rows: np.ndarray) -> Ragged:
        """The lists of the pictures `rows` (n,), in that order."""
        order = np.argsort(self.pictures, kind="stable")
        starts = np.searchsorted(self.pictures[order], [rows, rows + 1])  # (2, n)
        lengths = starts[1] - starts[0]
        places = np.repeat(starts[0] - np.append(0, np.cumsum(lengths)[:-1]), lengths) + np.arange(lengths.sum())
        return Ragged(self.values[order[places]], np.repeat(np.arange(len(rows)), lengths))


@dataclass(frozen=True)
class ValidationPictures:
    """A file that was read: `records` (N,) ascending, `columns` by name, (N,), (N, K) or `Ragged`, and `about`."""

    records: np.ndarray
    columns: Mapping[str, Any]
    about: Mapping[str, Any]

    def of_records(self, records: np.ndarray) -> dict[str, Any]:
        """The columns of these records (n,), all of which are there, in their order."""
        rows = np.searchsorted(self.records, records)
        return {name: c.chosen(rows) if isinstance(c, Ragged) else c[rows] for name, c in self.columns.items()}


def step_file(folder: Path, step: int) -> Path:
    """Where a training keeps what it found at a step."""
    return folder / FOLDER / f"step_{step}.arrow"


def write_pictures(path: Path, records: np.ndarray, columns: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Write a file: `records` (N,) in any order, each column (N,), (N, K) or a list of N arrays. DiskFull, StorageError."""
    order = np.argsort(records, kind="stable")
    arrays = [pa.array(np.asarray(records)[order].astype(np.int64)), *(_array(column, order) for column in columns.values())]
    schema = pa.schema([pa.field(n, a.type) for n, a in zip(("record", *columns), arrays, strict=True)])
    schema = schema.with_metadata({ABOUT: json.dumps(dict(about))})
    path.parent.mkdir(exist_ok=True)
    with (
        atomic(path) as handle,
        pa.ipc.new_file(handle, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer,
    ):
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def read_pictures(path: Path) -> ValidationPictures:
    """Raises StorageError where there is no such file, or none that can be read."""
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        about = json.loads((table.schema.metadata or {})[ABOUT])
    except (OSError, pa.ArrowInvalid, KeyError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}.", advice="Evaluate the model on its validation split.") from error
    columns = {name: _column(table[name]) for name in table.column_names}
    return ValidationPictures(columns.pop("record"), columns, about)


def _array(column: Any, order: np.ndarray) -> pa.Array:
    if isinstance(column, list):
        parts = [np.asarray(column[n]) for n in order]
        offsets = np.append(0, np.cumsum([len(part) for part in parts])).astype(np.int64)
        values = np.concatenate(parts) if parts else np.zeros(0)
        return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values))
    numbers = np.ascontiguousarray(column[order])
    return (
        pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), numbers.shape[1]) if numbers.ndim == 2 else pa.array(numbers)
    )


def _column(column: pa.ChunkedArray) -> Any:
    joined = column.combine_chunks()
    if pa.types.is_large_list(joined.type):
        lengths = np.diff(joined.offsets.to_numpy())
        return Ragged(joined.flatten().to_numpy(zero_copy_only=False), np.repeat(np.arange(len(joined)), lengths))
    if pa.types.is_fixed_size_list(joined.type):
        return joined.flatten().to_numpy(zero_copy_only=False).reshape(-1, joined.type.list_size)
    return joined.to_numpy(zero_copy_only=False)
