"""Ranks the classes of a text, and shows the text as the network saw it."""

from pathlib import Path

import numpy as np

from digits.extensions.view.interface import VisualizationInterface
from digits.utils import override, subclass
from digits_view_text_classification.forms import ConfigForm

TEMPLATES = Path(__file__).parent / "templates"


@subclass
class Visualization(VisualizationInterface):
    """Takes probabilities or, as networks with a log-softmax give, their logarithms."""

    def __init__(self, dataset, **kwargs):
        self.max_classes = int(kwargs["max_classes"])
        self.labels = list(dataset.extension_userdata.get("class_labels", []))
        alphabet = dict.fromkeys(dataset.extension_userdata.get("alphabet", "").lower())
        self.characters = ["\N{MIDDLE DOT}", *alphabet]

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
        return "text-classification"

    @staticmethod
    @override
    def get_title():
        return "Text classification"

    @override
    def get_view_template(self, data):
        return (TEMPLATES / "view.html").read_text(encoding="utf-8"), data

    @override
    def process_data(self, input_id, input_data, inference_data):
        scores = np.asarray(next(iter(inference_data.values())), np.float64).ravel()
        probabilities = scores if scores.min() >= 0 else np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
        best = np.argsort(-probabilities, kind="stable")[: self.max_classes]
        rows = [(self.labels[i] if i < len(self.labels) else str(i), 100 * float(probabilities[i])) for i in best]
        return {"rows": rows, "text": self.read_back(input_data)}

    def read_back(self, codes):
        """The characters that the network saw."""
        known = (int(code) for code in np.ravel(codes))
        return "".join(self.characters[code] if code < len(self.characters) else "?" for code in known).rstrip("\N{MIDDLE DOT}")
