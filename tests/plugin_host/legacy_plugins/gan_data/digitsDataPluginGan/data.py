from __future__ import absolute_import

import os

import numpy as np

from digits.extensions.data.interface import DataIngestionInterface
from digits.utils import constants, override, image, subclass

from .forms import DatasetForm, InferenceForm

DATASET_TEMPLATE = "templates/dataset_template.html"
INFERENCE_TEMPLATE = "templates/inference_template.html"
ATTRIBUTES = ['Bald', 'Male', 'Smiling', 'Young']


def template(name):
    extension_dir = os.path.dirname(os.path.abspath(__file__))
    return open(os.path.join(extension_dir, name), "r").read()


def on_sphere(val, low, high):
    """Interpolation on a sphere"""
    if val <= 0:
        return low
    if val >= 1:
        return high
    omega = np.arccos(np.dot(low, high) / (np.linalg.norm(low) * np.linalg.norm(high)))
    return (np.sin((1 - val) * omega) * low + np.sin(val * omega) * high) / np.sin(omega)


@subclass
class DataIngestion(DataIngestionInterface):
    """Pictures in training; vectors z, or pictures for an encoder, in inference"""

    def __init__(self, is_inference_db=False, **kwargs):
        super(DataIngestion, self).__init__(**kwargs)
        self.z_dim = 100
        self.y_dim = 10 if self.userdata.get('dataset_type') == 'mnist' else 0
        self.input_dim = self.z_dim + self.y_dim
        self.userdata['is_inference_db'] = is_inference_db

    @override
    def encode_entry(self, entry):
        if not self.userdata['is_inference_db'] or self.userdata['task_id'] == 'enclist':
            filename, label = entry
            return self.scale_image(filename), np.array(label).reshape(1, 1, len(label))
        return entry, np.array([0])

    @staticmethod
    @override
    def get_category():
        return "Images"

    @staticmethod
    @override
    def get_id():
        return "image-gan"

    @staticmethod
    @override
    def get_title():
        return "GAN"

    @staticmethod
    @override
    def get_dataset_form():
        return DatasetForm()

    @staticmethod
    @override
    def get_dataset_template(form):
        return (template(DATASET_TEMPLATE), {'form': form})

    @override
    def get_inference_form(self):
        return InferenceForm(ATTRIBUTES)

    @staticmethod
    @override
    def get_inference_template(form):
        return (template(INFERENCE_TEMPLATE), {'form': form})

    @override
    def itemize_entries(self, stage):
        if not self.userdata['is_inference_db']:
            if stage == constants.TRAIN_DB:
                return self.read_list(self.userdata['file_list'], self.userdata['image_folder'])
            return []
        if stage != constants.TEST_DB:
            return []
        task_id = self.userdata['task_id']
        rows = self.userdata['row_count']
        entries = []
        if task_id == 'class':
            z = self.z_vector(self.userdata['class_z_vector'])
            for val in np.linspace(0, 1, rows):
                for i in range(10):
                    entries.append(on_sphere(val, self.feature(z, i), self.feature(z, (i + 1) % 10)))
        elif task_id == 'style':
            z1 = self.z_vector(self.userdata['style_z1_vector'])
            z2 = self.z_vector(self.userdata['style_z2_vector'])
            for val in np.linspace(0, 1, rows):
                for i in range(10):
                    entries.append(self.feature(on_sphere(val, z1, z2), i))
        elif task_id == 'genimg':
            entries.append(self.feature(self.z_vector(self.userdata['genimg_z_vector']), self.userdata['genimg_class_id']))
        elif task_id == 'animation':
            zs = [np.array([float(v) for v in line.split()]) for line in self.userdata['animation_z_vectors'].splitlines()]
            count = self.userdata['animation_num_transitions']
            for i, z in enumerate(zs):
                for k in range(count):
                    entries.append(on_sphere(float(k) / count, z, zs[(i + 1) % len(zs)]))
        elif task_id == 'enclist':
            entries = self.read_list(self.userdata['enc_file_list'], self.userdata['enc_image_folder'])
            return entries[:self.userdata['enc_num_images']]
        else:
            raise ValueError("Unknown task: %s" % task_id)
        return [entry.reshape((1, 1, self.input_dim)) for entry in entries]

    def z_vector(self, text):
        if text:
            return np.array([float(v) for v in text.split()])
        return np.random.normal(size=(self.z_dim,))

    def feature(self, z, class_id):
        if not self.y_dim:
            return z
        one_hot = np.zeros(self.y_dim)
        one_hot[class_id] = 1
        return np.append(z, one_hot)

    def read_list(self, file_list, image_folder):
        entries = []
        with open(file_list) as f:
            for line in f.read().splitlines()[2:]:
                fields = line.split()
                entries.append((os.path.join(image_folder, fields[0]), [int(field) for field in fields[1:]]))
        return entries

    def scale_image(self, filename):
        im = np.array(image.load_image(filename))
        if self.userdata['center_crop_size']:
            crop_size = int(self.userdata['center_crop_size'])
            height, width = im.shape[0:2]
            top = (height // 2) - crop_size // 2
            left = (width // 2) - crop_size // 2
            im = im[top:top + crop_size, left:left + crop_size, :]
        if self.userdata['resize']:
            im = image.resize_image(im, int(self.userdata['resize']), int(self.userdata['resize']), resize_mode='squash')
        return im.transpose(2, 0, 1)
