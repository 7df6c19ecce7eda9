"""Memory that ran out: which errors say so, whether the system ended processes for it, and which limit they had (Linux)."""

from __future__ import annotations

import contextlib
import re
import signal
from pathlib import Path

import psutil

from digits.utils.control_groups import control_groups
from digits.utils.processes import exit_words

VMSTAT = Path("/proc/vmstat")
UNLIMITED = 2**60  # how cgroups of version 1 write that there is no limit, or more
MIB = 2**20
OUT_OF_MEMORY = re.compile(r"out of memory|allocate memory|failed to allocate|bad_alloc|ALLOC_FAILED", re.IGNORECASE)
PROCESS_MEMORY_ADVICE = "The setting process_memory_mb (DIGITS_PROCESS_MEMORY_MB) says how much it may take."
LESS_MEMORY_FOR_TRAINING = "lower the batch size, the size of its pictures or the number of its processes"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the machine's or a GPU's memory was too small, whichever library says so."""
    if isinstance(error, MemoryError) or type(error).__name__ in ("OutOfMemoryError", "ResourceExhaustedError"):
        return True
    return isinstance(error, RuntimeError | OSError) and bool(OUT_OF_MEMORY.search(str(error)))


def oom_kills() -> int:
    """How many processes the system has ended for want of memory since it started: those of this machine, and of our limits."""
    counts = [_number_after("oom_kill", VMSTAT)]
    for folder in control_groups("memory"):
        counts += [_number_after("oom_kill", folder / name) for name in ("memory.events", "memory.oom_control")]
    return sum(counts)


def memory_limit() -> int:
    """The smallest limit in bytes that a control group sets this process; 0: none does."""
    limits = []
    for folder in control_groups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            with contextlib.suppress(OSError, ValueError):
                limits.append(int((folder / name).read_text()))
    return min((limit for limit in limits if 0 < limit < UNLIMITED), default=0)


def memory_words() -> str:
    """How much memory there is, for people."""
    limit = memory_limit()
    if limit:
        return f"the memory limit of its control group is {limit // MIB} MiB"
    return f"the machine has {psutil.virtual_memory().total // MIB} MiB"


def end_words(code: int, who: str, before: int) -> str:
    """As `exit_words` of a process of a training; where the system has ended some for want of memory since `oom_kills` was
    `before`, one that was killed is said to be one of them."""
    if code == -signal.SIGKILL and oom_kills() > before:
        return f"the system ended {who} because the memory ran out ({memory_words()}); {LESS_MEMORY_FOR_TRAINING}"
    return exit_words(code, who)


def _number_after(word: str, file: Path) -> int:
    """The number in the line that begins with a word; 0 where there is none."""
    with contextlib.suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == word:
                return int(value)
    return 0
