"""What test-time augmentation gains: the metrics of the very pictures that an evaluation predicts, with it and without."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from digits.domain.metrics import is_lower_better
from digits.metrics.base import Arrays, Report
from digits.metrics.of_pictures import numbers_of
from digits.metrics.resampling import RESAMPLES, draws, measurable, resampled
from digits.storage.validation_pictures import Ragged

PERCENT = 95
HOW = "both drawn anew together, picture by picture"


class Gain:
    """Add every batch of answers without test-time augmentation, then compare with the `report` of those with it."""

    def __init__(self, report: Report, new_report: Callable[[], Report]) -> None:
        self._with, self._without = report, new_report()
        for metric in (*self._with.counting, *self._without.counting):
            metric.keeps = True

    def add(self, outputs: Arrays, truths: Any) -> None:
        """Kept outputs of N pictures, of any shape, and their truths, as to `Report.add`."""
        self._without.add(outputs, truths)

    def summary(self, found: Mapping[str, float | None], key: str) -> dict[str, Any]:
        """`metrics`: by name `with`, `without` and their difference `gain`, positive where it is better with, None where one is
        not known, of those that the report `found`; of the one that decides, `key`, also the interval `low` to `high` of the gain
        and `how` it was made. `pictures`: how many have a truth."""
        others = self._without.summary()["metrics"]
        rows = {name: _row(name, value, others.get(name)) for name, value in found.items()}
        if key in rows and (interval := self._interval(key)) is not None:
            rows[key] |= {"low": interval[0], "high": interval[1], "how": HOW}
        return {"metrics": rows, "pictures": self._without.summary()["labelled"]}

    def _interval(self, name: str) -> tuple[float, float] | None:
        """Of the gain in a metric; None where it cannot be measured anew from single pictures."""
        count = int(self._without.summary()["labelled"])
        both = [numbers_of(report.counting, np.arange(count)) for report in (self._with, self._without)]
        if count < 2 or any(name not in measurable(columns) for _, columns, _ in both) or both[0][2] != both[1][2]:
            return None
        drawn = draws(len(both[0][0]), RESAMPLES)
        ours, theirs = (resampled(name, _arrays(columns), drawn) for _, columns, _ in both)
        apart = _better(name) * (ours - theirs)
        apart = apart[np.isfinite(apart)]
        if not len(apart):
            return None
        low, high = np.percentile(apart, [(100 - PERCENT) / 2, (100 + PERCENT) / 2])
        return float(low), float(high)


def _row(name: str, ours: float | None, theirs: float | None) -> dict[str, Any]:
    gain = None if ours is None or theirs is None else _better(name) * (ours - theirs)
    return {"with": ours, "without": theirs, "gain": gain}


def _better(name: str) -> int:
    """What makes an improvement of a metric a positive number."""
    return -1 if is_lower_better(name) else 1


def _arrays(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of `Metric.of_pictures` as `resampled` takes them."""
    return {name: _ragged(column) if isinstance(column, list) else column for name, column in columns.items()}


def _ragged(lists: Sequence[np.ndarray]) -> Ragged:
    owners = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
    return Ragged(np.concatenate([np.zeros(0), *lists]).astype(lists[0].dtype if lists else float), owners)
