from __future__ import absolute_import

import os

import numpy as np

from digits.extensions.view.interface import VisualizationInterface
from digits.utils import override, subclass

from .forms import ConfigForm


def read(name):
    return open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates", name)).read()


@subclass
class Visualization(VisualizationInterface):
    def __init__(self, dataset, **kwargs):
        self.view_template = read("view.html")
        self.unit = kwargs["unit"].lower()
        self.digits = int(kwargs["digits"])
        self.labels = dataset.extension_userdata.get("class_labels", [])
        self.total = 0

    @staticmethod
    def get_config_form():
        return ConfigForm()

    @staticmethod
    def get_config_template(form):
        return (read("config.html"), {"form": form})

    @override
    def get_header_template(self):
        return read("header.html"), {"total": self.total, "unit": self.unit}

    @override
    def get_ng_templates(self):
        return '<div ng-app="meter_app" id="meter">', "</div><script>angular.module('meter_app', []); window.meterFooter = true;</script>"

    @staticmethod
    def get_id():
        return "all-meter"

    @staticmethod
    def get_title():
        return "Meter"

    @staticmethod
    def get_dirname():
        return "meter"

    @override
    def get_view_template(self, data):
        return self.view_template, {"name": data["name"], "value": data["value"], "unit": self.unit}

    @override
    def process_data(self, input_id, input_data, inference_data):
        values = inference_data[list(inference_data.keys())[0]].astype("float32")
        best = int(np.argmax(values))
        self.total += 1
        name = self.labels[best] if self.labels else str(best)
        return {"name": name, "value": round(float(np.max(values)), self.digits)}
