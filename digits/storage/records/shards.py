"""Columns that grow on disk, each Arrow buffer in a temporary file, and the shard that is put together from them: an
Arrow IPC file of exactly one record batch.

Holds: memory stays constant however many rows there are, and a failed append leaves the columns as before. No buffer is ever in
memory as a whole, because pyarrow writes only the frame and the bytes of a column go from file to file. The largest buffer
need not go anywhere: where the first column is one file with space in front (`head_bytes`), its file becomes the shard, the
frame being written around what already lies there.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import pyarrow as pa

from digits.storage.files import atomic, in_place, sync_directory
from digits.storage.records.boxes import BOX_DTYPE

PADDING_KEY = b"padding"  # of the schema's metadata: blanks that bring the first buffer to where it lies already
FRAME_BYTES = 6000  # what a frame takes beside the metadata, generously
COPIED_BYTES = 1 << 16  # larger buffers are copied from their files, so that no page of them stays in memory
COPY_CHUNK = 1 << 20


class ColumnFile:
    """One growing buffer in a file, behind `head` bytes (a multiple of the memory map's granularity) that are left free."""

    def __init__(self, path: Path, head: int = 0) -> None:
        self.path, self.head = path, head
        self.size = 0
        self.address = 0  # of the last memory map
        self._handle = open(path, "wb", buffering=0)  # noqa: SIM115 - lives as long as the column
        self._handle.seek(head)
        self._map: mmap.mmap | None = None

    def write(self, data: Any) -> None:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            done += self._handle.write(view[done:])
        self.size += len(view)

    def rewind(self, size: int) -> None:
        """Forget what was written beyond `size`, also what a failed write left."""
        os.ftruncate(self._handle.fileno(), self.head + size)
        self._handle.seek(self.head + size)
        self.size = size

    def buffer(self) -> pa.Buffer:
        """The contents as a memory map; no page of it is read before somebody looks."""
        if self.size == 0:
            return pa.py_buffer(b"")
        with open(self.path, "rb") as handle:
            self._map = mmap.mmap(handle.fileno(), self.size, access=mmap.ACCESS_READ, offset=self.head)
        buffer = pa.py_buffer(self._map)
        self.address = buffer.address
        return buffer

    def close(self) -> None:
        self._map = None
        self._handle.close()
        self.path.unlink(missing_ok=True)


class GrowingColumn(Protocol):
    """A column that grows by `extend` and becomes an Arrow array of `rows` rows at the end."""

    files: list[ColumnFile]

    def extend(self, values: Any) -> None: ...

    def array(self, rows: int) -> pa.Array: ...


class FixedColumn:
    """Rows of `items` numbers each (0: plain numbers) of one dtype."""

    def __init__(self, folder: Path, name: str, dtype: np.dtype, items: int, *, head: int = 0) -> None:
        self.dtype, self.items = np.dtype(dtype), items
        self.files = [ColumnFile(folder / f"{name}.data", head)]

    def extend(self, values: Any) -> None:
        self.files[0].write(np.ascontiguousarray(values, dtype=self.dtype).reshape(-1).view(np.uint8))

    def array(self, rows: int) -> pa.Array:
        count = rows * max(self.items, 1)
        flat = pa.Array.from_buffers(pa.from_numpy_dtype(self.dtype), count, [None, self.files[0].buffer()], null_count=0)
        return pa.FixedSizeListArray.from_arrays(flat, self.items) if self.items else flat


class HashColumn:
    """Rows of `width` bytes."""

    def __init__(self, folder: Path, name: str, width: int) -> None:
        self.width = width
        self.files = [ColumnFile(folder / f"{name}.data")]

    def extend(self, values: Sequence[bytes]) -> None:
        self.files[0].write(b"".join(values))

    def array(self, rows: int) -> pa.Array:
        return pa.Array.from_buffers(pa.binary(self.width), rows, [None, self.files[0].buffer()], null_count=0)


class BytesColumn:
    """Rows of text or bytes of any length."""

    def __init__(self, folder: Path, name: str, kind: pa.DataType) -> None:
        self.kind = kind
        self.files = [ColumnFile(folder / f"{name}.offsets"), ColumnFile(folder / f"{name}.data")]
        self.files[0].write(np.zeros(1, np.int32))

    def extend(self, values: Sequence[bytes | str]) -> None:
        rows = [v.encode("utf-8", "surrogateescape") if isinstance(v, str) else v for v in values]
        if self.kind == pa.string():
            rows = [_valid_text(row) for row in rows]
        ends = self.files[1].size + np.cumsum([len(row) for row in rows])
        self.files[0].write(ends.astype(np.int32))
        self.files[1].write(b"".join(rows))

    def array(self, rows: int) -> pa.Array:
        offsets, data = (file.buffer() for file in self.files)
        return pa.Array.from_buffers(self.kind, rows, [None, offsets, data], null_count=0)


class BoxColumn:
    """Rows of boxes: each row a structured array of `BOX_DTYPE`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.files = [ColumnFile(folder / f"{name}.offsets")]
        self.files += [ColumnFile(folder / f"{name}.{field}") for field in BOX_DTYPE.names or ()]
        self.files[0].write(np.zeros(1, np.int32))
        self.boxes = 0

    def extend(self, values: Sequence[np.ndarray]) -> None:
        """Add rows, each of them boxes (n,) of `BOX_DTYPE`."""
        before = self.files[1].size // 4  # from the file, so that a rewound append is forgotten here too
        ends = before + np.cumsum([len(row) for row in values])
        self.files[0].write(ends.astype(np.int32))
        rows = np.concatenate([np.asarray(row, BOX_DTYPE) for row in values]) if len(values) else np.zeros(0, BOX_DTYPE)
        for file, field in zip(self.files[1:], BOX_DTYPE.names or (), strict=True):
            file.write(np.ascontiguousarray(rows[field]).view(np.uint8))

    def array(self, rows: int) -> pa.Array:
        count = self.files[1].size // 4
        fields, children = [], []
        for file, name in zip(self.files[1:], BOX_DTYPE.names or (), strict=True):
            kind = pa.from_numpy_dtype(BOX_DTYPE[name])
            fields.append(pa.field(name, kind, nullable=False))
            children.append(pa.Array.from_buffers(kind, count, [None, file.buffer()], null_count=0))
        struct = pa.StructArray.from_arrays(children, fields=fields)
        kind = pa.list_(pa.field("item", struct.type, nullable=False))
        return pa.Array.from_buffers(kind, rows, [None, self.files[0].buffer()], null_count=0, children=[struct])


def _valid_text(row: bytes) -> bytes:
    """Bytes of a file name that are no UTF-8 are shown as replacement characters: an Arrow text must be UTF-8."""
    try:
        row.decode()
    except UnicodeDecodeError:
        return row.decode("utf-8", "replace").encode()
    return row


def head_bytes(metadata: bytes) -> int:
    """How much room to leave before the first buffer of a shard whose metadata will be about as long as this."""
    granularity = max(mmap.ALLOCATIONGRANULARITY, 4096)
    return -(-(2 * len(metadata) + FRAME_BYTES) // granularity) * granularity


def write_shard(path: Path, arrays: Mapping[str, pa.Array], metadata: Mapping[bytes, bytes], files: Sequence[ColumnFile]) -> None:
    """Write `arrays`, whose buffers are memory maps of `files`, as the shard `path`. Raises DiskFull; may be called again."""
    mapped = {file.address: file for file in files if file.address}
    first = next((file for file in files if file.head and file.size > COPIED_BYTES), None)
    framed = _framed(arrays, metadata, mapped, first) if first is not None else None
    if first is None or framed is None:
        with atomic(path) as out:
            _write(out, _batch(arrays, metadata), mapped, None)
        return
    with in_place(first.path, keep=first.head + first.size) as out:
        _write(out, framed, mapped, first)
    os.replace(first.path, path)
    sync_directory(path.parent)


def _batch(arrays: Mapping[str, pa.Array], metadata: Mapping[bytes, bytes]) -> pa.RecordBatch:
    fields = [pa.field(column, array.type, nullable=False) for column, array in arrays.items()]
    return pa.RecordBatch.from_arrays(list(arrays.values()), schema=pa.schema(fields, metadata=dict(metadata)))


def _framed(
    arrays: Mapping[str, pa.Array], metadata: Mapping[bytes, bytes], files: Mapping[int, ColumnFile], first: ColumnFile
) -> pa.RecordBatch | None:
    """The batch with so much padding that the buffer of `first` comes to lie behind its head; None when it has no space."""
    padding = 1
    for _ in range(2):
        batch = _batch(arrays, {**metadata, PADDING_KEY: b" " * padding})
        missing = first.head - _write(None, batch, files, first)
        if missing == 0:
            return batch
        padding += missing
        if padding < 1:
            return None
    return None


def _write(out: IO[bytes] | None, batch: pa.RecordBatch, files: Mapping[int, ColumnFile], skipped: ColumnFile | None) -> int:
    """Write a batch (nowhere, to measure, without `out`), all but the bytes of `skipped`; where those begin."""
    sink = _Sink(out, files, skipped)
    with pa.ipc.new_file(pa.PythonFile(sink, "w"), batch.schema) as writer:
        writer.write_batch(batch)
    return sink.skipped_at


class _Sink:
    """A file for pyarrow to write a batch to, in which the bytes of a column's buffers are copied from their files in pieces."""

    def __init__(self, out: IO[bytes] | None, files: Mapping[int, ColumnFile], skipped: ColumnFile | None) -> None:
        self.out, self.files, self.skipped = out, files, skipped
        self.closed = False
        self.skipped_at = -1
        self._position = 0

    def write(self, data: Any) -> int:
        buffer = data if isinstance(data, pa.Buffer) else pa.py_buffer(data)
        file = self.files.get(buffer.address) if buffer.size > COPIED_BYTES else None
        if file is not None and file is self.skipped and self.skipped_at < 0:
            self.skipped_at = self._position
            if self.out is not None:
                self.out.seek(self._position + buffer.size)
        elif self.out is not None and file is not None and buffer.size <= file.size:
            _copy(file, buffer.size, self.out)
        elif self.out is not None:
            self.out.write(buffer)
        self._position += buffer.size
        return buffer.size

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        if self.out is not None:
            self.out.flush()

    def close(self) -> None:
        self.closed = True


def _copy(file: ColumnFile, count: int, out: IO[bytes]) -> None:
    with open(file.path, "rb") as handle:
        handle.seek(file.head)
        while count > 0:
            piece = handle.read(min(COPY_CHUNK, count))
            out.write(piece)
            count -= len(piece)
