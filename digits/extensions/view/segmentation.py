"""Classes of every pixel over the picture, drawn in the page: fill, outline or mask, opacity, threshold, legend, palette."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from flask_wtf import FlaskForm
from numpy.typing import NDArray

from digits.domain.datasets import IGNORED
from digits.extensions.view.options import OptionsView
from digits.extensions.view.support import class_names, picture, shown_output, template
from digits.images.palette import class_colours, paired_colours
from digits.utils import forms
from digits.utils.image import embed_image_html


class MaskViewOptions(FlaskForm):
    """Which colours the classes get."""

    colormap = forms.SelectField(
        "Colormap",
        choices=[("dataset", "From dataset"), ("paired", "Paired"), ("none", "Distinct")],
        default="dataset",
        tooltip="The data set's own palette where it has one, light and dark pairs, or distinguishable colours.",
    )


class Visualization(OptionsView):
    """Takes class scores (K, H, W), a probability (1, H, W) or (H, W), or whole class numbers (1, H, W) or (H, W)."""

    counts_all = False  # the header is a legend

    Options = MaskViewOptions

    def __init__(self, dataset: Any, **kwargs: Any) -> None:
        super().__init__(dataset, **kwargs)
        self.colormap = kwargs.get("colormap", "dataset")
        self.classes = 0

    @staticmethod
    def get_id() -> str:
        return "image-segmentation"

    @staticmethod
    def get_title() -> str:
        return "Image segmentation"

    def get_header_template(self) -> tuple[str, dict[str, Any]]:
        names = class_names(self.labels, self.classes)
        legend = [{"name": name, "colour": colour} for name, colour in zip(names, self._colours(), strict=True)]
        return template("segmentation_header"), {"legend": legend, "binary": self.classes == 2}

    def get_view_template(self, data: Any) -> tuple[str, dict[str, Any]]:
        return template("segmentation"), data

    def process_data(
        self, input_id: int | str, input_data: NDArray[Any], inference_data: Mapping[str, NDArray[Any]], ground_truth: Any = None
    ) -> dict[str, Any]:
        """As `VisualizationInterface.process_data`; the output is scores (K, H, W), or (1, H, W) or (H, W): of the foreground,
        or class numbers."""
        classes, foreground, count = read_scores(shown_output(inference_data))
        truth = _truth_map(ground_truth)
        self.classes = max(
            self.classes, count, len(self.labels), int(truth[truth < IGNORED].max(initial=0)) + 1 if truth is not None else 0
        )
        return {
            "input": picture(input_data),
            "classes": embed_image_html(classes),
            "foreground": embed_image_html(foreground) if foreground is not None else "",
            "truth": embed_image_html(truth) if truth is not None else "",
            "shares": _shares(classes, class_names(self.labels, max(self.classes, 1))),
        }

    def _colours(self) -> list[list[int]]:
        if self.colormap == "paired":
            return paired_colours(self.classes)
        return class_colours(self.classes, self.palette if self.colormap == "dataset" else (), self.labels)


def read_scores(output: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, int]:
    """Class of each pixel (H, W), void where a score is NaN or plus infinity, the foreground's probability times 255 where there
    are two classes, and how many there are.

    Raises ValueError for an output that is no map, or has more than 255 classes.
    """
    scores = np.squeeze(output, axis=0) if output.ndim == 3 and output.shape[0] == 1 else output
    if scores.ndim == 2:
        return _single(scores)
    if scores.ndim != 3 or scores.shape[0] > IGNORED:
        raise ValueError(
            f"the output has shape {output.shape}; a segmentation has (classes, H, W) with at most 255 classes, or (H, W)"
        )
    classes = np.where((scores < np.inf).all(axis=0), scores.argmax(axis=0), IGNORED).astype(np.uint8)
    return classes, _foreground(scores) if scores.shape[0] == 2 else None, scores.shape[0]


def _single(scores: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, int]:
    whole = scores.dtype.kind in "iub" or (np.equal(scores, scores.round()).all() and scores.max(initial=0) > 1)
    if whole:
        classes = scores.clip(0, 255).astype(np.uint8)
        return classes, None, max(2, int(classes[classes < IGNORED].max(initial=0)) + 1)
    known = np.isfinite(scores)
    scores = np.where(known, scores, 0)
    outside = scores.min() < 0 or scores.max() > 1
    probability = 1 / (1 + np.exp(-np.asarray(scores, np.float64))) if outside else scores
    classes = np.where(known, probability > 0.5, IGNORED).astype(np.uint8)
    return classes, (np.where(known, probability, 0) * 255).round().astype(np.uint8), 2


def _foreground(scores: NDArray[Any]) -> NDArray[np.uint8]:
    """Probability of class 1 of two, from probabilities or from scores before softmax."""
    values = scores.astype(np.float64)
    if values.min() >= 0 and np.allclose(values.sum(axis=0), 1, atol=1e-3):
        probability = values[1]
    else:
        probability = 1 / (1 + np.exp(values[0] - values[1]))
    return np.nan_to_num(probability * 255).round().clip(0, 255).astype(np.uint8)


def _truth_map(truth: Any) -> NDArray[np.uint8] | None:
    array = np.squeeze(np.asarray(truth)) if truth is not None else None
    if array is None or array.ndim != 2 or array.dtype.kind not in "iubf":
        return None
    return array.clip(0, 255).astype(np.uint8)


def _shares(classes: NDArray[np.uint8], names: list[str]) -> list[dict[str, Any]]:
    """The classes in a picture with their share of it in percent, largest first."""
    counts = np.bincount(classes[classes < IGNORED], minlength=len(names))
    rows = [
        {"name": names[i] if i < len(names) else f"class {i}", "percent": 100 * n / classes.size}
        for i, n in enumerate(counts)
        if n
    ]
    if counts.sum() < classes.size:
        rows.append({"name": "no class: no numbers", "percent": 100 * (1 - counts.sum() / classes.size)})
    return sorted(rows, key=lambda row: -row["percent"])
