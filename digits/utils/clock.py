"""Time that goes on evenly, whatever the clock of the machine is set to.

Durations are differences of times in different files and processes, which carry the clock of the machine; who watches it here
learns that it was set, and by how much.
"""

from __future__ import annotations

import time
from collections.abc import Callable

JUMP_SECONDS = 2.0  # less is a clock that is put right little by little


def steady_seconds() -> float:
    """Seconds since the machine was started, those that it slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class ClockWatch:
    """Notices that the clock was set since this was made. `clock` gives seconds since 1970, `steady` ones that nobody sets."""

    def __init__(self, clock: Callable[[], float] | None = None, steady: Callable[[], float] = steady_seconds) -> None:
        self._clock = clock or (lambda: time.time())  # looked up at each call: tests set it
        self._steady = steady
        self._apart = self._difference()

    def jump(self) -> float:
        """By how many seconds the clock was set since, back where negative; 0.0 where it was not."""
        found = self._difference() - self._apart
        return found if abs(found) >= JUMP_SECONDS else 0.0

    def take_jump(self) -> float:
        """As `jump`, which counts from now on."""
        found = self.jump()
        self._apart += found
        return found

    def _difference(self) -> float:
        return self._clock() - self._steady()
