"""Dynamic batching: requests that wait while the network is at work go through it together afterwards.

Holds: nobody waits for company, so a lone request takes as long as ever; pictures of one shape and type go together, at most
`MOST_TOGETHER` at once. What comes back for a picture does not depend on its company but for the last bits of a float32; where
a batch fails, or an output has no axis for it, each request goes alone.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

MOST_TOGETHER = 64

Forward = Callable[[np.ndarray], dict[str, np.ndarray]]


@dataclass(eq=False)  # each is itself alone: arrays have no truth
class _Waiting:
    """A request that waits for its outputs, or for the error."""

    batch: np.ndarray
    done: threading.Event = field(default_factory=threading.Event)
    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    error: BaseException | None = None

    @property
    def kind(self) -> tuple[tuple[int, ...], str]:
        return self.batch.shape[1:], self.batch.dtype.str


class Batcher:
    """Runs `forward` for many threads, in one of its own, which starts with the first request and never holds up an exit."""

    def __init__(self, forward: Forward, most: int = MOST_TOGETHER) -> None:
        self._forward = forward
        self._most = most
        self._requests: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs (N, …) by name for features (N, C, H, W). Raises what `forward` raises."""
        waiting = _Waiting(batch)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
                self._thread.start()
        self._requests.put(waiting)
        waiting.done.wait()
        if waiting.error is not None:
            raise waiting.error
        return waiting.outputs

    def _work(self) -> None:
        held: deque[_Waiting] = deque()
        while True:
            if not held:
                held.append(self._requests.get())
            while not self._requests.empty():
                held.append(self._requests.get())
            group = _group(held, self._most)
            for one in group:
                held.remove(one)
            self._run(group)

    def _run(self, group: list[_Waiting]) -> None:
        try:
            if len(group) == 1 or not self._run_together(group):
                for one in group:
                    self._run_alone(one)
        finally:
            for one in group:
                one.done.set()

    def _run_together(self, group: list[_Waiting]) -> bool:
        """Whether all of them have their outputs."""
        total = sum(len(one.batch) for one in group)
        try:
            outputs = self._forward(np.concatenate([one.batch for one in group]))
        except Exception:  # a network text of the user; whose request it is that fails is found out one by one
            return False
        if any(array.ndim == 0 or len(array) != total for array in outputs.values()):
            return False
        start = 0
        for one in group:
            one.outputs = {name: array[start : start + len(one.batch)] for name, array in outputs.items()}
            start += len(one.batch)
        return True

    def _run_alone(self, one: _Waiting) -> None:
        try:
            one.outputs = self._forward(one.batch)
        except BaseException as error:  # raised again by the thread that waits
            one.error = error


def _group(held: deque[_Waiting], most: int) -> list[_Waiting]:
    """The oldest and those of its kind behind it, `most` pictures at most (or the oldest alone, however many it has)."""
    group, total = [held[0]], len(held[0].batch)
    for one in list(held)[1:]:
        if one.kind == group[0].kind and total + len(one.batch) <= most:
            group.append(one)
            total += len(one.batch)
    return group
