"""How tests wait for what happens in other threads and processes: never by sleeping for as long as it usually takes."""

import time
from collections.abc import Callable
from typing import TypeVar

import psutil

PATIENCE_SECONDS = 60.0

T = TypeVar("T")


def wait_for(condition: Callable[[], T], seconds: float = PATIENCE_SECONDS) -> T:
    """The first answer of `condition` that is true; fails when none came within `seconds`."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return answer


def is_gone(pid: int) -> bool:
    """Whether a process has ended: a kill is delivered at once, but what it ends may live some milliseconds longer."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
