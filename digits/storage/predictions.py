"""The predictions of an evaluation: an Arrow IPC file, written in batches, whole or not there, read page by page.

One row per picture that could be read, in the order of the source. Columns of every task: `path` (file, or source of the record)
and `record` (index in the split, -1 for a file); then those that the task's report declares (`Task.report`):

* of one class for each picture: `label` (true class, -1 where it is not known, or none of the model's), `unknown_label` (place of
  a true class that the model does not know among the result's `unknown_classes`, else -1), `classes` and `scores` (the k most
  probable classes, best first, probabilities in [0, 1]; -1 and NaN where the network gave no numbers), `true_score` (probability
  of the true class, NaN unknown), `loss` (minus its logarithm, which files of earlier versions lack), and, for at most
  `MAX_PROBABILITIES` classes, `probabilities` (all of them, float32);
* of every other task: `output` (zlib of a `.npy` file: class per pixel (H, W), picture (C, H, W), boxes (M, 6) or numbers), and
  one float64 column per metric of a single picture (NaN where it is not known); of those whose outputs lie over the picture
  `origin`: eight numbers, x and y of the given picture's size, of the size that the output is for, of scale and offset. A
  point at x of the output lies at (x − offset) · scale of the given picture (NaN where that is not known).
"""

from __future__ import annotations

import contextlib
import io
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from digits.domain.inference import RANKED
from digits.domain.metrics import LOSS, is_lower_better
from digits.errors import StorageError
from digits.storage.files import atomic
from digits.utils.values import finite

PREDICTIONS_FILE = "predictions.arrow"
ANALYSIS_FILE = "analysis.json"  # what is told beyond the metrics, beside them
OLD_FILE = "outputs.arrow"  # of tasks with outputs, as long as they had a file of their own
MAX_PROBABILITIES = 1000
LEAST_PROBABILITY = 1e-12  # of which a logarithm is taken, in files of earlier versions
RANKED_SORTS = ("index", "confidence", "loss", "label", "predicted")  # of pictures with their most probable classes


@dataclass(frozen=True)
class Column:
    """What a task keeps of each picture: `width` numbers of a NumPy `dtype` (0: a single number), or without a dtype an array of
    any shape and type."""

    name: str
    dtype: str = ""
    width: int = 0

    @property
    def stored(self) -> pa.DataType:
        """How it lies in the file."""
        if not self.dtype:
            return pa.binary()
        number = pa.from_numpy_dtype(np.dtype(self.dtype))
        return pa.list_(number, self.width) if self.width else number

    def array(self, values: Any) -> pa.Array:
        """Values of N pictures: numbers (N,) or (N, width), or N arrays."""
        if not self.dtype:
            return pa.array(map(_pack, values), pa.binary())
        numbers = np.ascontiguousarray(values, self.dtype)
        return pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), self.width) if self.width else pa.array(numbers)


ORIGIN = Column("origin", "float64", 8)
NO_ORIGIN = (math.nan,) * ORIGIN.width


@dataclass(frozen=True)
class Row:
    """One picture; what its task does not keep is empty. `top` is `(class, probability)` best first, `loss` the negative
    logarithm of the true class's probability, `output` an array of any shape, `values` its metrics, None where not known."""

    index: int
    path: str
    record: int
    label: int = -1
    unknown_label: int = -1
    top: tuple[tuple[int, float], ...] = ()
    loss: float | None = None
    output: np.ndarray = field(default_factory=lambda: np.zeros(0))
    values: dict[str, float | None] = field(default_factory=dict)
    origin: tuple[float, ...] = ()  # as the column, empty where it is not known

    @property
    def correct(self) -> bool | None:
        """Whether the best class is the true one; None where that is unknown."""
        return None if self.label < 0 else bool(self.top) and self.top[0][0] == self.label


class PredictionWriter:
    """Appends batches; the file appears when the `writing` block ends without an error."""

    def __init__(self, handle: Any, columns: Sequence[Column]) -> None:
        self.columns = list(columns)
        fields = [("path", pa.string()), ("record", pa.int64()), *((c.name, c.stored) for c in self.columns)]
        self.schema = pa.schema(fields)
        self._writer = pa.ipc.new_file(handle, self.schema)

    def append(self, paths: Sequence[str], records: Sequence[int] | np.ndarray, values: Mapping[str, Any]) -> None:
        """Add N pictures: `records` (N,) integers, and of each column `values` as `Column.array` takes them."""
        columns = [pa.array(list(paths), pa.string()), pa.array(records, pa.int64())]
        columns += [column.array(values[column.name]) for column in self.columns]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self.schema))

    def close(self) -> None:
        self._writer.close()


@contextlib.contextmanager
def writing_predictions(path: Path, columns: Sequence[Column]) -> Iterator[PredictionWriter]:
    """A writer whose file takes the name `path` at the end. Raises DiskFull, StorageError."""
    with atomic(path) as handle:
        writer = PredictionWriter(handle, columns)
        try:
            yield writer
        finally:
            writer.close()


class Shares:
    """Probabilities (N, K) float32 of the pictures `chosen` (ascending row numbers; all by default), which stay in the file: at
    most what is asked for is in memory."""

    def __init__(self, column: pa.ChunkedArray, chosen: np.ndarray | None = None) -> None:
        self._column = column
        self._parts = [_numbers(chunk) for chunk in column.chunks if len(chunk)]
        self._starts = np.cumsum([0, *map(len, self._parts)])
        self._chosen = np.arange(self._starts[-1]) if chosen is None else chosen
        self.shape = len(self._chosen), int(column.type.list_size)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """(n, K) of ascending places (n,) among the chosen ones."""
        wanted = self._chosen[rows]
        part_of = np.searchsorted(self._starts, wanted, side="right") - 1
        found = [self._parts[part][wanted[part_of == part] - self._starts[part]] for part in np.unique(part_of)]
        return np.concatenate(found) if found else np.zeros((0, self.shape[1]), np.float32)

    def only(self, rows: np.ndarray) -> Shares:
        """Those of ascending places (n,), or of a mask (N,), among the chosen ones."""
        return Shares(self._column, self._chosen[rows])

    def columns(self, start: int, stop: int) -> np.ndarray:
        """(N, k) float32 in [0, 1] of the classes from `start` up to `stop`."""
        return np.concatenate([part[:, start:stop] for part in self._parts])[self._chosen]


def predictions_file(folder: Path) -> Path:
    """The file of an evaluation's folder, under the name that it has there."""
    old = folder / OLD_FILE
    return old if old.is_file() else folder / PREDICTIONS_FILE


class PredictionReader:
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
        """Metrics of one picture."""
        return [column.name for column in self.table.schema if column.type == pa.float64()]

    @property
    def is_ranked(self) -> bool:
        """Whether the most probable classes were kept, by which pictures can be chosen."""
        return RANKED in self.table.column_names

    @property
    def sorts(self) -> tuple[str, ...]:
        """What `select` sorts by: `index` is the order of the source, all others are numbers of a picture."""
        return RANKED_SORTS if self.is_ranked else ("index", *self.metrics)

    def labels(self) -> np.ndarray:
        """True classes, (N,) int32, -1 where unknown."""
        return self.table["label"].to_numpy()

    def best(self) -> tuple[np.ndarray, np.ndarray]:
        """Most probable class (N,) int32 and its probability (N,) float32; -1 and NaN where the network gave no numbers."""
        classes, scores = _matrix(self.table["classes"])[:, 0], _matrix(self.table["scores"])[:, 0]
        return np.where(np.isnan(scores), -1, classes), scores

    def true_scores(self) -> np.ndarray:
        """Probability of the true class, (N,) float32, NaN where it is unknown."""
        return self.table["true_score"].to_numpy()

    def losses(self) -> np.ndarray:
        """Minus the logarithm of the probability of the true class, (N,) float32, NaN where it is unknown."""
        if LOSS in self.table.column_names:
            return self.table[LOSS].to_numpy()
        return -np.log(np.maximum(self.true_scores(), LEAST_PROBABILITY))

    def probabilities(self) -> Shares | None:
        """All probabilities (N, K), which stay in the file, or None where they were not kept."""
        return Shares(self.table["probabilities"]) if "probabilities" in self.table.column_names else None

    def select(
        self,
        *,
        only: str = "",
        label: int | None = None,
        predicted: int | None = None,
        sort: str = "index",
        descending: bool = False,
    ) -> np.ndarray:
        """Row numbers, int64 (n,), of those that match, sorted by one of `sorts`; unknown values come last, but a value that is
        none because the network gave no numbers is the worst. `only` is `wrong`, `right` or empty; it, `label` and `predicted`
        (class numbers) need most probable classes."""
        if not self.is_ranked:
            return _ordered(np.arange(len(self)), self._measured(sort) if sort in self.metrics else None, descending)
        (best, scores), labels = self.best(), self.labels()
        keep = np.ones(len(self), dtype=bool)
        if only in ("wrong", "right"):
            keep &= (labels >= 0) & ((best == labels) == (only == "right"))
        if label is not None:
            keep &= labels == label
        if predicted is not None:
            keep &= best == predicted
        known = np.where(labels < 0, np.nan, labels)
        losses = np.where((labels >= 0) & np.isnan(scores), np.inf, self.losses())
        keys = {"confidence": scores, LOSS: losses, "label": known, "predicted": np.where(best < 0, np.nan, best)}
        return _ordered(np.flatnonzero(keep), keys.get(sort), descending)

    def rows(self, numbers: Sequence[int] | np.ndarray) -> list[Row]:
        """The rows of those numbers (n,), in the order given."""
        wanted = [int(n) for n in numbers]
        if not wanted:
            return []
        values = self._without("probabilities").take(wanted).to_pylist()
        return [_row(n, value, self.metrics) for n, value in zip(wanted, values, strict=True)]

    def batches(self, size: int = 4096) -> Iterator[list[Row]]:
        """All rows in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.rows(range(start, min(start + size, len(self))))

    def values(self, size: int = 4096) -> Iterator[list[Any]]:
        """`[path, record, *metrics]` of every row, in order."""
        table = self.table.select(["path", "record", *self.metrics])
        for start in range(0, len(self), size):
            yield from (list(row.values()) for row in table.slice(start, size).to_pylist())

    def _measured(self, name: str) -> np.ndarray:
        """A metric of each picture, float64 (N,): infinitely bad where it has no value because the output is no number."""
        values = self.table[name].to_numpy().copy()
        worst = math.inf if is_lower_better(name) else -math.inf
        for row in np.flatnonzero(np.isnan(values)).tolist():
            if not np.isfinite(_unpack(self.table["output"][row].as_py())).all():
                values[row] = worst
        return values

    def _without(self, name: str) -> pa.Table:
        return self.table.drop_columns([name]) if name in self.table.column_names else self.table


def _ordered(rows: np.ndarray, numbers: np.ndarray | None, descending: bool) -> np.ndarray:
    """Row numbers (n,) by `numbers` of all rows (N,), NaN last either way; without any in their own order or its reverse."""
    if numbers is None:
        return rows[::-1] if descending else rows
    values = numbers[rows].astype(np.float64)
    return rows[np.argsort(-values if descending else values, kind="stable")]


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    width = column.type.list_size
    parts = [_numbers(chunk) for chunk in column.chunks]
    return np.concatenate(parts) if parts else np.zeros((0, width))


def _numbers(chunk: pa.FixedSizeListArray) -> np.ndarray:
    """(n, width), in the file as long as nobody copies it."""
    return np.asarray(chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, chunk.type.list_size))


def _row(number: int, value: Mapping[str, Any], metrics: Sequence[str]) -> Row:
    score = float(value.get("true_score", math.nan))
    loss = value.get(LOSS, -math.log(max(score, LEAST_PROBABILITY)) if math.isfinite(score) else math.nan)
    return Row(
        index=number,
        path=value["path"],
        record=value["record"],
        label=value.get("label", -1),
        unknown_label=value.get("unknown_label", -1),
        top=_known(zip(value.get("classes", ()), value.get("scores", ()), strict=True)),
        loss=finite(loss),
        output=_unpack(value["output"]) if "output" in value else np.zeros(0),
        values=finite({name: value[name] for name in metrics}),
        origin=tuple(number for number in value.get(ORIGIN.name, ()) if not math.isnan(number)),
    )


def _known(top: Iterable[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """The classes with a probability: none where the network gave no numbers."""
    return tuple((number, score) for number, score in top if not math.isnan(score))


def _pack(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return zlib.compress(buffer.getvalue(), 1)


def _unpack(data: bytes) -> np.ndarray:
    return np.load(io.BytesIO(zlib.decompress(data)), allow_pickle=False)
