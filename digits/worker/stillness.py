"""A training that does not get on is said to, and goes on: whether it hangs, or one of its batches takes so long, its user may
judge. That one process of a training holds up the others is seen by the engine (`TrainingRun.report_silence`)."""

from __future__ import annotations

import threading
from collections.abc import Callable

from digits.domain.events import WarningEvent
from digits.engines.activity import WRITES, Activity, AwakeClock, Motion, Watched, activity_of
from digits.utils.values import counted

LOOK_SECONDS = 5.0
STILL_SECONDS = 600.0  # without a move a training counts as still ...
TIMES = 10  # ... where that is so many times as long as between any two moves before


class StillnessWatch:
    """A with-statement around a training, whose thread moves `motion`; one warning for each time that it stands still."""

    def __init__(self, motion: Motion, warn: Callable[[WarningEvent], object]) -> None:
        self.motion, self.warn = motion, warn
        self.watched, self.longest, self.said = Watched(0.0), 0.0, False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stillness", daemon=True)

    def __enter__(self) -> StillnessWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        clock = AwakeClock(2 * LOOK_SECONDS)
        while not self._end.wait(LOOK_SECONDS):
            self.look(activity_of(self.motion), clock.now())

    def look(self, activity: Activity, now: float) -> None:
        """See what the thread does at a time in seconds, and warn where that is due."""
        before = self.watched.activity
        if before is not None and activity.moves != before.moves:
            self.longest, self.said = max(self.longest, now - self.watched.since) if before.moves else 0.0, False
        self.watched.see(activity, now)
        still = now - self.watched.since
        if self.said or not activity.moves or activity.state == WRITES:
            return
        if still > max(STILL_SECONDS, TIMES * self.longest):
            self.said = True
            where = f"in step {activity.step + 1} ({activity.place})"
            message = f"The training has not moved for {counted(int(still // 60), 'minute')} {where}."
            advice = "A step that compiles, or a very large batch, may take so long. If it hangs, abort it and look at that line."
            self.warn(WarningEvent(code="still", message=message, advice=advice))
