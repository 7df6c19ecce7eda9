from __future__ import absolute_import

import csv
import os
import random

import numpy as np

from digits.utils import subclass, override, constants
from digits.extensions.data.interface import DataIngestionInterface
from .forms import DatasetForm, InferenceForm

DATASET_TEMPLATE = "templates/dataset_template.html"
INFERENCE_TEMPLATE = "templates/inference_template.html"


class Wave(object):
    def __init__(self, name, label, values):
        self.name = name
        self.label = label
        self.values = values


@subclass
class DataIngestion(DataIngestionInterface):
    """A data ingestion extension for time series"""

    def __init__(self, is_inference_db=False, **kwargs):
        super(DataIngestion, self).__init__(**kwargs)
        self.userdata['is_inference_db'] = is_inference_db
        if 'seed' not in self.userdata:
            # choose random seed and add to userdata so it gets persisted
            self.userdata['seed'] = random.randint(0, 1000)
            with open(self.class_labels_file) as infile:
                self.userdata['class_labels'] = np.array([line.strip() for line in infile if line.strip()])
            self.userdata['waves'] = self.parse(self.train_data_file)
        random.seed(self.userdata['seed'])

    def parse(self, path):
        waves = []
        with open(path) as f:
            for i, row in enumerate(csv.reader(f)):
                waves.append(Wave('wave %d' % i, int(row[0]), [float(x) for x in row[1:]]))
        return waves

    @override
    def encode_entry(self, entry):
        start, stop = self.userdata['window']
        values = np.array(entry.values[start:stop]) * self.userdata['scale']
        feature = values[np.newaxis, np.newaxis, ...]
        label = np.array([entry.label])
        return feature, label

    @staticmethod
    @override
    def get_category():
        return "Signals"

    @staticmethod
    @override
    def get_id():
        return "signal-waves"

    @staticmethod
    @override
    def get_dataset_form():
        return DatasetForm()

    @staticmethod
    @override
    def get_dataset_template(form):
        extension_dir = os.path.dirname(os.path.abspath(__file__))
        template = open(os.path.join(extension_dir, DATASET_TEMPLATE), "r").read()
        context = {'form': form}
        return (template, context)

    @override
    def get_inference_form(self):
        form = InferenceForm()
        for i, wave in enumerate(self.userdata['waves']):
            form.record.choices.append((str(i), wave.name))
        return form

    @staticmethod
    @override
    def get_inference_template(form):
        extension_dir = os.path.dirname(os.path.abspath(__file__))
        template = open(os.path.join(extension_dir, INFERENCE_TEMPLATE), "r").read()
        context = {'form': form}
        return (template, context)

    @staticmethod
    @override
    def get_title():
        return "Waves"

    @override
    def itemize_entries(self, stage):
        if not self.userdata['is_inference_db']:
            waves = list(self.userdata['waves'])
            random.shuffle(waves)
            n = int(len(waves) * self.userdata['folder_pct_val'] / 100)
            if stage == constants.TRAIN_DB:
                return waves[n:]
            elif stage == constants.VAL_DB:
                return waves[:n]
            return []
        if stage != constants.TEST_DB:
            return []
        if self.userdata['test_file']:
            return self.parse(self.userdata['test_file'])
        if self.userdata['record'] != 'none':
            return [self.userdata['waves'][int(self.userdata['record'])]] * self.userdata['count']
        raise ValueError("You must provide either a file or a record")
