"""How much was left out, and why: one bad entry never ends a job, too many of them do, and then the message says what is wrong
with most of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from digits.errors import DataError
from digits.utils.values import counted

NAMED_REASONS = 3
TOLD_APART = 1000  # reasons; what comes beyond them is counted together
REASON_TEXT = 300  # characters of a reason in a message
ADVICE = "Correct them, or allow more in `Left out at most (%)`."
NUMBERS = re.compile(r"\d+")


class LeftOut:
    """Counts entries that cannot be used, of `total`; at most `share` of them may be missing."""

    def __init__(self, plugin: str, total: int, share: float) -> None:
        self.plugin, self.total, self.share = plugin, total, share
        self.lost = 0.0
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, skipped: Iterable[tuple[str, str]], lost: float) -> None:
        """Take in some entries with their reasons; `lost` of all entries they are."""
        self.lost += lost
        for entry, reason in skipped:
            kind = NUMBERS.sub("#", reason.split("\n", 1)[0]).replace(NUMBERS.sub("#", entry), "")
            if kind not in self._first:
                if len(self._first) >= TOLD_APART:
                    continue
                self._first[kind] = f"{entry}: {reason}" if entry not in reason else reason
            self._counts[kind] += 1

    def check(self) -> None:
        """Raises DataError as soon as more is missing than may be."""
        if self.lost > self.share * self.total:
            raise self.error(f"{self.lost:,.0f} of {counted(self.total, 'entry', 'entries')} cannot be used")

    def error(self, found: str) -> DataError:
        """`found` with the most frequent reasons."""
        limit = f", more than the {self.share:.0%} that may be left out" if self.share < 1 else ""
        return DataError(f"{self.plugin}: {found}{limit}. {self.reasons()}".strip(), advice=ADVICE)

    def reasons(self) -> str:
        """The most frequent reasons with their counts, each with its first entry; empty before anything was left out."""
        named = [f"{count:,} × {_shortened(self._first[kind])}" for kind, count in self._counts.most_common(NAMED_REASONS)]
        return f"Most frequent: {' '.join(named)}" if named else ""


def _shortened(reason: str) -> str:
    line = reason.split("\n", 1)[0]
    return line if len(line) <= REASON_TEXT else line[:REASON_TEXT] + "…"
