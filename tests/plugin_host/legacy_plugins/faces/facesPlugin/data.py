from __future__ import absolute_import

import os

import numpy as np

from digits.extensions.data.interface import DataIngestionInterface
from digits.utils import constants, override, subclass

from .forms import DatasetForm, InferenceForm

DATASET_TEMPLATE = "templates/dataset_template.html"
INFERENCE_TEMPLATE = "templates/inference_template.html"


@subclass
class DataIngestion(DataIngestionInterface):
    """A data ingestion extension for generators: pictures in training, vectors z in inference"""

    def __init__(self, is_inference_db=False, **kwargs):
        super(DataIngestion, self).__init__(**kwargs)
        self.userdata['is_inference_db'] = is_inference_db
        self.z_dim = 100

    @override
    def encode_entry(self, entry):
        if self.userdata['is_inference_db']:
            return self.encode_z_vector(entry), np.array([0])
        size = int(self.userdata['resize'])
        return np.zeros((3, size, size), dtype=np.uint8) + np.uint8(entry), np.array([0])

    def encode_z_vector(self, z):
        return np.reshape(z, (1, 1, self.z_dim))

    @staticmethod
    @override
    def get_category():
        return "Images"

    @staticmethod
    @override
    def get_id():
        return "image-faces"

    @staticmethod
    @override
    def get_dataset_form():
        return DatasetForm()

    @staticmethod
    @override
    def get_dataset_template(form):
        extension_dir = os.path.dirname(os.path.abspath(__file__))
        template = open(os.path.join(extension_dir, DATASET_TEMPLATE), "r").read()
        return (template, {'form': form})

    @override
    def get_inference_form(self):
        return InferenceForm()

    @staticmethod
    @override
    def get_inference_template(form):
        extension_dir = os.path.dirname(os.path.abspath(__file__))
        template = open(os.path.join(extension_dir, INFERENCE_TEMPLATE), "r").read()
        return (template, {'form': form})

    @staticmethod
    @override
    def get_title():
        return "Faces"

    @override
    def itemize_entries(self, stage):
        if not self.userdata['is_inference_db']:
            if stage == constants.TRAIN_DB:
                return [int(v) for v in np.random.randint(0, 256, size=int(self.userdata['face_count']))]
            return []
        if stage != constants.TEST_DB:
            return []
        if self.userdata['z_vector']:
            z = np.array([float(v) for v in self.userdata['z_vector'].split()])
            if z.size != self.z_dim:
                raise ValueError("The Z vector needs %d numbers, found %d" % (self.z_dim, z.size))
            return [z]
        if self.userdata['task_id'] == 'genimg':
            return [np.random.normal(size=(self.z_dim,))]
        if self.userdata['task_id'] == 'style':
            count = int(self.userdata['row_count']) ** 2
            return [np.random.normal(size=(self.z_dim,)) for _ in range(count)]
        raise ValueError("Unknown task: %s" % self.userdata['task_id'])
