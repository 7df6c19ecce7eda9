"""Slows down who guesses passwords, without locking out who knows theirs.

Holds: a try is counted before its password is looked at, so tries sent together count like tries one after the other. After five
free tries each next one must wait twice as long as the last, up to a minute. Names and addresses are counted each for itself; who
logged in from an address before is counted by that pair alone, which no stranger elsewhere can use up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from digits.errors import DigitsError
from digits.utils.addresses import network

FREE_TRIES = 5
LONGEST_PAUSE = 60.0
FORGET_SECONDS = 1800.0  # without a try
MOST_KEYS = 20_000


class TooManyTries(DigitsError):
    """Somebody guesses passwords; `first` is the first refusal since a try was let through."""

    status = 429
    first = False


@dataclass
class _Count:
    tries: int = 0
    last: float = 0.0
    refused: bool = False

    def wait(self, now: float) -> float:
        if self.tries < FREE_TRIES:
            return 0.0
        return self.last + min(LONGEST_PAUSE, 2.0 ** min(self.tries - FREE_TRIES, 10)) - now


class Throttle:
    """Tries per key. Safe to use from any thread; `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[str, _Count] = {}

    def begin(self, *keys: str) -> None:
        """Count a try that is about to be made. Raises TooManyTries, and counts nothing, while one of the keys must wait."""
        with self._lock:
            now = self._clock()
            counts = [self._count(key, now) for key in keys]
            wait = max(count.wait(now) for count in counts)
            if wait > 0:
                error = TooManyTries("Too many failed log-ins.", advice=f"Try again in {int(wait) + 1} s.")
                error.first = not all(count.refused for count in counts if count.wait(now) > 0)
                for count in counts:
                    count.refused = True
                raise error
            self._make_room(now)
            for key, count in zip(keys, counts, strict=True):
                count.tries, count.last, count.refused = count.tries + 1, now, False
                self._counts[key] = count

    def succeeded(self, *keys: str) -> None:
        """The try was right and does not count. Those before it do, or who has an account could guess others for ever."""
        with self._lock:
            for key in keys:
                count = self._counts.get(key)
                if count is not None:
                    count.tries = max(0, count.tries - 1)

    def _count(self, key: str, now: float) -> _Count:
        count = self._counts.get(key)
        return count if count is not None and now - count.last <= FORGET_SECONDS else _Count()

    def _make_room(self, now: float) -> None:
        """Forget what nobody tried for long, and where there are still too many keys those that were tried least."""
        if len(self._counts) < MOST_KEYS:
            return
        kept = sorted(self._counts.items(), key=lambda item: (now - item[1].last <= FORGET_SECONDS, item[1].tries))
        self._counts = dict(kept[len(kept) // 2 :])


def keys_of(name: str, address: str, *, was_in: bool) -> tuple[str, ...]:
    """What a try counts for. `was_in` says that this name logged in from this address before."""
    place = network(address)
    if was_in:
        return (f"{name} from {place}",)
    return (f"name {name}", f"address {place}") if name else (f"address {place}",)
