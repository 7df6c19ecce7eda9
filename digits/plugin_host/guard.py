"""Runs a plugin's code so that nothing it does leaves its own answer, and ends the process when it never comes back."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from digits.errors import DigitsError, FormErrors, PluginFailure
from digits.extensions.loader import explain

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)
T = TypeVar("T")

EXIT_STUCK = 75  # the supervisor starts another host
GRACE_SECONDS = 30.0
POLL_SECONDS = 0.5


def guarded(plugin: str, work: Callable[[], T]) -> T:
    """What `work` gives. Raises FormErrors, a DigitsError with its traceback, or PluginFailure for anything unforeseen."""
    try:
        return work()
    except FormErrors:
        raise
    except DigitsError as error:
        error.trace = explain(error)
        raise
    except BaseException as error:  # sys.exit and the like are a plugin's failures too
        raise failure(f"The plugin {plugin} failed", error, "The traceback says where; its author can help.") from error


def failure(words: str, error: BaseException, advice: str = "") -> PluginFailure:
    """The failure that `error` of a plugin is."""
    found = PluginFailure(f"{words}: {type(error).__name__}: {error}", advice=advice)
    found.trace = explain(error)
    return found


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
            stuck = [deadline for deadline in self._deadlines.values() if deadline < now]
            others = len(self._deadlines) - len(stuck)
        if not stuck:
            self._stuck_since = None
            return
        self._stuck_since = self._stuck_since or now
        if not others or now - self._stuck_since > GRACE_SECONDS:
            logger.error("%d request(s) never ended; this plugin host ends and a new one starts", len(stuck))
            self._leave(EXIT_STUCK)

    def start(self) -> None:
        """Check twice a second in a thread of its own."""
        threading.Thread(target=self._loop, daemon=True, name="plugin watch").start()

    def _loop(self) -> None:
        while True:
            time.sleep(POLL_SECONDS)
            self.check()
