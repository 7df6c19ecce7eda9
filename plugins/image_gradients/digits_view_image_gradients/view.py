"""Draws the predicted gradient as an arrow over the picture."""

from pathlib import Path

import numpy as np

from digits.extensions.view.interface import VisualizationInterface
from digits.utils import override, subclass
from digits.utils.image import display_image, embed_image_html
from digits_view_image_gradients.forms import ConfigForm

TEMPLATES = Path(__file__).parent / "templates"


@subclass
class Visualization(VisualizationInterface):
    """Takes two numbers, the gradients in x and y."""

    def __init__(self, dataset, **kwargs):
        self.arrow_color = kwargs["arrow_color"]
        self.arrow_size = kwargs["arrow_size"]

    @staticmethod
    @override
    def get_config_form():
        return ConfigForm()

    @staticmethod
    @override
    def get_config_template(form):
        return (TEMPLATES / "config.html").read_text(encoding="utf-8"), {"form": form}

    @staticmethod
    @override
    def get_id():
        return "image-gradients"

    @staticmethod
    @override
    def get_title():
        return "Gradients"

    @override
    def get_view_template(self, data):
        return (TEMPLATES / "view.html").read_text(encoding="utf-8"), {**data, "colour": self.arrow_color}

    @override
    def process_data(self, input_id, input_data, inference_data, ground_truth=None):
        x, y = np.asarray(next(iter(inference_data.values()))).ravel()[:2]
        reach = self.arrow_size / 100 * 50
        truth = None if ground_truth is None else [float(value) for value in np.ravel(ground_truth)[:2]]
        return {
            "image": embed_image_html(display_image(input_data)),
            "x": float(x),
            "y": float(y),
            "end_x": 50 + reach * float(x) * 2,
            "end_y": 50 + reach * float(y) * 2,
            "truth": truth,
        }
