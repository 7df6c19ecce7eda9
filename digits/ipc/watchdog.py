"""Ends a process that answers requests when one of them never comes back, however it hangs.

Holds: who waits for such a request has been told already that time is up; requests that are still in time get some seconds more.
A thread that nobody waits for any more (`utils.time_limits`) counts as one. Code that lets no other thread run is ended by the
interpreter's own timer.
"""

from __future__ import annotations

import faulthandler
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from digits.utils import time_limits

logger = logging.getLogger(__name__)

EXIT_STUCK = 75  # the supervisor starts another process
GRACE_SECONDS = 30.0
LEFT_SECONDS = 60.0  # that a thread may go on after nobody waits for it any more
HELD_SECONDS = 120.0  # that one piece of compiled code may keep every other thread from running
POLL_SECONDS = 0.5


class Watchdog:
    """Knows which requests are at work and since when; ends the process some time after one has exceeded its limit."""

    def __init__(self, leave: Callable[[int], Any] = os._exit, clock: Callable[[], float] = time.monotonic) -> None:
        self._leave = leave
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._deadlines: dict[int, float] = {}
        self._stuck_since: float | None = None

    @contextmanager
    def request(self, limit: float) -> Iterator[None]:
        """Note a request that should be over after `limit` seconds."""
        with self._lock:
            number = next(self._numbers)
            self._deadlines[number] = self._clock() + limit
        try:
            yield
        finally:
            with self._lock:
                del self._deadlines[number]

    def check(self) -> None:
        """Leave when a request is stuck and no other is at work, or the others have had `GRACE_SECONDS`."""
        now = self._clock()
        with self._lock:
            stuck = sum(deadline < now for deadline in self._deadlines.values())
            others = len(self._deadlines) - stuck
        if not stuck and time_limits.longest_left() < LEFT_SECONDS:
            self._stuck_since = None
            return
        self._stuck_since = self._stuck_since or now
        if not others or now - self._stuck_since > GRACE_SECONDS:
            logger.error("%s never ended; this process ends and a new one starts", f"{stuck} request(s)" if stuck else "A thread")
            self._leave(EXIT_STUCK)

    def start(self) -> None:
        """Check twice a second in a thread of its own."""
        threading.Thread(target=self._loop, daemon=True, name="watchdog").start()

    def _loop(self) -> None:
        while True:
            faulthandler.dump_traceback_later(HELD_SECONDS, exit=True)
            time.sleep(POLL_SECONDS)
            self.check()
