"""The rolling checkpoint in the job folder: `checkpoint.json` names the newest whole state file and the events before it.

A state is written beside the one before, then the JSON is replaced: a crash at any moment leaves one that can be read. It carries
a checksum, so that one that was damaged later is not gone on from, and `damaged` says so. While the training runs the one before
is kept too (`previous.json`) where the disk has room, so that damage costs the steps between them; it goes before a third is
written, so never more than two lie there.
"""

from __future__ import annotations

import os
import time
import zlib
from pathlib import Path
from typing import Any

from digits.errors import StorageError
from digits.storage.damage import CHECKPOINT as NAME
from digits.storage.damage import PREVIOUS, state_problem
from digits.storage.files import atomic, cannot_write, free_bytes, read_json, write_json

EVENTS = "events.jsonl"  # beside the folder
FIRST_SECONDS = 10.0  # of an attempt: nobody who is killed in the first minute begins again
ROOM = 10  # times its size must be free where the one before is to stay
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
    before = _named(folder / NAME)
    if before.get("file") != state.name:
        forget_previous(folder)
    with atomic(state) as handle:
        handle.write(data)
    value = {"step": step, "offset": offset, "threads": threads, "file": state.name, "bytes": os.path.getsize(state)}
    _sync_events(folder.parent / EVENTS)
    stays = before.get("file") not in (None, state.name) and free_bytes(folder) >= ROOM * len(data)
    if stays:
        write_json(folder / PREVIOUS, before)
    write_json(folder / NAME, {**value, "crc": zlib.crc32(data)})
    kept = {state.name, _named(folder / PREVIOUS).get("file")}
    for old in folder.glob("*state_*"):
        if old.name not in kept:
            old.unlink(missing_ok=True)


def _sync_events(file: Path) -> None:
    """The events that the checkpoint names are on the disk before it names them: else a power cut would leave one that belongs to
    events that are not all there."""
    try:
        with open(file, "rb") as events:
            os.fsync(events.fileno())
    except FileNotFoundError:
        return
    except OSError as error:
        raise cannot_write(error, file) from error


def forget_previous(folder: Path) -> None:
    """Remove the checkpoint before the newest one."""
    file = _named(folder / PREVIOUS).get("file")
    (folder / PREVIOUS).unlink(missing_ok=True)
    if file and file != _named(folder / NAME).get("file"):
        (folder / str(file)).unlink(missing_ok=True)


def read(folder: Path) -> dict[str, Any] | None:
    """`step`, `offset`, `threads` and `path` of the newest checkpoint that is whole, of two; None when there is none, or whose
    events are not all there (a folder that was copied while it was written)."""
    for name in (NAME, PREVIOUS):
        value, problem = _read(folder, name)
        if value and not problem:
            return {**value, "path": folder / value["file"]}
    return None


def damaged(folder: Path) -> str:
    """What is wrong with a checkpoint that `read` passes over, in a sentence; empty where nothing is."""
    if not (folder / NAME).exists() and (folder / PREVIOUS).exists():
        return "The newest checkpoint is missing."
    return _read(folder, NAME)[1]


def _named(file: Path) -> dict[str, Any]:
    """What a file names as a checkpoint, whole or not; empty where it says nothing."""
    try:
        value = read_json(file)
    except StorageError:
        return {}
    return value if isinstance(value, dict) else {}


def _read(folder: Path, name: str) -> tuple[dict[str, Any], str]:
    if not (folder / name).exists():
        return {}, ""
    try:
        value = read_json(folder / name)
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
