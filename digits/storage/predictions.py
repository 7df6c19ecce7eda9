"""The predictions of an evaluation: an Arrow IPC file, written in batches, whole or not there, read page by page.

Of a classification (`predictions.arrow`): one row per picture that could be read, in the order of the list. Columns: `path`
(file, or source of the record), `record` (index in the split, -1 for a file), `label` (true class, -1 unknown), `classes` and
`scores` (the k most probable classes, best first, probabilities in [0, 1]), `true_score` (probability of the true class, NaN
unknown), and, for at most `MAX_PROBABILITIES` classes, `probabilities` (all of them, float32).

Of any other task (`outputs.arrow`): one row per picture that could be read, in order. Columns: `path` and `record` as above,
`output` (zlib of a `.npy` file: class per pixel (H, W), picture (C, H, W), boxes (M, 6) or numbers), and one float64 column
per metric of a single picture (NaN where it is not known).
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

PREDICTIONS_FILE = "predictions.arrow"
OUTPUTS_FILE = "outputs.arrow"
OUTPUT_COLUMNS = ("path", "record", "output")
MAX_PROBABILITIES = 256
SORTS = ("index", "confidence", "loss", "label", "predicted")


@dataclass(frozen=True)
class Row:
    """One picture: `top` is `(class, probability)` best first; `loss` the negative logarithm of the true class's probability."""

    index: int
    path: str
    record: int
    label: int
    top: tuple[tuple[int, float], ...]
    loss: float | None

    @property
    def correct(self) -> bool | None:
        """Whether the best class is the true one; None where that is unknown."""
        return None if self.label < 0 else self.top[0][0] == self.label


class PredictionWriter:
    """Appends batches; the file appears when the `writing` block ends without an error."""

    def __init__(self, handle: Any, classes: int, top: int) -> None:
        self.classes = classes
        self.top = min(top, classes)
        self.rows = 0
        self.schema = _schema(classes, self.top)
        self._writer = pa.ipc.new_file(handle, self.schema)

    def append(self, paths: Sequence[str], records: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Add N pictures: `records` and `labels` (N,) integers, `probabilities` (N, K) float32."""
        order = best_first(probabilities, labels)[:, : self.top]
        scores = np.take_along_axis(probabilities, order, axis=1)
        columns = [
            pa.array(list(paths), pa.string()),
            pa.array(records, pa.int64()),
            pa.array(labels, pa.int32()),
            _fixed(order.astype(np.int32)),
            _fixed(scores.astype(np.float32)),
            pa.array(true_scores(probabilities, labels), pa.float32()),
        ]
        if self.classes <= MAX_PROBABILITIES:
            columns.append(_fixed(probabilities.astype(np.float32)))
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self.schema))
        self.rows += len(paths)

    def close(self) -> None:
        self._writer.close()


@contextlib.contextmanager
def writing_predictions(path: Path, classes: int, top: int) -> Iterator[PredictionWriter]:
    """A writer whose file takes the name `path` at the end. Raises DiskFull, StorageError."""
    with atomic(path) as handle:
        writer = PredictionWriter(handle, classes, top)
        try:
            yield writer
        finally:
            writer.close()


class PredictionReader:
    """Reads a finished file; cheap to make, safe to share between threads."""

    def __init__(self, path: Path) -> None:
        try:
            self.table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        except (OSError, pa.ArrowInvalid) as error:
            raise StorageError(f"{path} cannot be read: {error}.", advice="Run the evaluation again.") from error

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def labels(self) -> np.ndarray:
        """True classes, (N,) int32, -1 where unknown."""
        return self.table["label"].to_numpy()

    def best(self) -> tuple[np.ndarray, np.ndarray]:
        """Most probable class (N,) int32 and its probability (N,) float32."""
        return _matrix(self.table["classes"])[:, 0], _matrix(self.table["scores"])[:, 0]

    def true_scores(self) -> np.ndarray:
        """Probability of the true class, (N,) float32, NaN where it is unknown."""
        return self.table["true_score"].to_numpy()

    def probabilities(self) -> np.ndarray | None:
        """All probabilities (N, K) float32, or None where they were not kept."""
        return _matrix(self.table["probabilities"]) if "probabilities" in self.table.column_names else None

    def select(
        self,
        *,
        only: str = "",
        label: int | None = None,
        predicted: int | None = None,
        sort: str = "index",
        descending: bool = False,
    ) -> np.ndarray:
        """Row numbers, int64 (n,), of those that match, in order. `only` is `wrong`, `right` or empty; `sort` one of `SORTS`."""
        best, scores = self.best()
        labels = self.labels()
        keep = np.ones(len(self), dtype=bool)
        if only in ("wrong", "right"):
            keep &= (labels >= 0) & ((best == labels) == (only == "right"))
        if label is not None:
            keep &= labels == label
        if predicted is not None:
            keep &= best == predicted
        rows = np.flatnonzero(keep)
        if sort not in SORTS or sort == "index":
            return rows[::-1] if descending else rows
        keys = {"confidence": scores, "loss": -self.true_scores(), "label": labels, "predicted": best}[sort]
        values = np.nan_to_num(keys[rows].astype(np.float64), nan=-2.0)
        return rows[np.argsort(-values if descending else values, kind="stable")]

    def rows(self, numbers: Sequence[int] | np.ndarray) -> list[Row]:
        """The rows of those numbers (n,), in the order given."""
        wanted = [int(n) for n in numbers]
        if not wanted:
            return []
        values = self.table.drop_columns([n for n in ("probabilities",) if n in self.table.column_names])
        return [_row(n, value) for n, value in zip(wanted, values.take(wanted).to_pylist(), strict=True)]

    def batches(self, size: int = 4096) -> Iterator[list[Row]]:
        """All rows in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.rows(range(start, min(start + size, len(self))))


def best_first(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Classes of each picture by their probability (N, K), int64 (N, K). Equal ones keep their order, but that the true class,
    `labels` (N,), comes last among them: a tie is broken against the model, as the accuracies of the report count it."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    own = true_scores(probabilities, labels)[:, np.newaxis]
    for row in np.flatnonzero((probabilities == own).sum(axis=1) > 1):
        order[row] = np.lexsort((np.arange(probabilities.shape[1]) == labels[row], -probabilities[row]))
    return order


def true_scores(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Probability of each true class, (N,) float32, of `probabilities` (N, K); NaN for `labels` (N,) outside [0, K)."""
    known = (labels >= 0) & (labels < probabilities.shape[1])
    found = np.full(len(labels), np.nan, dtype=np.float32)
    found[known] = probabilities[known, labels[known]]
    return found


def _schema(classes: int, top: int) -> pa.Schema:
    fields = [
        ("path", pa.string()),
        ("record", pa.int64()),
        ("label", pa.int32()),
        ("classes", pa.list_(pa.int32(), top)),
        ("scores", pa.list_(pa.float32(), top)),
        ("true_score", pa.float32()),
    ]
    if classes <= MAX_PROBABILITIES:
        fields.append(("probabilities", pa.list_(pa.float32(), classes)))
    return pa.schema(fields)


def _fixed(matrix: np.ndarray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(matrix).ravel()), matrix.shape[1])


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    width = column.type.list_size
    parts = [chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, width) for chunk in column.chunks]
    return np.concatenate(parts) if parts else np.zeros((0, width))


def _row(number: int, value: dict[str, Any]) -> Row:
    score = value["true_score"]
    known = score is not None and math.isfinite(score)
    return Row(
        index=number,
        path=value["path"],
        record=value["record"],
        label=value["label"],
        top=tuple(zip(value["classes"], value["scores"], strict=True)),
        loss=-math.log(max(score, 1e-12)) if known else None,
    )


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
        """Add N pictures: the output of each, of any shape and dtype, e.g. (H, W) classes or (n, 6) boxes, and its metrics,
        NaN where one is not given."""
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
def writing_outputs(path: Path, metrics: Sequence[str]) -> Iterator[OutputWriter]:
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
        return [name for name in self.table.column_names if name not in OUTPUT_COLUMNS]

    def order(self, metric: str = "", descending: bool = False) -> np.ndarray:
        """Row numbers, int64 (N,), sorted by a metric (unknown values last), or in their own order."""
        if metric not in self.metrics:
            return np.arange(len(self))[:: -1 if descending else 1]
        values = self.table[metric].to_numpy()
        return np.argsort(-values if descending else values, kind="stable")  # NaN sorts last either way

    def rows(self, numbers: Sequence[int] | np.ndarray) -> list[Output]:
        """The rows of those numbers (n,), in the order given."""
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
