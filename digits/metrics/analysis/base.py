"""What all tasks tell of an evaluation beyond its metrics.

Holds: an analysis is made once, by the worker, when every picture was predicted, and kept as `analysis.json` in the job's
folder; `columns` are those that it adds to what is kept of each picture. What cannot be told is None, and `notes` say why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from digits.domain.metrics import facts
from digits.metrics.base import Arrays, Metric
from digits.metrics.intervals import MOST_PICTURES, bootstrapped
from digits.metrics.resampling import measurable
from digits.storage.predictions import Column, PredictionReader

Spacing = tuple[float, float]  # height and width of an output's pixel, in mm
BINS = 30
VERSION = 1


@dataclass(frozen=True)
class Evaluated:
    """All that an analysis is made of: what was kept of each picture, the metrics that were counted, the numbers of single
    pictures that metrics are drawn anew from, and, of the validation split of the model's own data set, that these are that;
    else the temperature that was fitted there, by the evaluation `fitted_by`."""

    reader: PredictionReader
    metrics: Sequence[Metric] = ()
    columns: dict[str, Any] = field(default_factory=dict)
    pictures: int = 0
    is_validation: bool = False
    temperature: float | None = None
    fitted_by: str = ""


class Analysis:
    """Add the batches that the report got, then call `summary`."""

    columns: tuple[Column, ...] = ()

    def add(self, outputs: Arrays, truths: Arrays | None, spacings: Sequence[Spacing | None]) -> dict[str, Any]:
        """The values of `columns` of N pictures, given as to `Report.add`; `spacings` are those of the outputs' pixels where
        they are known."""
        return {}

    def summary(self, done: Evaluated) -> dict[str, Any]:
        """What is kept as `analysis.json`: `version`, `notes`, `intervals` (by metric: `low`, `high`, `how`), `distributions`
        (of the metrics of single pictures), and what a task adds."""
        notes: list[str] = []
        own = self.intervals(done)
        if done.pictures > MOST_PICTURES and (names := _without_interval(done, own)):
            notes.append(
                f"No interval of {', '.join(names)}: it would be drawn from the {done.pictures:,} pictures anew, which is done"
                f" with at most {MOST_PICTURES:,}."
            )
        return {
            "version": VERSION,
            "intervals": {**bootstrapped(done.columns, done.pictures, own), **own},
            "distributions": {name: distribution(done.reader.table[name].to_numpy()) for name in done.reader.metrics},
            **self.details(done, notes),
            "notes": notes,
        }

    def intervals(self, done: Evaluated) -> dict[str, Any]:
        """Of metrics that have one by a formula."""
        return {}

    def details(self, done: Evaluated, notes: list[str]) -> dict[str, Any]:
        """What only this task tells; sentences about what cannot be told are added to `notes`."""
        return {}


def _without_interval(done: Evaluated, own: Mapping[str, Any]) -> list[str]:
    """The titles of the metrics that were counted and whose interval the bootstrap alone gives."""
    counted = {name for metric in done.metrics for name in metric.compute()}
    return [facts(name).title for name in measurable(done.columns) if name in counted and name not in own]


def distribution(values: np.ndarray, bins: int = BINS) -> dict[str, Any]:
    """Of numbers (N,): how many are `known`, `mean`, the quantiles `p5`, `median`, `p95`, and a histogram (`edges`,
    `counts`)."""
    known = values[np.isfinite(values)].astype(np.float64)
    if not len(known):
        return {"known": 0, "mean": None, "p5": None, "median": None, "p95": None, "edges": [], "counts": []}
    counts, edges = np.histogram(known, bins)
    low, middle, high = np.quantile(known, [0.05, 0.5, 0.95]).tolist()
    found = {"known": len(known), "mean": float(known.mean()), "p5": low, "median": middle, "p95": high}
    return {**found, "edges": edges.tolist(), "counts": counts.tolist()}
