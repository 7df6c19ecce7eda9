from __future__ import absolute_import

import os
import random

from flask.ext.wtf import Form
import numpy as np
import scipy.io.wavfile
import scipy.signal
from wtforms import validators

from digits import utils
from digits.extensions.data.interface import DataIngestionInterface
from digits.utils import constants, override, subclass

TEMPLATE = """
{% from "helper.html" import print_errors, mark_errors %}
{{ print_errors(form) }}
{% for field in form if field.name != 'csrf_token' %}
<div class="form-group{{mark_errors([field])}}">{{field.label}} {{field.tooltip}} {{field(class='form-control autocomplete_path')}}</div>
{% endfor %}
"""


@subclass
class DatasetForm(Form):
    recordings_folder = utils.forms.StringField('Recordings', validators=[validators.DataRequired()],
                                                tooltip="One folder of WAV files per class")
    window = utils.forms.IntegerField('Window', default=16, validators=[validators.NumberRange(min=4)])
    pct_val = utils.forms.IntegerField('% for validation', default=25, validators=[validators.NumberRange(0, 100)])


@subclass
class InferenceForm(Form):
    recording = utils.forms.StringField('Recording')


@subclass
class DataIngestion(DataIngestionInterface):
    """Spectrograms of recordings: a float picture and the class of its folder"""

    def __init__(self, is_inference_db=False, **kwargs):
        super(DataIngestion, self).__init__(**kwargs)
        self.userdata['is_inference_db'] = is_inference_db
        if 'seed' not in self.userdata:
            self.userdata['seed'] = random.randint(0, 1000)
        random.seed(self.userdata['seed'])
        self.userdata['class_labels'] = sorted(os.listdir(self.recordings_folder))

    @override
    def encode_entry(self, entry):
        path, label = entry
        rate, samples = scipy.io.wavfile.read(path)
        size = int(self.userdata['window'])
        # scipy.signal.hann and np.float in the original's time
        _, _, power = scipy.signal.spectrogram(samples.astype(float), rate, scipy.signal.windows.hann(size), size, size // 2)
        return np.log1p(power)[np.newaxis], np.array([label])

    @staticmethod
    @override
    def get_category():
        return "Audio"

    @staticmethod
    @override
    def get_id():
        return "audio-acoustics"

    @staticmethod
    @override
    def get_title():
        return "Acoustics"

    @staticmethod
    @override
    def get_dataset_form():
        return DatasetForm()

    @staticmethod
    @override
    def get_dataset_template(form):
        return (TEMPLATE, {'form': form})

    @override
    def get_inference_form(self):
        return InferenceForm()

    @staticmethod
    @override
    def get_inference_template(form):
        return (TEMPLATE, {'form': form})

    @override
    def itemize_entries(self, stage):
        if self.userdata['is_inference_db']:
            return [(self.recording, 0)] if stage == constants.TEST_DB else []
        entries = []
        for label, name in enumerate(self.userdata['class_labels']):
            folder = os.path.join(self.recordings_folder, name)
            entries += [(os.path.join(folder, wav), label) for wav in sorted(os.listdir(folder))]
        random.shuffle(entries)
        n_val = len(entries) * int(self.userdata['pct_val']) // 100
        return {constants.TRAIN_DB: entries[n_val:], constants.VAL_DB: entries[:n_val]}.get(stage, [])
