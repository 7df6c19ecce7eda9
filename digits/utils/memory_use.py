"""How much memory this machine may use, and how much process groups have of their own.

Counted are pages that the system cannot take away without writing them somewhere: those of files that are mapped, and memory that
processes share, are not among them. An address space says nothing, for graphics drivers reserve terabytes of it.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Collection
from pathlib import Path

import psutil

from digits.utils.memory import memory_limit

MIB = 1 << 20
PROCESSES = Path("/proc")
PAGE = resource.getpagesize()


def machine_memory() -> int:
    """Bytes of memory that there are: the machine's, or what the control groups of this process leave of it."""
    total = int(psutil.virtual_memory().total)
    return min(total, memory_limit() or total)


def limit_in_bytes(mib: int, share: float) -> int:
    """A limit of so many MiB; of a share of the machine's memory where that is 0."""
    return mib * MIB if mib else int(machine_memory() * share)


def memory_of_groups(groups: Collection[int]) -> dict[int, int]:
    """Bytes that all processes of each process group have of their own; groups without a process are missing."""
    found: dict[int, int] = {}
    for pid in psutil.pids() if groups else ():
        try:
            group = os.getpgid(pid)
            if group in groups:
                found[group] = found.get(group, 0) + own_memory(pid)
        except (OSError, psutil.Error):  # it has ended meanwhile
            continue
    return found


def own_memory(pid: int) -> int:
    """Bytes that a process has of its own. Raises OSError or psutil.Error where there is no such process."""
    with contextlib.suppress(FileNotFoundError, IndexError, ValueError):
        _, resident, shared = (PROCESSES / str(pid) / "statm").read_text().split()[:3]
        return (int(resident) - int(shared)) * PAGE
    return int(psutil.Process(pid).memory_info().rss)


def refuse_allocations_beyond(size: int) -> None:
    """Let what this process, and what it starts, allocates beyond so many bytes fail (Linux). Memory that is only reserved, or is
    a file's, does not count."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    wanted = size if hard == resource.RLIM_INFINITY else min(size, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
