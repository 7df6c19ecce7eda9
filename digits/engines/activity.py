"""What the thread that trains is doing, as another thread of its process sees it: whether it gets on, waits or writes, and where.

A training counts its batches (`Motion`); the rest is read from the thread's stack, so that nothing that may wait or hang has to
say so itself. Time is what the process was awake for: one that was stopped, or a machine that slept, was not still.
"""

from __future__ import annotations

import linecache
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from digits.engines.network.text import FILE_NAME

COMPUTES, WAITS, WAITS_FOR_GPU, WRITES = "", "waits", "gpu", "writes"
# Files whose functions are on the stack while a thread waits for other processes, or writes and waits for space on the disk.
STATES = {
    "torch/distributed/distributed_c10d.py": WAITS,
    "torch/cuda/streams.py": WAITS_FOR_GPU,  # for its own work there, or for what others bring to a sum
    "digits/engines/pytorch/ranks.py": WAITS,
    "digits/storage/files.py": WRITES,
}
MOST = 100  # characters of a line


@dataclass
class Motion:
    """Counts what the thread that makes this object has done."""

    moves: int = 0  # batches of any kind
    step: int = 0  # batches trained
    thread: int = field(default_factory=threading.get_ident)

    def moved(self, step: int | None = None) -> None:
        """One more batch; `step` is how many were trained by now, if it was one of these."""
        self.step = self.step if step is None else step
        self.moves += 1


@dataclass(frozen=True)
class Activity:
    """`state` is one of those above; `place` is the line of the network text where it is, or where there is none another."""

    moves: int = 0
    step: int = 0
    state: str = COMPUTES
    place: str = ""


def activity_of(motion: Motion) -> Activity:
    """Of its thread, now."""
    frames = list(_frames(sys._current_frames().get(motion.thread)))
    states = (state for frame in frames for file, state in STATES.items() if frame.f_code.co_filename.endswith(file))
    own = next((frame for frame in frames if frame.f_code.co_filename == FILE_NAME), frames[0] if frames else None)
    return Activity(motion.moves, motion.step, next(states, COMPUTES), _place(own) if own is not None else "")


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    """The innermost first."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def _place(frame: FrameType) -> str:
    file, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(file, line).strip()
    return f"{Path(file).name}, line {line}{f': {text[:MOST]}' if text else ''}"


class AwakeClock:
    """Seconds; between two looks never more than `most` pass."""

    def __init__(self, most: float) -> None:
        self.most, self.passed, self.last = most, 0.0, time.monotonic()

    def now(self) -> float:
        found = time.monotonic()
        self.passed += min(found - self.last, self.most)
        self.last = found
        return self.passed


class Watched:
    """An activity and since when it is without a move."""

    def __init__(self, now: float) -> None:
        self.activity: Activity | None = None  # not known yet
        self.since = now

    def see(self, activity: Activity, now: float) -> None:
        before = self.activity
        if before is None or (activity.moves, activity.state) != (before.moves, before.state):
            self.since = now
        self.activity = activity

    @property
    def state(self) -> str:
        return self.activity.state if self.activity is not None else COMPUTES


def held_up_by(processes: Sequence[Watched], now: float, seconds: float) -> list[int]:
    """The numbers of those for which others have waited so long, without a move of theirs; all, where each waits for another.
    Nobody, where all compute, however slowly, and not one that writes to a disk that is full or slow."""
    waiting = [one for one in processes if one.state in (WAITS, WAITS_FOR_GPU)]
    if not waiting or any(one.activity is None for one in processes):
        return []
    began = max(one.since for one in processes) if len(waiting) == len(processes) else min(one.since for one in waiting)
    held = WAITS if all(one.state == WAITS for one in processes) else COMPUTES
    return [n for n, one in enumerate(processes) if one.state == held and now - max(one.since, began) > seconds]
