from __future__ import absolute_import

import os
import random

import numpy as np

from digits.extensions.data.interface import DataIngestionInterface
from digits.utils import constants, override, subclass

from .forms import DatasetForm, InferenceForm

DATASET_TEMPLATE = "templates/dataset.html"
INFERENCE_TEMPLATE = "templates/inference.html"


class Fleet(object):
    def __init__(self, name, ships):
        self.name, self.ships = name, ships

    def __repr__(self):
        return "%s (%d ships)" % (self.name, self.ships)


@subclass
class DataIngestion(DataIngestionInterface):
    def __init__(self, is_inference_db=False, **kwargs):
        super(DataIngestion, self).__init__(**kwargs)
        self.userdata["is_inference_db"] = is_inference_db
        if not is_inference_db:
            with open(self.fleet_file) as lines:
                fleets = [Fleet("fleet %d" % i, int(line)) for i, line in enumerate(lines) if line.strip()]
            random.shuffle(fleets)
            self.userdata["fleets"] = fleets
            self.userdata["class_labels"] = [str(i) for i in range(10)]

    @override
    def encode_entry(self, entry):
        side = int(self.userdata["side"])
        feature = np.zeros((3, side, side), dtype="uint8")
        feature[0, : entry.ships % side] = 255
        feature[2] = entry.ships
        return feature, np.array([entry.ships])

    @staticmethod
    @override
    def get_category():
        return "Images"

    @staticmethod
    @override
    def get_id():
        return "image-ships"

    @staticmethod
    @override
    def get_dataset_form():
        return DatasetForm(["6", "8"])

    @staticmethod
    @override
    def get_dataset_template(form):
        extension_dir = os.path.dirname(os.path.abspath(__file__))
        template = open(os.path.join(extension_dir, DATASET_TEMPLATE), "r").read()
        return (template, {"form": form})

    @staticmethod
    @override
    def get_inference_form():
        form = InferenceForm()
        form.fleet.choices.append(("flag", "Flag ship"))
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
        return "Ships"

    @override
    def itemize_entries(self, stage):
        if self.userdata["is_inference_db"]:
            if stage != constants.TEST_DB:
                return []
            return [Fleet("asked", self.ships if self.ships is not None else 1)]
        count = len(self.userdata["fleets"]) * int(self.pct_val) // 100
        if stage == constants.TRAIN_DB:
            return self.userdata["fleets"][count:]
        elif stage == constants.VAL_DB:
            return self.userdata["fleets"][:count]
        return []
