"""Writing files of a training while the disk may be full: the training waits and goes on."""

from __future__ import annotations

import time
from collections.abc import Callable

from digits.domain.events import WarningEvent
from digits.engines.base import TrainingRun
from digits.errors import DiskFull, JobStopped
from digits.storage.files import with_room


def wait_for_room(run: TrainingRun, work: Callable[[], None]) -> None:
    """Do `work`, which writes below the run's folder and may be repeated; where the disk is full, wait for room.

    A pause is told by a warning. Raises JobStopped when asked to stop meanwhile.
    """
    waits: list[float] = []
    try:
        with_room(work, run.folder, on_wait=lambda: waits.append(time.monotonic()), should_stop=run.should_stop)
    except DiskFull as error:
        raise JobStopped("The training was stopped while it waited for room on the disk.") from error
    if waits:
        message = f"The disk was full: the training paused for {time.monotonic() - waits[0]:.0f} seconds."
        run.emit(WarningEvent(code="disk-full", message=message, advice="Delete what you no longer need."))
