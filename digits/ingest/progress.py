"""How far a data set is made: entries done, their speed and the time left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from digits.domain.events import Event, ProgressEvent

INTERVAL_SECONDS = 0.5  # between two events of progress
WINDOW_SECONDS = 20.0  # over which the speed is taken


class Progress:
    """Entries done of all splits, the speed of the last seconds, and the time left as an estimate: an event at most every half
    second. `clock` gives seconds."""

    def __init__(
        self, emit: Callable[[Event], object], total: int, unit: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._emit, self._total, self._unit, self._clock = emit, total, unit, clock
        self.done = 0
        self._stage = ""
        self._marks: deque[tuple[float, int]] = deque([(clock(), 0)])
        self._last = -INTERVAL_SECONDS

    def stage(self, name: str) -> None:
        """The next part of the work begins."""
        self._stage = name
        self._tell(self._clock())

    def advance(self, count: int) -> None:
        """So many more entries are in the records (or skipped)."""
        self.done += count
        now = self._clock()
        if now - self._last >= INTERVAL_SECONDS or self.done >= self._total:
            self._tell(now)

    def _tell(self, now: float) -> None:
        self._last = now
        self._marks.append((now, self.done))
        while len(self._marks) > 2 and now - self._marks[0][0] > WINDOW_SECONDS:
            self._marks.popleft()
        since, before = self._marks[0]
        rate = (self.done - before) / (now - since) if now > since else 0.0
        self._emit(
            ProgressEvent(
                fraction=min(1.0, self.done / self._total) if self._total else 0.0,
                stage=self._stage,
                done=self.done,
                total=self._total,
                unit=self._unit,
                rate=rate,
                eta=(self._total - self.done) / rate if rate > 0 else None,
            )
        )
