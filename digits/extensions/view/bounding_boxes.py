"""Boxes over the picture, drawn in the page: score threshold, overlap (NMS), classes, line width, opacity, faded picture.

The page gets the boxes before suppression where the network reports them (`candidates`), as base64 of float32 rows, so that
`static/js/overlay/suppression.js` finds to the bit what the network would have given at each place of the slider.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from flask_wtf import FlaskForm
from numpy.typing import NDArray
from wtforms import validators

from digits.extensions.view.options import OptionsView
from digits.extensions.view.support import class_names, picture, template
from digits.images.palette import object_colours
from digits.utils import forms

SCORE = 0.25  # where the slider stands for outputs of models that know no threshold
COLUMNS = 6  # left, top, right, bottom, score, class


class BoxOptions(FlaskForm):
    """Where the sliders stand at first."""

    box_line_width = forms.IntegerField("Line width", default=2)
    box_opacity = forms.FloatField("Opacity", default=1.0)
    desaturation = forms.FloatField("Desaturation", default=0.0, tooltip="1 shows the picture in grey so that boxes stand out.")
    score_threshold = forms.FloatField(
        "Score threshold", validators=[validators.Optional(), validators.NumberRange(0, 1)], tooltip="Blank: the model's own."
    )
    overlap = forms.FloatField(
        "Overlap (NMS)",
        validators=[validators.Optional(), validators.NumberRange(0, 1)],
        tooltip="Of two boxes of a class that share more than this part of their union the worse goes. Blank: the network's own.",
    )


class Visualization(OptionsView):
    """Takes outputs with rows `[left, top, right, bottom, confidence]` or `[…, confidence, class]` in pixels of the input."""

    counts_all = False  # the header is a legend

    Options = BoxOptions

    def __init__(self, dataset: Any, **kwargs: Any) -> None:
        super().__init__(dataset, **kwargs)
        self.options = {name: value for name, value in kwargs.items() if value is not None}
        self.groups: list[str] = []
        self.overlap: float | None = None  # the network's own
        self.least = SCORE
        self.classes = 0
        self.images = 0
        self.boxes = 0

    @staticmethod
    def get_id() -> str:
        return "image-bounding-boxes"

    @staticmethod
    def get_title() -> str:
        return "Bounding boxes"

    def get_header_template(self) -> tuple[str, dict[str, Any]]:
        names = self._names()
        colours = object_colours(len(names), self.palette)
        legend = [{"name": name, "colour": colour} for name, colour in zip(names, colours, strict=True)]
        overlap = self.options.get("overlap", 1.0 if self.overlap is None else self.overlap)
        shown = {"images": self.images, "boxes": self.boxes, "options": self.options, "legend": legend}
        least = self.options.get("score_threshold", self.least)
        return template("bounding_boxes_header"), {**shown, "overlap": overlap, "own_overlap": self.overlap, "least": least}

    def get_view_template(self, data: Any) -> tuple[str, dict[str, Any]]:
        return template("bounding_boxes"), data

    def process_data(
        self,
        input_id: int | str,
        input_data: NDArray[Any],
        inference_data: Mapping[str, NDArray[Any]],
        ground_truth: Any = None,
        candidates: Mapping[str, Any] | None = None,
        origin: Mapping[str, Any] | None = None,
        thresholds: NDArray[Any] | None = None,
    ) -> dict[str, Any]:
        """As `VisualizationInterface.process_data`. Outputs are rows (n, 5) or (n, 6) of left, top, right, bottom in pixels,
        confidence and class; where `candidates` are known, their `boxes` (m, 6) are shown and suppressed in the page. What is
        downloaded there is in the pixels that `origin` names. `thresholds` (1,) is the score from which on boxes of the model
        count."""
        if thresholds is not None and len(thresholds) == 1:
            self.least = float(thresholds[0])
        self.groups = list(inference_data)
        found = [read_boxes(np.asarray(inference_data[name]), i) for i, name in enumerate(self.groups)]
        kept = np.concatenate([*found, np.zeros((0, COLUMNS), np.float32)])
        if candidates is not None and len(self.groups) == 1:
            self.overlap = float(candidates["overlap"])
            rows, most = read_boxes(np.asarray(candidates["boxes"]), 0), int(candidates["most"])
        else:
            rows, most = kept[np.argsort(-kept[:, 4], kind="stable")], 0
        self.images += 1
        self.boxes += len(kept)
        self.classes = max(self.classes, int(rows[:, 5].max(initial=-1)) + 1)
        packed = base64.b64encode(rows.astype("<f4").tobytes()).decode()
        height, width = input_data.shape[:2]
        shown = {"input": picture(input_data), "width": width, "height": height, "count": len(kept)}
        return {**shown, "boxes": packed, "most": most, "truth": _truth(ground_truth), "origin": origin}

    def _names(self) -> list[str]:
        count = max(len(self.labels), len(self.groups), self.classes)
        if self.labels or len(self.groups) <= 1:
            return class_names(self.labels, count)
        return self.groups + class_names([], count)[len(self.groups) :]


def read_boxes(rows: NDArray[Any], group: int) -> NDArray[np.float32]:
    """Float32 (n, 6) of the rows of numbers with a positive confidence; the class is the sixth, else the number of the output.

    Raises ValueError for an output that holds no boxes.
    """
    table = rows.reshape(-1, rows.shape[-1]) if rows.ndim >= 1 and rows.size else np.zeros((0, COLUMNS))
    if table.shape[1] < COLUMNS - 1:
        raise ValueError(f"the output has shape {rows.shape}; boxes are rows of left, top, right, bottom, confidence (and class)")
    classes = table[:, 5:6] if table.shape[1] >= COLUMNS else np.full((len(table), 1), group)
    whole = np.concatenate([table[:, :5], classes], axis=1).astype(np.float32)
    return whole[np.isfinite(whole).all(axis=1) & (whole[:, 4] > 0)]


def _truth(truth: Any) -> list[dict[str, Any]]:
    """Boxes of the ground truth, as the records hold them."""
    names = getattr(getattr(truth, "dtype", None), "names", None)
    if not names or "x0" not in names:
        return []
    return [{"box": [float(row[name]) for name in ("x0", "y0", "x1", "y1")], "class": int(row["class"])} for row in truth]
