"""The outputs of an evaluation that is no classification: an Arrow IPC file, whole or not there, read row by row.

One row per picture that could be read, in order. Columns: `path` (file, or source of the record), `record` (index in the
split, -1 for a file), `output` (zlib of a `.npy` file: class per pixel (H, W), picture (C, H, W), boxes (M, 6) or numbers), and
one float64 column per metric of a single picture (NaN where it is not known).
"""

from __future__ import annotations

import contextlib
import io
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from digits.errors import StorageError
from digits.storage.files import atomic
from digits.utils.finite import finite

FILE_NAME = "outputs.arrow"
OWN = ("path", "record", "output")


@dataclass(frozen=True)
class Output:
    """One picture; `values` by metric, None where not known."""

    index: int
    path: str
    record: int
    output: np.ndarray
    values: dict[str, float | None]


class OutputWriter:
    """Appends pictures; the file appears when the `writing` block ends without an error."""

    def __init__(self, handle: Any, metrics: Sequence[str]) -> None:
        self.metrics = list(metrics)
        fields = [("path", pa.string()), ("record", pa.int64()), ("output", pa.binary())]
        self.schema = pa.schema([*fields, *((name, pa.float64()) for name in self.metrics)])
        self._writer = pa.ipc.new_file(handle, self.schema)

    def append(
        self, paths: Sequence[str], records: Sequence[int], outputs: Sequence[np.ndarray], values: Sequence[Mapping[str, float]]
    ) -> None:
        """Add N pictures."""
        columns = [
            pa.array(list(paths), pa.string()),
            pa.array(list(records), pa.int64()),
            pa.array(map(_pack, outputs), pa.binary()),
        ]
        columns += [pa.array([row.get(name, math.nan) for row in values], pa.float64()) for name in self.metrics]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self.schema))

    def close(self) -> None:
        self._writer.close()


@contextlib.contextmanager
def writing(path: Path, metrics: Sequence[str]) -> Iterator[OutputWriter]:
    """A writer whose file takes the name `path` at the end. Raises DiskFull, StorageError."""
    with atomic(path) as handle:
        writer = OutputWriter(handle, metrics)
        try:
            yield writer
        finally:
            writer.close()


class OutputReader:
    """Reads a finished file; cheap to make, safe to share between threads."""

    def __init__(self, path: Path) -> None:
        try:
            self.table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        except (OSError, pa.ArrowInvalid) as error:
            raise StorageError(f"{path} cannot be read: {error}.", advice="Run the evaluation again.") from error

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def metrics(self) -> list[str]:
        return [name for name in self.table.column_names if name not in OWN]

    def order(self, metric: str = "", descending: bool = False) -> np.ndarray:
        """Row numbers sorted by a metric (unknown values last), or in their own order."""
        if metric not in self.metrics:
            return np.arange(len(self))[:: -1 if descending else 1]
        values = self.table[metric].to_numpy()
        return np.argsort(-values if descending else values, kind="stable")  # NaN sorts last either way

    def rows(self, numbers: Sequence[int] | np.ndarray) -> list[Output]:
        """The rows of those numbers, in the order given."""
        wanted = [int(n) for n in numbers]
        return [self._row(n, row) for n, row in zip(wanted, self.table.take(wanted).to_pylist() if wanted else [], strict=True)]

    def values(self, size: int = 4096) -> Iterator[list[Any]]:
        """`[path, record, *metrics]` of every row, in order."""
        table = self.table.drop_columns(["output"])
        for start in range(0, len(self), size):
            yield from (list(row.values()) for row in table.slice(start, size).to_pylist())

    def _row(self, number: int, row: Mapping[str, Any]) -> Output:
        values = finite({name: row[name] for name in self.metrics})
        return Output(number, row["path"], row["record"], _unpack(row["output"]), values)


def _pack(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return zlib.compress(buffer.getvalue(), 1)


def _unpack(data: bytes) -> np.ndarray:
    return np.load(io.BytesIO(zlib.decompress(data)), allow_pickle=False)
