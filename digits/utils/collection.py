"""Python's search for cyclic garbage, left out where it costs more than it finds; and what is free, given back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """For work that makes very many objects at once, none of which is garbage before its end: each search would look at all of
    them. Also a decorator. Safe in several threads: whoever found the search on turns it on again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def give_back_memory() -> None:
    """Give what imports and preparations took and need no more back to the system, where its C library can (glibc)."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
