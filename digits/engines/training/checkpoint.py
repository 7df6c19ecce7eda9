"""The rolling checkpoint in the job folder: `checkpoint.json` names the newest whole state file and the events before it.

A state is written beside the one before, then the JSON is replaced, then the old one is deleted: a crash at any moment
leaves one that can be read. While the disk is full, the training waits and goes on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from digits.domain.events import WarningEvent
from digits.engines.base import TrainingRun
from digits.errors import DiskFull, JobStopped, StorageError
from digits.storage.files import atomic, read_json, retry_when_disk_full, write_json

NAME = "checkpoint.json"


def write(folder: Path, step: int, offset: int, threads: int, data: bytes) -> None:
    """Make the state `data` the newest. Raises DiskFull with the old checkpoint still in place."""
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / f"state_{step}.bin"
    with atomic(state) as handle:
        handle.write(data)
    value = {"step": step, "offset": offset, "threads": threads, "file": state.name, "bytes": os.path.getsize(state)}
    write_json(folder / NAME, value)
    for old in folder.glob("*state_*"):
        if old != state:
            old.unlink(missing_ok=True)


def read(folder: Path) -> dict[str, Any] | None:
    """`step`, `offset`, `threads` and `path` of the newest checkpoint; None when there is none that is whole."""
    try:
        value = read_json(folder / NAME)
        state = folder / value["file"]
        if state.stat().st_size != value["bytes"]:
            return None
    except (StorageError, OSError, KeyError, TypeError):
        return None
    return {**value, "path": state}


def retry_when_disk_full_in(run: TrainingRun, work: Callable[[], None]) -> None:
    """Do `work`, which writes below the run's folder and may be repeated; where the disk is full, wait for room.

    A pause is told by a warning. Raises JobStopped when asked to stop meanwhile.
    """
    waits: list[float] = []
    try:
        retry_when_disk_full(work, run.folder, on_wait=lambda: waits.append(time.monotonic()), should_stop=run.should_stop)
    except DiskFull as error:
        raise JobStopped("The training was stopped while it waited for room on the disk.") from error
    if waits:
        message = f"The disk was full: the training paused for {time.monotonic() - waits[0]:.0f} seconds."
        run.emit(WarningEvent(code="disk-full", message=message, advice="Delete what you no longer need."))
