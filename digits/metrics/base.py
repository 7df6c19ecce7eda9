"""What metrics have in common: sums over a whole set, in NumPy, the same for every engine, training and evaluation.

Each metric keeps `totals`, a float64 vector of plain sums: adding the vectors of several processes gives the metric of all
their samples. Shares such as accuracies, Dice and IoU are fractions in [0, 1]; errors are in the label's units. Which value is
better, its title and its unit stand in `digits.domain.metrics`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from digits.storage.predictions import Column

Arrays = Sequence[np.ndarray] | np.ndarray  # one for each of N pictures
PictureColumns = dict[str, np.ndarray | list[np.ndarray]]  # a number, numbers (n, K), or a list of any length for each
MAX_CLASSES_SHOWN = 32  # per-class values of more classes would drown the charts


class Metric(ABC):
    """Sums over samples."""

    totals: np.ndarray
    keeps: bool = False  # whether what `of_pictures` needs is kept while batches are added

    @abstractmethod
    def update(self, outputs: np.ndarray, labels: np.ndarray) -> None:
        """Add a batch: raw outputs (N, …) float32 and labels (N, …), both in the units of the labels."""

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """The metrics of everything added; NaN where nothing was."""

    def parts(self) -> list[Any] | None:
        """What must be joined where a metric is no sum: what a process has kept of its samples; None where `totals` are all."""
        return None

    def join(self, parts: Sequence[list[Any]]) -> None:
        """Take what all processes have kept."""
        raise NotImplementedError(f"{type(self).__name__} is a sum.")

    def kept(self) -> list[Any]:
        """What was kept of each picture added, in their order, in lists that those of other processes can be added to."""
        return []

    def take_kept(self, kept: list[Any]) -> None:
        """Take what all processes have `kept`, one after the other."""
        if kept:
            raise NotImplementedError(f"{type(self).__name__} keeps nothing.")

    def of_pictures(self, chosen: np.ndarray) -> PictureColumns:
        """Numbers of each of the pictures `chosen` (n,), by their place in the order in which all were added, from which
        `metrics.resampling` measures anew; none where there is no way to."""
        return {}

    def chosen(self) -> dict[str, Any]:
        """After `compute`: the options (`TaskOptions`, by name) that were chosen on what was added, where some are; they hold
        wherever the measured weights are used."""
        return {}

    def takes(self, outputs: np.ndarray, labels: np.ndarray) -> bool:
        """Whether outputs of this shape, (N, …), can be compared with labels of that, (N, …)."""
        return True

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added, on any process, where `takes` may refuse everything: then there is nothing to say."""
        return False


class Report(ABC):
    """What an evaluation counts and keeps: add batches, then call `summary`."""

    columns: tuple[Column, ...]
    counting: Sequence[Metric] = ()  # the metrics of all pictures with a truth, in the order in which they were added

    @abstractmethod
    def add(self, outputs: Arrays, truths: Arrays | None) -> dict[str, Any]:
        """Add N pictures, outputs as `Task.kept` gives them, of any shape, and their truths, None where there are none.
        The values of each column, as `Column.array` takes them."""

    @abstractmethod
    def summary(self) -> dict[str, Any]:
        """`labelled` (pictures with a truth), `metrics` (by name, None where not known), `per_class` (rows with a `label`) and
        `columns` (metrics of one picture); and what only this report knows."""


class Finite(Metric):
    """How many outputs there are, and how many of them hold NaN or infinity (see `is_finite`). It measures nothing: no snapshot
    of a validation in which there are any is the best, whatever the others found. Of `scores` of classes minus infinity is one:
    networks write it for classes that cannot be."""

    def __init__(self, scores: bool = False) -> None:
        self.scores = scores
        self.totals = np.zeros(2)

    def update(self, outputs: Any, labels: Any) -> None:
        self.totals += (len(outputs), sum(not is_finite(output, self.scores) for output in outputs))

    @property
    def outputs(self) -> int:
        return int(self.totals[0])

    @property
    def nonfinite(self) -> int:
        return int(self.totals[1])

    def compute(self) -> dict[str, float]:
        return {}


def is_finite(output: np.ndarray, scores: bool = False) -> bool:
    """Whether one output of any shape, or its map of classes, holds numbers only: neither NaN nor infinity, of `scores` minus
    infinity alone, and no pixel of no class."""
    if output.dtype.kind == "f":
        return bool((output < np.inf).all() if scores else np.isfinite(output).all())
    return output.dtype.kind != "i" or int(output.min(initial=0)) >= 0


def add_batch(metrics: Sequence[Metric], outputs: Any, labels: Any) -> None:
    """Add a batch to those of the metrics that can compare it. What lacks a batch keeps no pictures: it would not know which."""
    for metric in metrics:
        if metric.takes(outputs, labels):
            metric.update(outputs, labels)
        else:
            metric.keeps = False


def ratio(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom else float("nan")


def ratios(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """`top` / `bottom`, float64 (n,) of (n,) and (n,); NaN where `bottom` is 0."""
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)


def mean_known(values: np.ndarray) -> float:
    """The mean, a scalar, of those of `values` (any shape) that are not NaN; NaN where all are."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
