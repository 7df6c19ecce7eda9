"""The most probable classes of the main output, best first, as bars; of several labels those that count are named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from flask_wtf import FlaskForm
from numpy.typing import NDArray
from wtforms import validators

from digits.extensions.view.options import OptionsView
from digits.extensions.view.support import class_names, picture, shown_output, template
from digits.utils import forms


class TopKOptions(FlaskForm):
    """How many classes are shown."""

    top_k = forms.IntegerField("Classes to show", default=5, validators=[validators.NumberRange(1, 1000)])


class Visualization(OptionsView):
    """Takes probabilities, or scores and log-probabilities, which are put through softmax. With thresholds each class has a
    probability of its own, which is shown as it is."""

    Options = TopKOptions

    def __init__(self, dataset: Any, **kwargs: Any) -> None:
        super().__init__(dataset, **kwargs)
        self.count = int(kwargs.get("top_k") or 5)

    @staticmethod
    def get_id() -> str:
        return "all-top-k"

    @staticmethod
    def get_title() -> str:
        return "Top classes"

    def get_view_template(self, data: Any) -> tuple[str, dict[str, Any]]:
        return template("top_k"), data

    def process_data(
        self,
        input_id: int | str,
        input_data: NDArray[Any],
        inference_data: Mapping[str, NDArray[Any]],
        ground_truth: Any = None,
        thresholds: NDArray[Any] | None = None,
    ) -> dict[str, Any]:
        """As `VisualizationInterface.process_data`; the output holds K scores, (K,) or (K, 1, 1). Of scores that are no numbers
        there are no best classes."""
        output = shown_output(inference_data)
        scores = probabilities(output) if thresholds is None else np.asarray(output, np.float64).ravel()[: len(thresholds)]
        names = class_names(self.labels, scores.size)
        true = true_classes(ground_truth, names, thresholds is not None)
        best = np.argsort(-scores, kind="stable")[: 0 if np.isnan(scores).any() else self.count]
        rows = [{"name": names[i], "percent": 100 * float(scores[i]), "true": int(i) in true} for i in best]
        found = None
        if thresholds is not None:
            for row, i in zip(rows, best, strict=True):
                row |= {"threshold": 100 * float(thresholds[i]), "found": bool(scores[i] >= thresholds[i])}
            found = [names[i] for i in np.flatnonzero(scores >= thresholds[: scores.size])]
        shown = picture(input_data) if min(input_data.shape[:2]) > 1 else ""
        return {"rows": rows, "input": shown, "truth": ", ".join(names[i] for i in true), "found": found}


def true_classes(truth: Any, names: list[str], several: bool) -> list[int]:
    """The classes that a label names: the number of one, or with `several` a vector (K,) of 0 and 1; [] for anything else."""
    if truth is None or (not several and np.size(truth) != 1):
        return []
    if several:
        return [int(i) for i in np.flatnonzero(np.ravel(truth)[: len(names)] > 0)]
    number = int(np.ravel(truth)[0])
    return [number] if 0 <= number < len(names) else []


def probabilities(output: NDArray[Any]) -> NDArray[np.float64]:
    """An output of any shape with K numbers as probabilities float64 (K,): unchanged when it already adds up to 1, else
    through softmax; all NaN where a score is NaN or plus infinity."""
    values = np.asarray(output, np.float64).ravel()
    if not (values < np.inf).all():
        return np.full(values.size, np.nan)
    if values.size and values.min() >= 0 and abs(values.sum() - 1) < 1e-3:
        return values
    exponents = np.exp(values - values.max(initial=-np.inf))
    return exponents / exponents.sum()
