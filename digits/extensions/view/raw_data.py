"""The default view: every output as text, with its shape and type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from flask_wtf import FlaskForm
from numpy.typing import NDArray

from digits.extensions.view.interface import VisualizationInterface
from digits.extensions.view.support import template

MAX_NUMBERS = 2000


class Visualization(VisualizationInterface):
    """Shows arrays as text."""

    @staticmethod
    def get_id() -> str:
        return "all-raw-data"

    @staticmethod
    def get_title() -> str:
        return "Raw data"

    @staticmethod
    def get_config_form() -> FlaskForm:
        return FlaskForm()

    @staticmethod
    def get_config_template(form: Any) -> tuple[str | None, dict[str, Any] | None]:
        return None, None

    def get_view_template(self, data: Any) -> tuple[str, dict[str, Any]]:
        return template("raw_data"), {"outputs": data}

    def process_data(
        self, input_id: int | str, input_data: NDArray[Any], inference_data: Mapping[str, NDArray[Any]], ground_truth: Any = None
    ) -> list[dict[str, Any]]:
        """As `VisualizationInterface.process_data`; outputs of any shape."""
        rows = [_row(name, array) for name, array in inference_data.items()]
        return rows if ground_truth is None else [*rows, _row("ground truth", ground_truth)]


def _row(name: str, array: Any) -> dict[str, Any]:
    values = np.asarray(array)
    text = np.array2string(values, threshold=MAX_NUMBERS, edgeitems=4, precision=6, suppress_small=True, max_line_width=110)
    return {"name": name, "shape": "×".join(map(str, values.shape)) or "scalar", "dtype": str(values.dtype), "text": text}
