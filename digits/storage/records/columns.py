"""Columns that grow on disk: each Arrow buffer is a temporary file until a shard is put together from them (see `shards`).

Holds: memory stays constant however many rows there are. A failed append leaves the columns as before.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

BOX_DTYPE = np.dtype(
    [("x0", "<f4"), ("y0", "<f4"), ("x1", "<f4"), ("y1", "<f4"), ("class", "<i4"), ("flags", "u1")],
)


# Bits of a box's `flags`: hard to see, a crowd drawn as one box, and a region that counts neither for nor against a detector.
BOX_DIFFICULT, BOX_CROWD, BOX_IGNORED = 1, 2, 4


class Spool:
    """One growing buffer in a file, behind `head` bytes (a multiple of the memory map's granularity) that are left free."""

    def __init__(self, path: Path, head: int = 0) -> None:
        self.path, self.head = path, head
        self.size = 0
        self.address = 0  # of the last memory map
        self._handle = open(path, "wb", buffering=0)  # noqa: SIM115 - lives as long as the spool
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


class Column(Protocol):
    """A column that grows by `extend` and becomes an Arrow array of `rows` rows at the end."""

    spools: list[Spool]

    def extend(self, values: Any) -> None: ...

    def array(self, rows: int) -> pa.Array: ...


class FixedColumn:
    """Rows of `items` numbers each (0: plain numbers) of one dtype."""

    def __init__(self, folder: Path, name: str, dtype: np.dtype, items: int, *, head: int = 0) -> None:
        self.dtype, self.items = np.dtype(dtype), items
        self.spools = [Spool(folder / f"{name}.data", head)]

    def extend(self, values: Any) -> None:
        self.spools[0].write(np.ascontiguousarray(values, dtype=self.dtype).reshape(-1).view(np.uint8))

    def array(self, rows: int) -> pa.Array:
        count = rows * max(self.items, 1)
        flat = pa.Array.from_buffers(pa.from_numpy_dtype(self.dtype), count, [None, self.spools[0].buffer()], null_count=0)
        return pa.FixedSizeListArray.from_arrays(flat, self.items) if self.items else flat


class HashColumn:
    """Rows of `width` bytes."""

    def __init__(self, folder: Path, name: str, width: int) -> None:
        self.width = width
        self.spools = [Spool(folder / f"{name}.data")]

    def extend(self, values: Sequence[bytes]) -> None:
        self.spools[0].write(b"".join(values))

    def array(self, rows: int) -> pa.Array:
        return pa.Array.from_buffers(pa.binary(self.width), rows, [None, self.spools[0].buffer()], null_count=0)


class BytesColumn:
    """Rows of text or bytes of any length."""

    def __init__(self, folder: Path, name: str, kind: pa.DataType) -> None:
        self.kind = kind
        self.spools = [Spool(folder / f"{name}.offsets"), Spool(folder / f"{name}.data")]
        self.spools[0].write(np.zeros(1, np.int32))

    def extend(self, values: Sequence[bytes | str]) -> None:
        rows = [v.encode("utf-8", "surrogateescape") if isinstance(v, str) else v for v in values]
        if self.kind == pa.string():
            rows = [_valid_text(row) for row in rows]
        ends = self.spools[1].size + np.cumsum([len(row) for row in rows])
        self.spools[0].write(ends.astype(np.int32))
        self.spools[1].write(b"".join(rows))

    def array(self, rows: int) -> pa.Array:
        offsets, data = (spool.buffer() for spool in self.spools)
        return pa.Array.from_buffers(self.kind, rows, [None, offsets, data], null_count=0)


class BoxColumn:
    """Rows of boxes: each row a structured array of `BOX_DTYPE`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.spools = [Spool(folder / f"{name}.offsets")]
        self.spools += [Spool(folder / f"{name}.{field}") for field in BOX_DTYPE.names or ()]
        self.spools[0].write(np.zeros(1, np.int32))
        self.boxes = 0

    def extend(self, values: Sequence[np.ndarray]) -> None:
        # The length follows from the spool, so that a rewound append is forgotten here too.
        """Add rows, each of them boxes (n,) of `BOX_DTYPE`."""
        before = self.spools[1].size // 4
        ends = before + np.cumsum([len(row) for row in values])
        self.spools[0].write(ends.astype(np.int32))
        rows = np.concatenate([np.asarray(row, BOX_DTYPE) for row in values]) if len(values) else np.zeros(0, BOX_DTYPE)
        for spool, field in zip(self.spools[1:], BOX_DTYPE.names or (), strict=True):
            spool.write(np.ascontiguousarray(rows[field]).view(np.uint8))

    def array(self, rows: int) -> pa.Array:
        count = self.spools[1].size // 4
        fields, children = [], []
        for spool, name in zip(self.spools[1:], BOX_DTYPE.names or (), strict=True):
            kind = pa.from_numpy_dtype(BOX_DTYPE[name])
            fields.append(pa.field(name, kind, nullable=False))
            children.append(pa.Array.from_buffers(kind, count, [None, spool.buffer()], null_count=0))
        struct = pa.StructArray.from_arrays(children, fields=fields)
        kind = pa.list_(pa.field("item", struct.type, nullable=False))
        return pa.Array.from_buffers(kind, rows, [None, self.spools[0].buffer()], null_count=0, children=[struct])


def _valid_text(row: bytes) -> bytes:
    """Bytes of a file name that are no UTF-8 are shown as replacement characters: an Arrow text must be UTF-8."""
    try:
        row.decode()
    except UnicodeDecodeError:
        return row.decode("utf-8", "replace").encode()
    return row
