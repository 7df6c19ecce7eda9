"""Shows a story as the network read it, the question, and the most probable answers."""

from pathlib import Path

import numpy as np
from digits_data_babi.words import Vocabulary

from digits.extensions.view.interface import VisualizationInterface
from digits.extensions.view.support import class_names, shown_output
from digits.extensions.view.top_k import probabilities, true_classes
from digits.utils import override, subclass
from digits_view_babi.forms import ConfigForm

TEMPLATES = Path(__file__).parent / "templates"


@subclass
class Visualization(VisualizationInterface):
    """Takes the probabilities, or scores, of a network that was trained on a data set of the data plugin."""

    def __init__(self, dataset, **kwargs):
        self.count = int(kwargs["max_answers"])
        self.labels = list(dataset.extension_userdata.get("class_labels", []))
        self.vocabulary = Vocabulary(dataset.extension_userdata.get("vocabulary", []))
        self.known, self.right = 0, 0

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
        return "text-babi"

    @staticmethod
    @override
    def get_title():
        return "Answers to questions"

    @override
    def get_header_template(self):
        return (TEMPLATES / "header.html").read_text(encoding="utf-8"), {"known": self.known, "right": self.right}

    @override
    def get_view_template(self, data):
        return (TEMPLATES / "view.html").read_text(encoding="utf-8"), data

    @override
    def process_data(self, input_id, input_data, inference_data, ground_truth=None):
        """`input_data` is (sentences + 1, words), the question in the last row; words that are not known are None."""
        scores = probabilities(shown_output(inference_data))
        names = class_names(self.labels, scores.size)
        best = np.argsort(-scores, kind="stable")[: 0 if np.isnan(scores).any() else self.count]
        true = true_classes(ground_truth, names, False)
        if true:
            self.known += 1
            self.right += bool(len(best)) and int(best[0]) == true[0]
        *story, question = [self.vocabulary.read_back(row) for row in input_data.reshape(len(input_data), -1)]
        return {
            "story": [words for words in story if words],
            "question": question,
            "answers": [{"name": names[i], "percent": 100 * float(scores[i]), "true": int(i) in true} for i in best],
            "truth": names[true[0]] if true else "",
        }
