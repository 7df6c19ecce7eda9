"""The rolling checkpoint in the job folder: `checkpoint.json` names the newest whole state file and the events before it.

A state is written beside the one before, then the JSON is replaced, then the old one is deleted: a crash at any moment leaves
one that can be read. It carries a checksum, so that one that was damaged later is not gone on from, and `damaged` says so.
"""

from __future__ import annotations

import os
import time
import zlib
from pathlib import Path
from typing import Any

from digits.errors import StorageError
from digits.storage.damage import state_problem
from digits.storage.files import atomic, read_json, write_json

NAME = "checkpoint.json"
EVENTS = "events.jsonl"  # beside the folder
FIRST_SECONDS = 10.0  # of an attempt: nobody who is killed in the first minute begins again
COST = 0.01  # the part of a training's time that checkpoints may take, where they are not requested oftener than the first


class CheckpointClock:
    """When the next rolling checkpoint is due: the first after ten seconds, then each `seconds`, or later where writing one takes
    more than a hundredth of that. Less than ten seconds are kept whatever they cost."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._next = time.monotonic() + min(seconds, FIRST_SECONDS)

    def is_due(self) -> bool:
        return time.monotonic() >= self._next

    def note(self, cost: float) -> None:
        """One was written just now, which took `cost` seconds."""
        self._next = time.monotonic() + self.pause(cost)

    def pause(self, cost: float) -> float:
        """Seconds between two that take `cost` seconds each."""
        return self.seconds if self.seconds < FIRST_SECONDS else max(self.seconds, cost / COST)


def write(folder: Path, step: int, offset: int, threads: int, data: bytes) -> None:
    """Make the state `data` the newest. Raises DiskFull with the old checkpoint still in place."""
    folder.mkdir(exist_ok=True)  # and not the job's folder, which may have been moved
    state = folder / f"state_{step}.bin"
    with atomic(state) as handle:
        handle.write(data)
    value = {"step": step, "offset": offset, "threads": threads, "file": state.name, "bytes": os.path.getsize(state)}
    write_json(folder / NAME, {**value, "crc": zlib.crc32(data)})
    for old in folder.glob("*state_*"):
        if old != state:
            old.unlink(missing_ok=True)


def read(folder: Path) -> dict[str, Any] | None:
    """`step`, `offset`, `threads` and `path` of the newest checkpoint; None when there is none that is whole, or whose events are
    not all there (a folder that was copied while it was written)."""
    value, problem = _read(folder)
    return None if problem or not value else {**value, "path": folder / value["file"]}


def damaged(folder: Path) -> str:
    """What is wrong with a checkpoint that `read` passes over, in a sentence; empty where nothing is."""
    return _read(folder)[1]


def _read(folder: Path) -> tuple[dict[str, Any], str]:
    if not (folder / NAME).exists():
        return {}, ""
    try:
        value = read_json(folder / NAME)
        problem = state_problem(folder, value)
        complete = isinstance(value["step"], int) and isinstance(value["offset"], int)
    except (StorageError, KeyError, TypeError) as error:
        return {}, f"The checkpoint cannot be understood: {error}."
    if not complete:
        return {}, "The checkpoint cannot be understood: it names no step."
    events = folder.parent / EVENTS
    if not problem and events.exists() and events.stat().st_size < value["offset"]:
        problem = "belongs to events that are not all there"
    return value, f"The checkpoint of step {value['step']} {problem}." if problem else ""
