"""Times and durations in words, as templates of the original write them."""

from __future__ import annotations

import time
from datetime import datetime

UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def print_time(seconds: float) -> str:
    """Local date and time; the date is left out today, the year within this year."""
    moment, now = datetime.fromtimestamp(seconds), datetime.now()
    if moment.date() == now.date():
        return moment.strftime("%I:%M:%S %p")
    return moment.strftime("%a %b %d, %I:%M:%S %p" if moment.year == now.year else "%a %b %d %Y, %I:%M:%S %p")


def print_time_diff(seconds: float | None) -> str:
    """The two largest units: `1 day, 2 hours`, `0 seconds`, `Negative Time`, `?` for None."""
    if seconds is None:
        return "?"
    rest = int(seconds)
    if rest < 0:
        return "Negative Time"
    parts = []
    for word, size in UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {word}{'s' if count != 1 else ''}")
    return ", ".join(parts[:2]) or "0 seconds"


def print_time_since(seconds: float) -> str:
    return print_time_diff(max(0.0, time.time() - seconds))
