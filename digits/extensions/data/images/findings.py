"""Collects what is wrong in somebody's files, one line each, without letting a list of a million lines grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from digits.extensions.data.source import ReportProblem

LISTED = 1000  # of each kind; the others are counted


class Findings:
    """Hands problems on to a report: `kind`, `reason`, `entry` (the file), `stage`, where there is one `line`, and `lost` 1 where
    the data set lacks a record because of it."""

    def __init__(self, report: ReportProblem) -> None:
        self._report = report
        self.counts: Counter[str] = Counter()
        self._lost_unlisted: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, kind: str, reason: str, entry: str = "", stage: str = "", line: int = 0, *, lost: bool = False) -> None:
        """Note one problem. `lost`: a record is missing because of it, which the kind `skipped` means anyway."""
        lost = lost or kind == "skipped"
        self.counts[kind] += 1
        if self.counts[kind] > LISTED:
            self._lost_unlisted[kind] += lost
            return
        place = f"{entry}, line {line}" if line else entry
        self._first.setdefault(kind, f" The first problem: {place}: {reason}")
        problem: dict[str, Any] = {"kind": kind, "stage": stage, "entry": place, "reason": reason}
        self._report({**problem, "lost": 1} if lost and kind != "skipped" else problem)

    def first_of(self, kinds: Sequence[str]) -> str:
        """The first problem of one of some kinds as a sentence to append; empty without one."""
        return next((self._first[kind] for kind in kinds if kind in self._first), "")

    def finish(self) -> None:
        """Say how many problems of each kind are not listed."""
        for kind, count in self.counts.items():
            if count > LISTED:
                more = {"of": kind, "count": count - LISTED, "lost": self._lost_unlisted[kind]}
                self._report(
                    {"kind": "more", "entry": "", "reason": f"{count - LISTED} more problems of the kind {kind!r}.", **more}
                )
