"""The report of every task whose pictures have metrics of their own: all of them together, and each alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from digits.metrics.base import Arrays, Metric, Report
from digits.storage.predictions import Column
from digits.utils.values import finite


class PictureReport(Report):
    """Metrics of all pictures are those of a training's validation, in the same units; those of one picture are the same metrics
    of that picture alone. `new_metrics` makes them, `comparable` is as in `Task`; `names` are kept of each picture."""

    def __init__(
        self, names: Sequence[str], new_metrics: Callable[[], list[Metric]], comparable: Callable[[Any, Any], tuple[Any, Any]]
    ) -> None:
        self.labelled = 0
        self.names = tuple(names)
        self._metrics, self._comparable = new_metrics, comparable
        self.totals = self.counting = new_metrics()
        self.columns = (Column("output"), *(Column(name, "float64") for name in self.names))

    def add(self, outputs: Arrays, truths: Arrays | None) -> dict[str, Any]:
        """Outputs of any shape, e.g. (H, W), and truths in the model's classes, e.g. (1, H, W)."""
        found: list[dict[str, float]] = []
        if truths is not None:
            found = [self._measure(output, truth) for output, truth in zip(outputs, truths, strict=True)]
            self.labelled += len(found)
        return {"output": outputs, **{name: [values.get(name, math.nan) for values in found] for name in self.names}}

    def summary(self) -> dict[str, Any]:
        found = finite(_computed(self.totals))
        return {
            "labelled": self.labelled,
            "metrics": {name: value for name, value in found.items() if "/" not in name},
            "per_class": _per_class(found),
            "columns": list(self.names),
        }

    def _measure(self, output: np.ndarray, truth: np.ndarray) -> dict[str, float]:
        """Add one picture to the totals; the metrics of it alone."""
        made, real = self._comparable(output, truth)
        own = self._metrics()
        for metric in (*self.totals, *own):
            metric.update(made, real)
        return _computed(own)


def _computed(metrics: Sequence[Metric]) -> dict[str, float]:
    return {name: value for metric in metrics for name, value in metric.compute().items()}


def _per_class(found: Mapping[str, float | None]) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for name, value in found.items():
        kind, slash, label = name.partition("/")
        if slash:
            rows.setdefault(label, {"label": label})[kind] = value
    return list(rows.values())
