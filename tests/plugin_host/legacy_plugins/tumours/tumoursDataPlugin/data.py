from __future__ import absolute_import

import os
import random

import nibabel
import numpy as np
import PIL.Image

from digits.extensions.data.interface import DataIngestionInterface
from digits.utils import constants, override, subclass
from digits.utils.constants import COLOR_PALETTE_ATTRIBUTE

from .forms import DatasetForm, InferenceForm

DATASET_TEMPLATE = "templates/dataset_template.html"
INFERENCE_TEMPLATE = "templates/inference_template.html"
MODALITIES = {'Flair': 'flair', 'T1': 't1', 'T1c': 't1ce', 'T2': 't2'}
PALETTE = [0, 0, 0, 255, 0, 0, 0, 255, 0, 255, 255, 0, 0, 0, 255]


@subclass
class DataIngestion(DataIngestionInterface):
    """A data ingestion extension for brain scans: an entry is a scan, which gives several slices"""

    def __init__(self, is_inference_db=False, **kwargs):
        super(DataIngestion, self).__init__(**kwargs)

        self.userdata['is_inference_db'] = is_inference_db
        self.userdata['class_labels'] = ['nothing', 'necrosis', 'edema', 'non-enhancing', 'enhancing']
        self.userdata[COLOR_PALETTE_ATTRIBUTE] = PALETTE + [0] * (768 - len(PALETTE))
        if 'seed' not in self.userdata:
            # choose random seed and add to userdata so it gets persisted
            self.userdata['seed'] = random.randint(0, 1000)
        random.seed(self.userdata['seed'])
        if not is_inference_db:
            folder = os.path.join(self.dataset_folder, self.group_id)
            entries = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
            random.shuffle(entries)
            n_val = len(entries) * int(self.pct_val) // 100
            self.userdata['train_records'] = entries[n_val:]
            self.userdata['val_records'] = entries[:n_val]

    def load(self, folder, kind):
        for name in os.listdir(folder):
            if name.endswith('_%s.nii.gz' % kind):
                # x, y, z -> slices, rows, columns
                return np.asarray(nibabel.load(os.path.join(folder, name)).dataobj).transpose((2, 1, 0))
        raise ValueError("%s has no %s" % (folder, kind))

    def slice_ids(self, seg):
        areas = (seg > 0).sum(axis=(1, 2))
        if self.userdata['filter_method'] == 'max':
            return [int(areas.argmax())]
        least = areas.max() // 2 if self.userdata['filter_method'] == 'threshold' else 0
        return [i for i in range(len(areas)) if areas[i] >= least]

    def convert(self, picture):
        if self.userdata['channel_conversion'] == 'none':
            return picture[np.newaxis]
        grey = PIL.Image.fromarray((picture * (255. / max(picture.max(), 1))).astype('uint8'))
        data = np.array(grey.convert(self.userdata['channel_conversion']))
        return data.transpose((2, 0, 1)) if data.ndim == 3 else data[np.newaxis]

    @override
    def encode_entry(self, entry):
        if self.userdata['modality'] == 'all':
            kinds = [MODALITIES[name] for name in sorted(MODALITIES)]
        else:
            kinds = [MODALITIES[self.userdata['modality']]]
        volumes = [self.load(entry, kind) for kind in kinds]
        seg = self.load(entry, 'seg')
        return [
            (np.concatenate([self.convert(volume[i]) for volume in volumes]), seg[i][np.newaxis]) for i in self.slice_ids(seg)
        ]

    @staticmethod
    @override
    def get_category():
        return "Images"

    @staticmethod
    @override
    def get_id():
        return "images-tumours"

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
        return InferenceForm([os.path.basename(record) for record in self.userdata['val_records']])

    @staticmethod
    @override
    def get_inference_template(form):
        extension_dir = os.path.dirname(os.path.abspath(__file__))
        template = open(os.path.join(extension_dir, INFERENCE_TEMPLATE), "r").read()
        return (template, {'form': form})

    @staticmethod
    @override
    def get_title():
        return "Tumours"

    @override
    def itemize_entries(self, stage):
        if self.userdata['is_inference_db']:
            if stage != constants.TEST_DB:
                return []
            if self.userdata['validation_record'] != 'none':
                return [self.userdata['val_records'][int(self.userdata['validation_record'])]]
            if not self.userdata['test_image_file']:
                raise ValueError("You must choose a record or a file")
            return [os.path.dirname(self.userdata['test_image_file'])]
        if stage == constants.TRAIN_DB:
            return self.userdata['train_records']
        if stage == constants.VAL_DB:
            return self.userdata['val_records']
        return []
