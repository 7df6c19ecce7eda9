"""Writing records: rows are written to a file for each column and become the shards of a split at the end (see `shards`)."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from digits.domain.datasets import RecordMeta
from digits.errors import StorageError
from digits.storage.files import cannot_write, write_json
from digits.storage.records.shards import (
    BoxColumn,
    BytesColumn,
    ColumnFile,
    FixedColumn,
    GrowingColumn,
    HashColumn,
    head_bytes,
    write_shard,
)

MARKER = "records.json"
COLUMNS_FOLDER = "columns"
SHARD_BYTES = 960_000_000  # columns beside feature and label take the rest of the gigabyte
HASH_BYTES = 16
META_KEY = b"digits"
LABEL_KINDS = ("index", "vector", "map", "boxes", "array", "none")


@dataclass
class RecordChunk:
    """Some records to append, row by row in every field.

    `features`: (n,C,H,W) array for encoding `none`, else n byte strings. `labels`: (n,) integers, (n,K), (n,*label_shape)
    arrays, n byte strings (encoded maps, arrays of differing shape), or n structured arrays of `BOX_DTYPE`; None for kind
    `none`. `shapes`: (n,3) of C,H,W. What is left out is filled with empty values.
    """

    keys: Sequence[str]
    features: np.ndarray | Sequence[bytes]
    labels: Any = None
    shapes: np.ndarray | None = None
    sources: Sequence[str] | None = None
    original_sizes: np.ndarray | None = None
    groups: Sequence[str] | None = None
    hashes: Sequence[bytes] | None = None
    label_shapes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def nbytes(self) -> int:
        return _size(self.features) + _size(self.labels)


@dataclass
class _Shard:
    """A shard that still grows."""

    folder: Path
    columns: dict[str, GrowingColumn]
    rows: int = 0
    bytes: int = 0

    @property
    def files(self) -> list[ColumnFile]:
        return [file for column in self.columns.values() for file in column.files]


@dataclass(frozen=True)
class _Done:
    file: str
    rows: int
    bytes: int


class RecordWriter:
    """Writes one split into `split_dir`, which it empties first.

    Everything stands in files of columns until `finish(meta)` puts the shards together; `abort()` removes it all. `append` and
    `finish` raise DiskFull and may then be called again with the same arguments: nothing is lost and nothing is doubled.
    """

    def __init__(self, split_dir: Path, meta: RecordMeta, *, shard_bytes: int = SHARD_BYTES) -> None:
        self.path = Path(split_dir)
        self.meta = _checked(meta)
        self.rows = 0
        self._limit = shard_bytes
        self._shards: list[_Shard] = []
        self._done: list[_Done] = []
        remove_split(self.path)
        (self.path / COLUMNS_FOLDER).mkdir(parents=True)

    def append(self, chunk: RecordChunk) -> None:
        """Add records behind those that are there, at most a shard's size at once. Raises DiskFull and StorageError."""
        size = chunk.nbytes
        if size > self._limit:
            raise StorageError(f"{len(chunk)} records of {size} bytes are more than a shard holds ({self._limit}).")
        if not len(chunk):
            return
        if not self._shards or self._shards[-1].bytes + size > self._limit:
            self._guard(self._open_shard)
        self._guard(lambda: self._extend(self._shards[-1], chunk, size))

    def finish(self, meta: RecordMeta | None = None) -> int:
        """Put the shards together and set the marker that makes the split readable; returns the size in bytes.

        `meta` replaces the one given first (mean and standard deviation are known only now); layout fields must not change.
        """
        self.meta = _checked(meta or self.meta)
        if not self._shards:
            self._guard(self._open_shard)
        for number, shard in enumerate(self._shards):
            if number >= len(self._done):
                self._done.append(self._assemble(shard, f"shard-{number:05d}.arrow"))
                self._drop(shard)
        shards = [vars(done) for done in self._done]
        write_json(
            self.path / MARKER, {"schema": self.meta.schema, "rows": self.rows, "meta": self.meta.to_json(), "shards": shards}
        )
        shutil.rmtree(self.path / COLUMNS_FOLDER, ignore_errors=True)
        return sum(done.bytes for done in self._done)

    def abort(self) -> None:
        """Remove everything that was written."""
        for shard in self._shards[len(self._done) :]:
            self._drop(shard)
        remove_split(self.path)

    def _open_shard(self) -> None:
        folder = self.path / COLUMNS_FOLDER / f"{len(self._shards):05d}"
        folder.mkdir(exist_ok=True)
        self._shards.append(_Shard(folder, _columns(folder, self.meta)))

    def _extend(self, shard: _Shard, chunk: RecordChunk, size: int) -> None:
        before = [file.size for file in shard.files]
        try:
            for name, values in _values(chunk, shard.columns).items():
                shard.columns[name].extend(values)
        except BaseException:
            for file, length in zip(shard.files, before, strict=True):
                file.rewind(length)
            raise
        shard.rows += len(chunk)
        shard.bytes += size
        self.rows += len(chunk)

    def _assemble(self, shard: _Shard, name: str) -> _Done:
        arrays = {column: values.array(shard.rows) for column, values in shard.columns.items()}
        write_shard(self.path / name, arrays, {META_KEY: json.dumps(self.meta.to_json()).encode()}, shard.files)
        return _Done(name, shard.rows, (self.path / name).stat().st_size)

    def _drop(self, shard: _Shard) -> None:
        for file in shard.files:
            file.close()
        shutil.rmtree(shard.folder, ignore_errors=True)

    def _guard(self, work: Any) -> None:
        try:
            work()
        except OSError as error:
            raise cannot_write(error, self.path) from error


def is_complete(split_dir: Path) -> bool:
    """Whether a split was written to its end."""
    return (Path(split_dir) / MARKER).is_file()


def remove_split(folder: Path) -> None:
    """Take a split away, its marker first, so that it never looks whole in between."""
    (folder / MARKER).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _checked(meta: RecordMeta) -> RecordMeta:
    if meta.label_kind not in LABEL_KINDS:
        raise StorageError(f"{meta.label_kind!r} is no kind of label; expected one of {', '.join(LABEL_KINDS)}.")
    if meta.feature_encoding == "none" and meta.feature_shape is None:
        raise StorageError("Records that differ in shape need the encoding raw, png or jpg.")
    return meta


def _columns(folder: Path, meta: RecordMeta) -> dict[str, GrowingColumn]:
    columns: dict[str, GrowingColumn] = {"feature": _feature_column(folder, meta), "key": BytesColumn(folder, "key", pa.string())}
    label = _label_column(folder, meta)
    if label is not None:
        columns["label"] = label
    columns["shape"] = FixedColumn(folder, "shape", np.dtype(np.int32), 3)
    columns["source"] = BytesColumn(folder, "source", pa.string())
    columns["original_size"] = FixedColumn(folder, "original_size", np.dtype(np.int32), 2)
    columns["group"] = BytesColumn(folder, "group", pa.string())
    columns["hash"] = HashColumn(folder, "hash", HASH_BYTES)
    if label is not None and meta.label_shape is None and meta.label_kind in ("map", "array"):
        columns["label_shape"] = FixedColumn(folder, "label_shape", np.dtype(np.int32), 3)
    return columns


def _feature_column(folder: Path, meta: RecordMeta) -> GrowingColumn:
    if meta.feature_encoding == "none" and meta.feature_shape is not None:
        head = head_bytes(json.dumps(meta.to_json()).encode())
        return FixedColumn(folder, "feature", np.dtype(meta.feature_dtype), math.prod(meta.feature_shape), head=head)
    return BytesColumn(folder, "feature", pa.binary())


def _label_column(folder: Path, meta: RecordMeta) -> GrowingColumn | None:
    kind, shape = meta.label_kind, meta.label_shape
    if kind == "none":
        return None
    if kind == "index":
        return FixedColumn(folder, "label", np.dtype(np.int64), 0)
    if kind == "boxes":
        return BoxColumn(folder, "label")
    if shape is not None and meta.label_encoding == "none":
        return FixedColumn(folder, "label", np.dtype(meta.label_dtype), math.prod(shape))
    return BytesColumn(folder, "label", pa.binary())


def _values(chunk: RecordChunk, columns: dict[str, GrowingColumn]) -> dict[str, Any]:
    """Values by column, in which what the chunk leaves out is empty."""
    n = len(chunk)
    features = chunk.features
    empty = {
        "shape": lambda: np.tile(np.asarray(features.shape[1:], np.int32), (n, 1)),  # type: ignore[union-attr]
        "source": lambda: [""] * n,
        "original_size": lambda: np.zeros((n, 2), np.int32),
        "group": lambda: [""] * n,
        "hash": lambda: [bytes(HASH_BYTES)] * n,
    }
    given = {
        "key": chunk.keys,
        "feature": features,
        "label": chunk.labels,
        "shape": chunk.shapes,
        "source": chunk.sources,
        "original_size": chunk.original_sizes,
        "group": chunk.groups,
        "hash": chunk.hashes,
        "label_shape": chunk.label_shapes,
    }
    values: dict[str, Any] = {name: empty[name]() if given[name] is None and name in empty else given[name] for name in columns}
    wrong = [name for name, value in values.items() if value is None or len(value) != n]
    if wrong:
        raise StorageError(f"A chunk of {n} records has a different number of {', '.join(wrong)}.")
    return values


def _size(values: Any) -> int:
    if values is None:
        return 0
    if isinstance(values, np.ndarray):
        return values.nbytes
    return sum(len(v) if isinstance(v, bytes) else v.nbytes for v in values)
