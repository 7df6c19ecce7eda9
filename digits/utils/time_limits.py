"""Runs a call that may never come back, for some seconds, and knows those that did not."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_LEFT: dict[threading.Thread, float] = {}  # threads that nobody waits for any more, and since when


LOOK_SECONDS = 1.0  # between looks whether work goes on


class SignsOfLife:
    """When something that may take long said last that it goes on."""

    def __init__(self) -> None:
        self.note()

    def note(self) -> None:
        self._last = time.monotonic()

    @property
    def silence(self) -> float:
        """Seconds since then."""
        return time.monotonic() - self._last


def within(seconds: float, work: Callable[[], T], name: str, *, may_stay: bool = False, signs: SignsOfLife | None = None) -> T:
    """What `work` gives or raises; TimeoutError where it is not back after `seconds`, with `signs` after so many without one. It
    then stays in a thread of this name, which ends with the process; `may_stay`: it is worth having when it comes, so nobody
    minds it.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    context = contextvars.copy_context()

    def run() -> None:
        try:
            results.append(context.run(work))
        except BaseException as error:  # a plugin may also call sys.exit
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True, name=name)
    thread.start()
    thread.join(max(seconds, 0.0))
    while signs is not None and thread.is_alive() and signs.silence < seconds:
        thread.join(min(LOOK_SECONDS, max(seconds - signs.silence, 0.0)))
    if errors:
        raise errors[0]
    if not results:
        if not may_stay:
            _LEFT[thread] = time.monotonic()
        raise TimeoutError(f"{name} did not end within {seconds:.0f} seconds.")
    return results[0]


def longest_left() -> float:
    """For how many seconds the oldest thread has gone on that nobody waits for; 0 where there is none."""
    for thread in [thread for thread in list(_LEFT) if not thread.is_alive()]:
        _LEFT.pop(thread, None)
    now = time.monotonic()
    return now - min(_LEFT.values(), default=now)
