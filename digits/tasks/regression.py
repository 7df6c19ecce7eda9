"""Regression: one or more numbers for each picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from digits.domain.training import TaskOptions
from digits.tasks.base import NUMBERS, Guess, Labels, Task
from digits.utils.values import finite

if TYPE_CHECKING:
    import numpy as np

    from digits.metrics.analysis.base import Analysis
    from digits.metrics.base import Metric

MOST_NUMBERS = 64  # that a description shows


class Regression(Task):
    """A label is a vector (K,) of float32, or a whole number that names no class; an output as many numbers."""

    name = "regression"
    title = "Regression"
    model_words = "A regression model"
    label_kinds = ("vector", "index", "array")
    parts = ("Column", "Columns")
    counted = "labels"
    output_kind = NUMBERS
    views = ("all-raw-data",)
    losses = ("mse", "l1", "smooth_l1")
    picture_metrics = ("mae", "rmse")

    def fits(self, labels: Labels) -> bool:
        if labels.kind in ("map", "array"):
            return not labels.is_picture
        return labels.kind == "vector" or (labels.kind == "index" and not labels.class_labels)

    def adopts(self, labels: Labels) -> bool:
        return self.fits(labels)

    def claims(self, kind: str, has_classes: bool) -> bool:
        return kind == "vector"

    def label_of(self, array: np.ndarray) -> tuple[str, np.ndarray] | None:
        """Any array with one axis longer than 1, such as (1, 1, K), is a vector, and a whole number is a number like others."""
        if array.size == 1:
            return "vector", array
        return ("vector", array) if array.size and array.size == max(array.shape) else None

    def metrics(self, labels: Labels, options: TaskOptions | None = None, scale: float | None = None) -> list[Metric]:
        from digits.metrics.regression import Errors

        return [Errors(named_columns(labels), self.label_scale(labels) if scale is None else scale)]

    def analysis(self, labels: Labels | None, model: Labels, *, in_mm: bool = False) -> Analysis:
        from digits.metrics.analysis.numbers import NumberAnalysis

        return NumberAnalysis(named_columns(labels) if labels is not None else ())

    def guesses(self, labels: Labels, training: Callable[[], Iterable[np.ndarray]], counts: Sequence[int]) -> list[Guess]:
        import numpy as np

        mean = mean_of(part.astype(np.float64) for part in training())
        words = "always the mean of the training labels"
        return [Guess(lambda _, truth: np.broadcast_to(mean, truth.shape), words)]

    def value_names(self, labels: Labels) -> tuple[str, ...]:
        return labels.columns if labels.shape is not None and len(labels.columns) == math.prod(labels.shape) else ()

    def describe_label(self, label: np.ndarray, labels: Labels) -> list[float | None]:
        """The first numbers of (K,), in the label's units."""
        return numbers(label)

    def describe_output(
        self, output: np.ndarray, truth: np.ndarray | None, labels: Labels, options: TaskOptions | None = None
    ) -> dict[str, Any]:
        """`values`: the first numbers of (K,), in the label's units, and `names` of these, where the data set has some."""
        names = labels.columns[:MOST_NUMBERS] if len(labels.columns) == output.size else ()
        return {"values": numbers(output), "names": list(names)}

    def lines(self, output: np.ndarray, labels: Labels, options: TaskOptions, top: int) -> list[str]:
        """The numbers with their names, where the data set has some."""
        names = labels.columns if len(labels.columns) == output.size else ()
        found = [f"{name}: {float(number):.6g}" for name, number in zip(names, output.ravel(), strict=False)]
        return found or super().lines(output, labels, options, top)

    def example(self) -> tuple[Labels, np.ndarray, np.ndarray]:
        import numpy as np

        truth = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
        return Labels("vector", (2,), "float32"), truth.copy(), truth


def named_columns(labels: Labels) -> tuple[str, ...]:
    """A name for each number of a label, those that the data set gives or their places; empty for labels of any length."""
    count = 0 if labels.shape is None else math.prod(labels.shape)
    return Regression().value_names(labels) or tuple(f"column {place}" for place in range(1, count + 1))


def numbers(values: np.ndarray) -> list[float | None]:
    """The first `MOST_NUMBERS` of `values` (any shape) as JSON; None for what is not finite."""
    return [finite(float(value)) for value in values.ravel()[:MOST_NUMBERS]]


def mean_of(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Mean of arrays (n, …) over their first axes, float64 (…)."""
    import numpy as np

    total: Any = 0.0
    count = 0
    for part in parts:
        total = total + part.sum(axis=0)
        count += len(part)
    return np.asarray(total / count)
