from __future__ import absolute_import

import os

from digits.extensions.view.interface import VisualizationInterface
from digits.utils import override, subclass

from .forms import ConfigForm


def read(name):
    return open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates", name), "r").read()


@subclass
class Visualization(VisualizationInterface):
    def __init__(self, dataset, **kwargs):
        self.labels = dataset.extension_userdata["class_labels"]
        self.dims = dataset.get_feature_dims()
        self.colour = kwargs["colour"]
        self.loud = kwargs["loud"]
        self.best = []

    @staticmethod
    def get_config_form():
        return ConfigForm()

    @staticmethod
    def get_config_template(form):
        return (read("config.html"), {"form": form})

    @staticmethod
    def get_id():
        return "old-style-view"

    @staticmethod
    def get_title():
        return "Old style view"

    @staticmethod
    def get_dirname():
        return "oldStyle"

    @override
    def get_header_template(self):
        return (read("header.html"), {"best": self.best, "dims": self.dims})

    @override
    def get_view_template(self, data):
        return (read("view.html"), {"data": data, "colour": self.colour, "loud": self.loud})

    @override
    def process_data(self, input_id, input_data, inference_data, ground_truth=None):
        scores = inference_data[list(inference_data.keys())[0]]
        label = self.labels[int(scores.argmax())]
        self.best.append(label)
        return {"id": input_id, "label": label, "shape": input_data.shape}
