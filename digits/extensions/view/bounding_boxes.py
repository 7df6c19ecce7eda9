"""Boxes over the picture, drawn in the page: line width, opacity, labels, score threshold, faded picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from flask_wtf import FlaskForm
from numpy.typing import NDArray

from digits.extensions.view.interface import VisualizationInterface
from digits.extensions.view.support import class_colours, class_names, picture, template
from digits.utils import forms
from digits.utils.constants import CLASS_LABELS_ATTRIBUTE


class ConfigForm(FlaskForm):
    """Where the sliders stand at first."""

    box_line_width = forms.IntegerField("Line width", default=2)
    box_opacity = forms.FloatField("Opacity", default=1.0)
    desaturation = forms.FloatField("Desaturation", default=0.0, tooltip="1 shows the picture in grey so that boxes stand out.")
    score_threshold = forms.FloatField("Score threshold", default=0.25)


class Visualization(VisualizationInterface):
    """Takes outputs with rows `[left, top, right, bottom, confidence]` or `[…, confidence, class]` in pixels of the input."""

    def __init__(self, dataset: Any, **kwargs: Any) -> None:
        userdata = getattr(dataset, "extension_userdata", None) or {}
        self.labels = [str(label) for label in userdata.get(CLASS_LABELS_ATTRIBUTE) or ()]
        self.options = {name: value for name, value in kwargs.items() if value is not None}
        self.images = 0
        self.boxes = 0

    @staticmethod
    def get_id() -> str:
        return "image-bounding-boxes"

    @staticmethod
    def get_title() -> str:
        return "Bounding boxes"

    @staticmethod
    def get_config_form() -> ConfigForm:
        return ConfigForm()

    @staticmethod
    def get_config_template(form: Any) -> tuple[str, dict[str, Any]]:
        return template("options"), {"form": form}

    def get_header_template(self) -> tuple[str, dict[str, Any]]:
        return template("bounding_boxes_header"), {"images": self.images, "boxes": self.boxes, "options": self.options}

    def get_view_template(self, data: Any) -> tuple[str, dict[str, Any]]:
        return template("bounding_boxes"), data

    def process_data(
        self, input_id: str, input_data: NDArray[Any], inference_data: Mapping[str, NDArray[Any]], ground_truth: Any = None
    ) -> dict[str, Any]:
        groups = list(inference_data)
        boxes = [box for i, name in enumerate(groups) for box in read_boxes(np.asarray(inference_data[name]), i)]
        self.images += 1
        self.boxes += len(boxes)
        count = max([len(self.labels), len(groups), *(box["class"] + 1 for box in boxes)])
        named = (
            class_names(self.labels, count) if self.labels or len(groups) == 1 else groups + class_names([], count)[len(groups) :]
        )
        colours = class_colours(count + 1)[1:]
        return {"input": picture(input_data), "boxes": boxes, "names": named, "colours": colours, "truth": _truth(ground_truth)}


def read_boxes(rows: NDArray[Any], group: int) -> list[dict[str, Any]]:
    """Rows with a positive confidence; the class is the sixth number, else the number of the output.

    Raises ValueError for an output that holds no boxes.
    """
    table = rows.reshape(-1, rows.shape[-1]) if rows.ndim >= 1 and rows.size else np.zeros((0, 5))
    if table.shape[1] < 5:
        raise ValueError(f"the output has shape {rows.shape}; boxes are rows of left, top, right, bottom, confidence (and class)")
    return [
        {
            "box": [round(float(value), 2) for value in row[:4]],
            "score": float(row[4]),
            "class": int(row[5]) if table.shape[1] > 5 else group,
        }
        for row in table
        if row[4] > 0
    ]


def _truth(truth: Any) -> list[list[float]]:
    """Boxes of the ground truth, as the records hold them."""
    names = getattr(getattr(truth, "dtype", None), "names", None)
    if not names or "x0" not in names:
        return []
    return [[float(row[name]) for name in ("x0", "y0", "x1", "y1")] for row in truth]
