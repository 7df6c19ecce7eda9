"""Memory that the pool processes share with the worker: finished pictures lie there instead of going through a pipe.

Holds: it belongs to no file system (a kill of all processes leaves nothing behind), pages nobody wrote cost nothing, and it
is an extra: where it cannot be had (systems other than Linux, a locked-down `/proc`), everything goes through the pipe.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MemoryAddress:
    """Where another process finds the memory."""

    path: str
    count: int
    size: int


class SharedMemory:
    """`count` pieces of `size` bytes each."""

    def __init__(self, place: MemoryAddress) -> None:
        self.place = place
        descriptor = os.open(place.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._map = mmap.mmap(descriptor, place.count * place.size)
        finally:
            os.close(descriptor)

    def array(self, slot: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
        """Piece `slot` as an array of `shape`, e.g. (n, C, H, W), that others see too; None when it does not fit."""
        dtype = np.dtype(dtype)
        count = math.prod(shape)
        if not 0 <= slot < self.place.count or count * dtype.itemsize > self.place.size:
            return None
        return np.frombuffer(self._map, dtype, count, slot * self.place.size).reshape(shape)


class CreatedMemory(SharedMemory):
    """The pieces as their maker holds them. `close` when no array of them is in use any more."""

    def __init__(self, count: int, size: int) -> None:
        self._descriptor = os.memfd_create("digits-encode", os.MFD_CLOEXEC)
        try:
            os.ftruncate(self._descriptor, count * size)
            super().__init__(MemoryAddress(f"/proc/{os.getpid()}/fd/{self._descriptor}", count, size))
        except BaseException:
            os.close(self._descriptor)
            raise

    def close(self) -> None:
        os.close(self._descriptor)


def create(count: int, size: int) -> CreatedMemory | None:
    """Memory for other processes of this user, or None where there can be none."""
    with contextlib.suppress(OSError, AttributeError, ValueError):
        return CreatedMemory(count, size)
    return None


def attach(place: MemoryAddress | None) -> SharedMemory | None:
    """The memory of another process, or None where they cannot be reached."""
    with contextlib.suppress(OSError, ValueError):
        return SharedMemory(place) if place is not None else None
    return None
