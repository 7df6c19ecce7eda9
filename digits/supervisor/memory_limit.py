"""How much memory what the supervisor starts may take. It measures at its ticks, and ends a process group that has more.

Resident memory is what counts: a limit of the address space would hurt every process that loads a graphics driver.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from digits.config import Settings
from digits.ipc import last_words
from digits.supervisor.child_processes import ChildProcess
from digits.utils.memory_use import MIB, limit_in_bytes, memory_of_groups

logger = logging.getLogger(__name__)

PROCESS_SHARE = 0.5  # of the machine's memory, where the setting says nothing
JOB_SHARE = 0.95


class Watched(Protocol):
    """A process that answers for a page."""

    title: str
    ended: str

    @property
    def child(self) -> ChildProcess | None: ...

    @property
    def socket(self) -> Path | None: ...


@dataclass(frozen=True)
class MemoryLimit:
    """So many bytes, which a setting says."""

    size: int
    setting: str

    @property
    def words(self) -> str:
        return f"more than {self.size // MIB:,} MiB of memory"

    @property
    def advice(self) -> str:
        name = f"{self.setting} (DIGITS_{self.setting.upper()})"
        return f"If it really needs so much, raise the setting {name}; else look at the files that it read."


def process_limit(settings: Settings) -> MemoryLimit:
    """Of each process that answers for pages, with what it started."""
    return MemoryLimit(limit_in_bytes(settings.process_memory_mb, PROCESS_SHARE), "process_memory_mb")


def job_limit(settings: Settings) -> MemoryLimit:
    """Of all processes of one job together."""
    return MemoryLimit(limit_in_bytes(settings.job_memory_mb, JOB_SHARE), "job_memory_mb")


def end_greedy(processes: Collection[Watched], limit: MemoryLimit) -> None:
    """End those that take more; who waits for their answers learns why."""
    running = {one.child.process.pid: one for one in processes if one.child is not None and one.child.is_running()}
    for group, size in memory_of_groups(running).items():
        if size <= limit.size:
            continue
        one = running[group]
        one.ended = f"it took {limit.words} and was ended"
        logger.warning("The %s took %s (%d MiB) and is ended.", one.title, limit.words, size // MIB)
        if one.socket is not None:
            last_words.leave(one.socket, f"The {one.title} took {limit.words} and was ended.", limit.advice)
        if one.child is not None:
            one.child.kill_group()
