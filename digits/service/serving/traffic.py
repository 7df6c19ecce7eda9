"""What goes through published names, counted in the process that answers: how many at once, how long they take, what they show.

Holds: counts begin with the server. A request has its place before its body is read and keeps it until it is answered, so slow
clients of one name hold at most its own places; a refusal costs next to nothing and says when to come again.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from digits.errors import DigitsError
from digits.storage.publications import Publication, Version

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds, upper ends
KEPT_REQUESTS = 2000
KEPT_PICTURES = 500
FEWEST_PICTURES = 30  # below that nothing is said of drift
SHIFTED = 0.5  # training deviations that a channel's mean may be off
SPREAD = (0.5, 2.0)  # times the training's deviation that a channel's may be
RETRY_SECONDS = 1
RATE_SECONDS = 60.0


class QueueFull(DigitsError):
    """As many requests of a published name are at work as it may have."""

    status = 429
    retry_after = RETRY_SECONDS


@dataclass
class VersionTraffic:
    """One version of one name."""

    codes: Counter[int] = field(default_factory=Counter)
    pictures: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))  # when, how long
    moments: deque[tuple[Sequence[float], Sequence[float]]] = field(default_factory=lambda: deque(maxlen=KEPT_PICTURES))

    def quantile(self, share: float) -> float | None:
        """Seconds within which a share of the last requests was answered; None where there were none."""
        known = sorted(seconds for _, seconds in self.recent)
        return known[min(len(known) - 1, math.ceil(share * len(known)) - 1)] if known else None


@dataclass
class _Name:
    at_work: int = 0
    refused: int = 0
    turns: int = 0  # of requests that a canary shares
    versions: dict[int, VersionTraffic] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)  # when each was used last, by its id


class Traffic:
    """Counts of all names. Safe to share between threads; `clock` gives seconds that nobody sets."""

    def __init__(self, most: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most  # requests of all names at work at once; 0: no limit
        self._clock = clock
        self._lock = threading.Lock()
        self._names: dict[str, _Name] = {}
        self._at_work = 0

    def enter(self, publication: Publication, token: str = "") -> None:
        """Take a place for a request. Raises QueueFull where there is none."""
        with self._lock:
            name = self._names.setdefault(publication.name, _Name())
            if token:
                name.tokens[token] = time.time()
            is_full = name.at_work >= publication.queue_limit
            if is_full or (self._most and self._at_work >= self._most):
                name.refused += 1
                count = publication.queue_limit if is_full else self._most
                whose = publication.name if is_full else "all published names together"
                raise QueueFull(
                    f"{count} requests of {whose} are at work, which is the most.",
                    advice=f"Send this one again after {RETRY_SECONDS} s, or let fewer clients ask at once.",
                )
            name.at_work += 1
            self._at_work += 1

    def leave(self, publication: Publication) -> None:
        """Give the place of a request back."""
        with self._lock:
            self._names[publication.name].at_work -= 1
            self._at_work -= 1

    def choose(self, publication: Publication) -> int:
        """The number of the version that answers the next request: of any hundred in a row, `percent` go to the canary."""
        if not publication.canary:
            return publication.active
        with self._lock:
            name = self._names.setdefault(publication.name, _Name())
            name.turns += 1
            is_canary = name.turns * publication.percent // 100 > (name.turns - 1) * publication.percent // 100
        return publication.canary if is_canary else publication.active

    def record(self, name: str, version: int, code: int, seconds: float, pictures: int = 0) -> None:
        """Count a request that was answered with `code` after `seconds`."""
        with self._lock:
            traffic = self._of(name, version)
            traffic.codes[code] += 1
            if code < 400:
                traffic.pictures += pictures
                traffic.seconds += seconds
                traffic.buckets[next((i for i, end in enumerate(BUCKETS) if seconds <= end), len(BUCKETS))] += 1
                traffic.recent.append((self._clock(), seconds))

    def note_inputs(self, name: str, version: int, moments: Sequence[Sequence[Sequence[float]]]) -> None:
        """Note, for pictures that were predicted, the means and the mean squares of their channels."""
        with self._lock:
            known = self._of(name, version).moments
            known.extend((mean, square) for mean, square in moments if all(map(math.isfinite, [*mean, *square])))

    def forget(self, name: str) -> None:
        """Drop the counts of a name that is not published any more, but for requests that are at work."""
        with self._lock:
            if name in self._names:
                self._names[name].versions.clear()
                self._names[name].tokens.clear()

    def last_used(self, name: str) -> dict[str, float]:
        """When each token of a name was used last since the server's start, by its id."""
        with self._lock:
            found = self._names.get(name)
            return dict(found.tokens) if found else {}

    def of_name(self, name: str) -> tuple[int, int]:
        """How many requests of a name are at work, and how many were refused because there were too many."""
        with self._lock:
            found = self._names.get(name)
            return (found.at_work, found.refused) if found else (0, 0)

    def describe(self, name: str, version: Version) -> dict[str, Any]:
        """`requests`, `errors`, `codes`, `pictures`, `per_minute`, milliseconds (`mean_ms`, `p50_ms`, `p95_ms`, null without
        requests) and `drift` (see `drift_of`) of a version."""
        with self._lock:
            traffic = self._names.get(name, _Name()).versions.get(version.number, VersionTraffic())
            good = sum(count for code, count in traffic.codes.items() if code < 400)
            since = self._clock() - RATE_SECONDS
            return {
                "requests": traffic.codes.total(),
                "errors": traffic.codes.total() - good,
                "codes": {str(code): count for code, count in sorted(traffic.codes.items())},
                "pictures": traffic.pictures,
                "per_minute": sum(at >= since for at, _ in traffic.recent),
                "mean_ms": _ms(traffic.seconds / good if good else None),
                "p50_ms": _ms(traffic.quantile(0.5)),
                "p95_ms": _ms(traffic.quantile(0.95)),
                "drift": drift_of(version, list(traffic.moments)),
            }

    def histograms(self) -> dict[tuple[str, int], tuple[Counter[int], list[int], float, int]]:
        """By name and version: counts by code, counts of `BUCKETS` and beyond, the sum of seconds, pictures."""
        with self._lock:
            return {
                (name, number): (Counter(one.codes), list(one.buckets), one.seconds, one.pictures)
                for name, found in self._names.items()
                for number, one in found.versions.items()
            }

    def _of(self, name: str, version: int) -> VersionTraffic:
        return self._names.setdefault(name, _Name()).versions.setdefault(version, VersionTraffic())


def drift_of(version: Version, moments: Sequence[tuple[Sequence[float], Sequence[float]]]) -> dict[str, Any]:
    """Whether the last pictures look like the training's, by the mean and the spread of their channels in stored units.

    `pictures` counted; by channel `mean` and `trained_mean`, `shift` (how many of the training's standard deviations the mean is
    off) and `spread` (the deviation over the training's); `state` is `unknown` (nothing is known of the training), `waiting` (too
    few pictures), `alike` or `differs`, and `words` says it. It is a hint: pictures may differ in what their means do not show.
    """
    found: dict[str, Any] = {"pictures": len(moments), "mean": [], "trained_mean": list(version.mean), "shift": [], "spread": []}
    channels = len(version.mean)
    fitting = [(mean, square) for mean, square in moments if len(mean) == channels]
    if not channels or len(version.std) != channels or (moments and not fitting):
        return {**found, "state": "unknown", "words": "Nothing is known of the training's pictures."}
    if len(fitting) < FEWEST_PICTURES:
        words = f"{len(fitting)} of {FEWEST_PICTURES} pictures that a comparison with the training needs."
        return {**found, "state": "waiting", "words": words}
    for c in range(channels):
        mean = sum(one[0][c] for one in fitting) / len(fitting)
        variance = max(sum(one[1][c] for one in fitting) / len(fitting) - mean**2, 0.0)
        unit = max(version.std[c], 1e-9)
        found["mean"].append(mean)
        found["shift"].append((mean - version.mean[c]) / unit)
        found["spread"].append(math.sqrt(variance) / unit)
    moved = max(range(channels), key=lambda c: abs(found["shift"][c]))
    widened = max(range(channels), key=lambda c: abs(math.log(max(found["spread"][c], 1e-9))))
    off, wide = found["shift"][moved], found["spread"][widened]
    differs = [_moved(version, found, moved)] if abs(off) > SHIFTED else []
    if not SPREAD[0] <= wide <= SPREAD[1]:
        differs.append(f"their values spread {wide:.2g} times as wide{_in_channel(widened, channels)}")
    if differs:
        words = f"The last {len(fitting)} pictures are not like those of the training: {', and '.join(differs)}."
        return {**found, "state": "differs", "words": words}
    words = (
        f"The last {len(fitting)} pictures look like those of the training: their mean is off by {abs(off):.2g} of its standard "
        f"deviations at most, and their values spread {wide:.2g} times as wide."
    )
    return {**found, "state": "alike", "words": words}


def _moved(version: Version, found: dict[str, Any], channel: int) -> str:
    mean, trained, off = found["mean"][channel], version.mean[channel], found["shift"][channel]
    said = f"{'brighter' if off > 0 else 'darker'} by {abs(off):.2g} of its standard deviations"
    return f"{said} (mean {mean:.3g} instead of {trained:.3g}{_in_channel(channel, len(version.mean))})"


def _in_channel(channel: int, channels: int) -> str:
    return f" in channel {channel + 1} of {channels}" if channels > 1 else ""


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)
