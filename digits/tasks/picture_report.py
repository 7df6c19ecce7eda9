"""The report of every task whose pictures have metrics of their own: all of them together, and each alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from digits.metrics.base import Arrays, Metric, Report
from digits.storage.predictions import Column
from digits.utils.finite import finite

if TYPE_CHECKING:
    from digits.tasks.base import Labels, Task


class PictureReport(Report):
    """Metrics of all pictures are those of a training's validation, in the same units; those of one picture are the same metrics
    of that picture alone. Without `labels` there is no truth, and outputs are kept only."""

    def __init__(self, task: Task, labels: Labels | None, validated: Mapping[str, float], scale: float) -> None:
        self.task = task
        self.labels = labels
        self.validated = validated
        self.scale = scale
        self.labelled = 0
        self.names = task.picture_metrics if labels is not None else ()
        self.totals = self._metrics()
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

    def _metrics(self) -> list[Metric]:
        return self.task.metrics(self.labels, validated=self.validated) if self.labels is not None else []

    def _measure(self, output: np.ndarray, truth: np.ndarray) -> dict[str, float]:
        """Add one picture to the totals; the metrics of it alone."""
        made, real = self.task.comparable(output, truth, self.scale)
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
