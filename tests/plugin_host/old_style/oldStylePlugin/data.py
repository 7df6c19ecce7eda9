from __future__ import absolute_import

import os
import random

import numpy as np

from digits import utils
from digits.extensions.data.interface import DataIngestionInterface
from digits.utils import constants, override, subclass

from .forms import DatasetForm, InferenceForm

TEMPLATE = "templates/dataset.html"
INFERENCE_TEMPLATE = "templates/inference.html"


class Item(object):
    """An object of the plugin's own, kept in userdata."""

    def __init__(self, value):
        self.value = value


@subclass
class DataIngestion(DataIngestionInterface):
    def __init__(self, **kwargs):
        super(DataIngestion, self).__init__(**kwargs)
        if "items" not in self.userdata:
            values = list(range(self.count))
            random.shuffle(values)
            self.userdata["items"] = [Item(value) for value in values]
            self.userdata["class_labels"] = ["even", "odd"]
        self.handle = open(os.devnull)  # cannot be pickled

    @override
    def encode_entry(self, entry):
        colour = utils.image.image_to_array(np.zeros((4, 5, 3), np.uint8) + entry.value)
        chw = colour.transpose(2, 0, 1)
        return [(chw, np.array([entry.value % 2])), (chw, np.array([entry.value % 2]))]

    @staticmethod
    @override
    def get_category():
        return "Old"

    @staticmethod
    @override
    def get_id():
        return "old-style"

    @staticmethod
    @override
    def get_dataset_form():
        return DatasetForm()

    @staticmethod
    @override
    def get_dataset_template(form):
        extension_dir = os.path.dirname(os.path.abspath(__file__))
        template = open(os.path.join(extension_dir, TEMPLATE), "r").read()
        return (template, {"form": form})

    @staticmethod
    @override
    def get_inference_form():
        form = InferenceForm(["one", "two"])
        for name in form.names:
            form.record.choices.append((name, name))
        return form

    @staticmethod
    @override
    def get_inference_template(form):
        extension_dir = os.path.dirname(os.path.abspath(__file__))
        template = open(os.path.join(extension_dir, INFERENCE_TEMPLATE), "r").read()
        return (template, {"form": form})

    @staticmethod
    @override
    def get_title():
        return "Old style"

    @override
    def itemize_entries(self, stage):
        items = self.userdata["items"]
        half = len(items) // 2
        if stage == constants.TRAIN_DB:
            return items[:half]
        if stage == constants.VAL_DB:
            return items[half:]
        return [Item(int(self.level))] if getattr(self, "level", None) else []
