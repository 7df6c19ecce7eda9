"""The records of one split: Arrow IPC files that pyarrow alone can read, written once and then only read.

Holds: a shard is one record batch under 1 GB, so that a memory map of unencoded features is one NumPy array and a batch of a
training one fancy index; no column has nulls; features are (C,H,W), colour in RGB; what `array()` gives is read-only. A
split is readable only when its last file, `records.json`, stands: an aborted or killed ingest leaves nothing that looks
whole. Columns: `key`, `feature`, `label` (not for label kind `none`), `shape` (C,H,W), `source`, `original_size`
(width, height; 0,0 unknown), `group`, `hash` (16 bytes), `label_shape` where labels differ in shape.
A reader may be shared by threads and pickled (each process maps the files for itself).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from digits.domain.datasets import RecordMeta
from digits.errors import StorageError
from digits.storage.files import read_json
from digits.storage.records.boxes import BOX_CROWD, BOX_DIFFICULT, BOX_DTYPE, BOX_IGNORED
from digits.storage.records.codec import decode
from digits.storage.records.writer import HASH_BYTES, MARKER, META_KEY, RecordChunk, RecordWriter, is_complete, remove_split
from digits.utils.confinement import Confinement

__all__ = [
    "BOX_CROWD",
    "BOX_DIFFICULT",
    "BOX_DTYPE",
    "BOX_IGNORED",
    "HASH_BYTES",
    "META_KEY",
    "RecordChunk",
    "RecordReader",
    "RecordWriter",
    "is_complete",
    "remove_split",
]
SEARCHED = ("index", "vector", "boxes")  # kinds of labels in which a class is found


class RecordReader:
    """Reads one finished split of ours (`records.open` opens those of others too). Raises StorageError when it is not whole."""

    def __init__(self, split_dir: Path) -> None:
        self.path = Path(split_dir)
        if not is_complete(self.path):
            raise StorageError(f"{self.path} holds no finished records.", advice="Create the data set again.")
        marker = read_json(self.path / MARKER)
        if "shards" not in marker:
            advice = "Open it with digits.storage.records.open_records."
            raise StorageError(f"{self.path} is a database of others that is used in place.", advice=advice)
        try:
            self.meta = RecordMeta.from_json(marker["meta"])
            inside = Confinement([self.path])
            self._files = [self.path / shard["file"] for shard in marker["shards"]]
            rows = [int(shard["rows"]) for shard in marker["shards"]]
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(f"{self.path / MARKER} is damaged: {error}.", advice="Create the data set again.") from error
        self._starts = np.cumsum([0, *rows])
        self._batches: list[pa.RecordBatch] = [_open_batch(file, inside) for file in self._files]
        if rows != [batch.num_rows for batch in self._batches]:
            words = f"{self.path / MARKER} names other numbers of records than its files hold."
            raise StorageError(words, advice="Create the data set again.")
        self._features = [_numbers(batch.column("feature"), self.meta.feature_shape) for batch in self._batches]
        self._labels: np.ndarray | None = None

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path,)

    @property
    def columns(self) -> list[str]:
        return list(self._batches[0].schema.names)

    # -- features -----------------------------------------------------------------------------------------------

    def array(self) -> np.ndarray | None:
        """All features as one read-only memory map (N, C, H, W); None when they are encoded, of several shapes or shards."""
        return self._features[0] if len(self._features) == 1 else None

    def features(self, indices: Any) -> np.ndarray:
        """A new (n, C, H, W) array of the stored dtype. Raises StorageError when the records differ in shape."""
        rows = np.asarray(indices, np.int64)
        if len(self._features) == 1 and self._features[0] is not None:
            return self._features[0][rows]
        shape = self.meta.feature_shape
        if shape is None:
            raise StorageError("These records differ in shape; read them one by one.")
        out = np.empty((len(rows), *shape), self.meta.feature_dtype)
        for place, row in enumerate(rows):
            out[place] = self.feature(int(row))
        return out

    def feature(self, index: int) -> np.ndarray:
        """One (C, H, W) array of the stored dtype; a copy that may be written to."""
        shard, row = self._locate(index)
        numbers = self._features[shard]
        if numbers is not None:
            return numbers[row].copy()
        shape = self._numbers("shape", shard)[row]
        return _decoded(self._bytes("feature", shard, row), self.meta.feature_encoding, self.meta.feature_dtype, shape)

    def encoded(self, index: int) -> bytes | None:
        """The stored png or jpg file of a record, to send it as it is; None for other encodings."""
        if self.meta.feature_encoding not in ("png", "jpg"):
            return None
        shard, row = self._locate(index)
        return bytes(self._bytes("feature", shard, row))

    # -- labels -------------------------------------------------------------------------------------------------

    def labels(self, indices: Any) -> Any:
        """Labels by kind: index (n,) int64; vector (n,K) float32; map and array (n,*label_shape), or a list of arrays where
        shapes differ; boxes a list of structured arrays (`BOX_DTYPE`); none None."""
        rows = np.asarray(indices, np.int64)
        kind = self.meta.label_kind
        if kind == "none":
            return None
        if kind == "index":
            return self._gather_labels(rows, np.dtype(np.int64), ())
        if kind == "boxes":
            return [self._boxes(*self._locate(int(row))) for row in rows]
        shape = self.meta.label_shape
        if shape is not None and self.meta.label_encoding == "none":
            return self._gather_labels(rows, np.dtype(self.meta.label_dtype), tuple(shape))
        labels = [self._label_array(*self._locate(int(row))) for row in rows]
        return labels if shape is None else np.stack(labels) if labels else np.empty((0, *shape), self.meta.label_dtype)

    @property
    def can_find_class(self) -> bool:
        """Whether the labels are of a kind that `find_class` searches."""
        return self.meta.label_kind in SEARCHED

    def find_class(self, class_index: int) -> np.ndarray:
        """Rows, int64 (n,) ascending, whose label is, or for vectors and boxes contains, a class; a scan of one mapped column."""
        found = [self._rows_of_class(shard, class_index) + self._starts[shard] for shard in range(len(self._batches))]
        return np.concatenate(found).astype(np.int64) if found else np.zeros(0, np.int64)

    def class_counts(self, classes: int) -> np.ndarray:
        """How many records have each class (index labels): int64 (classes,)."""
        counts = np.zeros(classes, np.int64)
        for shard in range(len(self._batches)):
            counts += np.bincount(self._numbers("label", shard), minlength=classes)[:classes]
        return counts

    # -- other columns ------------------------------------------------------------------------------------------

    def column(self, name: str, indices: Any) -> list[Any]:
        """Values of a column as Python objects."""
        places = [self._locate(int(row)) for row in np.asarray(indices, np.int64)]
        return [self._batches[shard].column(name)[row].as_py() for shard, row in places]

    def numbers(self, name: str) -> np.ndarray:
        """A whole column of numbers: `shape` (N, 3), `original_size` (N, 2), index `label` (N,), `hash` (N, 16) uint8.
        StorageError for others."""
        parts = [self._numbers(name, shard) for shard in range(len(self._batches))]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def taken(self, rows: np.ndarray, most: int) -> Iterator[pa.RecordBatch]:
        """The records `rows` (n,), ascending, with all columns as they are stored, in batches of about `most` bytes."""
        for batch, first, end in zip(self._batches, self._starts, self._starts[1:], strict=False):
            inside = rows[(rows >= first) & (rows < end)] - first
            together = max(1, int(most * max(batch.num_rows, 1) / max(batch.nbytes, 1)))
            for start in range(0, len(inside), together):
                found = batch.take(pa.array(inside[start : start + together]))
                yield pa.RecordBatch.from_arrays(found.columns, schema=batch.schema.remove_metadata())

    def _locate(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        shard = int(np.searchsorted(self._starts, index, side="right")) - 1
        return shard, index - int(self._starts[shard])

    def _numbers(self, name: str, shard: int) -> np.ndarray:
        column = self._batches[shard].column(name)
        if pa.types.is_fixed_size_binary(column.type):
            width = column.type.byte_width
            return np.frombuffer(column.buffers()[1], np.uint8, len(column) * width).reshape(-1, width)
        items = (column.type.list_size,) if pa.types.is_fixed_size_list(column.type) else ()
        numbers = _numbers(column, items)
        if numbers is None:
            raise StorageError(f"Column {name} holds no numbers.")
        return numbers

    def _bytes(self, name: str, shard: int, row: int) -> memoryview:
        return memoryview(self._batches[shard].column(name)[row].as_buffer())

    def _gather_labels(self, rows: np.ndarray, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        if len(self._batches) == 1:
            if self._labels is None:
                self._labels = self._numbers("label", 0)
            return self._labels[rows].reshape(len(rows), *shape)
        out = np.empty((len(rows), math.prod(shape)), dtype)
        shards = np.searchsorted(self._starts, rows, side="right") - 1
        for shard in np.unique(shards):
            chosen = shards == shard
            numbers = self._numbers("label", int(shard)).reshape(-1, out.shape[1])
            out[chosen] = numbers[rows[chosen] - self._starts[shard]]
        return out.reshape(len(rows), *shape)

    def _label_array(self, shard: int, row: int) -> np.ndarray:
        shape = self.meta.label_shape
        if shape is None:
            shape = tuple(self._numbers("label_shape", shard)[row])
        return _decoded(self._bytes("label", shard, row), self.meta.label_encoding, self.meta.label_dtype, shape)

    def _boxes(self, shard: int, row: int) -> np.ndarray:
        column = self._batches[shard].column("label")
        start, end = column.offsets[row].as_py(), column.offsets[row + 1].as_py()
        boxes = np.empty(end - start, BOX_DTYPE)
        for position, name in enumerate(BOX_DTYPE.names or ()):
            boxes[name] = column.values.field(position).to_numpy()[start:end]
        return boxes

    def _rows_of_class(self, shard: int, class_index: int) -> np.ndarray:
        kind = self.meta.label_kind
        if kind == "index":
            return np.flatnonzero(self._numbers("label", shard) == class_index)
        if kind == "vector":
            return np.flatnonzero(self._numbers("label", shard)[:, class_index] > 0)
        if kind == "boxes":
            column = self._batches[shard].column("label")
            hits = np.flatnonzero(column.values.field(BOX_DTYPE.names.index("class")).to_numpy() == class_index)  # type: ignore[union-attr]
            return np.unique(np.searchsorted(column.offsets.to_numpy(), hits, side="right") - 1)
        raise StorageError(f"Records with labels of kind {kind} cannot be searched by class.")


def _open_batch(file: Path, inside: Confinement) -> pa.RecordBatch:
    try:
        with inside.opened(file) as opened:
            reader = pa.ipc.open_file(pa.memory_map(opened))
        return reader.get_batch(0)
    except (OSError, pa.ArrowInvalid) as error:
        raise StorageError(f"{file} cannot be read: {error}.", advice="Create the data set again.") from error


def _numbers(column: Any, shape: tuple[int, ...] | None) -> np.ndarray | None:
    """A mapped column of numbers as (rows, *shape) without a copy; None when it holds bytes or text."""
    kind = column.type
    flat = column.values if pa.types.is_fixed_size_list(kind) else column  # `flatten` would load all of pyarrow.compute
    if not (pa.types.is_integer(flat.type) or pa.types.is_floating(flat.type)) or shape is None:
        return None
    return flat.to_numpy(zero_copy_only=True).reshape(len(column), *shape)


def _decoded(data: memoryview, encoding: str, dtype: str, shape: Any) -> np.ndarray:
    if encoding in ("png", "jpg"):
        return decode(data)
    return np.frombuffer(data, dtype).reshape(tuple(int(s) for s in shape)).copy()
