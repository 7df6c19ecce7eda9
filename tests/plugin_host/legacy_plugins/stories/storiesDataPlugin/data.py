from __future__ import absolute_import

import os

from digits.extensions.data.interface import DataIngestionInterface
from digits.utils import constants, override, subclass

from . import utils
from .forms import DatasetForm, InferenceForm

DATASET_TEMPLATE = "templates/dataset_template.html"
INFERENCE_TEMPLATE = "templates/inference_template.html"


@subclass
class DataIngestion(DataIngestionInterface):
    """A data ingestion extension for questions about stories"""

    def __init__(self, is_inference_db=False, **kwargs):
        super(DataIngestion, self).__init__(**kwargs)

        self.userdata['is_inference_db'] = is_inference_db

        if 'train_text_data' not in self.userdata:
            # get task ID
            try:
                task_id = int(self.task_id)
            except ValueError:
                task_id = None
            self.userdata['task_id'] = task_id
            self.userdata['train_text_data'] = utils.parse_folder_phase(self.story_folder, task_id, train=True)
            self.userdata['stats'] = utils.get_stats(self.userdata['train_text_data'])

    @override
    def encode_entry(self, entry):
        stats = self.userdata['stats']
        return utils.encode_sample(entry, stats['word_map'], stats['sentence_size'], stats['story_size'])

    @staticmethod
    @override
    def get_category():
        return "Text"

    @staticmethod
    @override
    def get_id():
        return "text-stories"

    @staticmethod
    @override
    def get_dataset_form():
        return DatasetForm()

    @staticmethod
    @override
    def get_dataset_template(form):
        """
        parameters:
        - form: form returned by get_dataset_form(). This may be populated with values if the job was cloned
        returns:
        - (template, context) tuple
        """
        extension_dir = os.path.dirname(os.path.abspath(__file__))
        template = open(os.path.join(extension_dir, DATASET_TEMPLATE), "r").read()
        context = {'form': form}
        return (template, context)

    @override
    def get_inference_form(self):
        return InferenceForm()

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
        return "Stories"

    @override
    def itemize_entries(self, stage):
        entries = []
        if not self.userdata['is_inference_db']:
            data = self.userdata['train_text_data']
            n_val_entries = int(len(data) * self.userdata['pct_val'] / 100)
            if stage == constants.TRAIN_DB:
                entries = data[n_val_entries:]
            elif stage == constants.VAL_DB:
                entries = data[:n_val_entries]
        elif stage == constants.TEST_DB:
            if not bool(self.userdata['snippet']):
                raise ValueError("You must write a story and a question")
            entries = utils.parse_lines(str(self.userdata['snippet']).splitlines())
        return entries
