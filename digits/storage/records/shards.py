"""One shard of records: an Arrow IPC file of exactly one record batch, put together from spools.

Holds: no buffer is ever in memory as a whole, because pyarrow writes only the frame and the bytes of spooled buffers go from
file to file. The largest buffer need not go anywhere: where the first column is one spool with space in front (`head_bytes`),
its file becomes the shard, the frame being written around what already lies there.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from digits.storage.files import atomic, in_place, sync_directory
from digits.storage.records.columns import Spool

PADDING_KEY = b"padding"  # of the schema's metadata: blanks that bring the first buffer to where it lies already
FRAME_BYTES = 6000  # what a frame takes beside the metadata, generously
COPIED_BYTES = 1 << 16  # larger buffers are copied from their files, so that no page of them stays in memory
COPY_CHUNK = 1 << 20


def head_bytes(metadata: bytes) -> int:
    """How much room to leave before the first buffer of a shard whose metadata will be about as long as this."""
    granularity = max(mmap.ALLOCATIONGRANULARITY, 4096)
    return -(-(2 * len(metadata) + FRAME_BYTES) // granularity) * granularity


def write_shard(path: Path, arrays: Mapping[str, pa.Array], metadata: Mapping[bytes, bytes], spools: Sequence[Spool]) -> None:
    """Write `arrays`, whose buffers are memory maps of `spools`, as the shard `path`. Raises DiskFull; may be called again."""
    mapped = {spool.address: spool for spool in spools if spool.address}
    first = next((spool for spool in spools if spool.head and spool.size > COPIED_BYTES), None)
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
    arrays: Mapping[str, pa.Array], metadata: Mapping[bytes, bytes], spools: Mapping[int, Spool], first: Spool
) -> pa.RecordBatch | None:
    """The batch with so much padding that the buffer of `first` comes to lie behind its head; None when it has no space."""
    padding = 1
    for _ in range(2):
        batch = _batch(arrays, {**metadata, PADDING_KEY: b" " * padding})
        missing = first.head - _write(None, batch, spools, first)
        if missing == 0:
            return batch
        padding += missing
        if padding < 1:
            return None
    return None


def _write(out: IO[bytes] | None, batch: pa.RecordBatch, spools: Mapping[int, Spool], skipped: Spool | None) -> int:
    """Write a batch (nowhere, to measure, without `out`), all but the bytes of `skipped`; where those begin."""
    sink = _Sink(out, spools, skipped)
    with pa.ipc.new_file(pa.PythonFile(sink, "w"), batch.schema) as writer:
        writer.write_batch(batch)
    return sink.skipped_at


class _Sink:
    """A file for pyarrow to write a batch to, in which the bytes of spooled buffers are copied from their files in pieces."""

    def __init__(self, out: IO[bytes] | None, spools: Mapping[int, Spool], skipped: Spool | None) -> None:
        self.out, self.spools, self.skipped = out, spools, skipped
        self.closed = False
        self.skipped_at = -1
        self._position = 0

    def write(self, data: Any) -> int:
        buffer = data if isinstance(data, pa.Buffer) else pa.py_buffer(data)
        spool = self.spools.get(buffer.address) if buffer.size > COPIED_BYTES else None
        if spool is not None and spool is self.skipped and self.skipped_at < 0:
            self.skipped_at = self._position
            if self.out is not None:
                self.out.seek(self._position + buffer.size)
        elif self.out is not None and spool is not None and buffer.size <= spool.size:
            _copy(spool, buffer.size, self.out)
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


def _copy(spool: Spool, count: int, out: IO[bytes]) -> None:
    with open(spool.path, "rb") as handle:
        handle.seek(spool.head)
        while count > 0:
            piece = handle.read(min(COPY_CHUNK, count))
            out.write(piece)
            count -= len(piece)
