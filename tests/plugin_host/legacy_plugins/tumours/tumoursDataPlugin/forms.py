from __future__ import absolute_import

import os

from flask.ext.wtf import Form
from wtforms import validators

from digits import utils
from digits.utils import subclass


def validate_folder_path(form, field):
    if field.data and not os.path.isdir(field.data):
        raise validators.ValidationError('Folder does not exist or is not reachable')


@subclass
class DatasetForm(Form):
    """A form used to create a dataset of brain scans"""

    dataset_folder = utils.forms.StringField(
        u'Dataset folder', validators=[validators.DataRequired(), validate_folder_path],
        tooltip="Specify the path to the folder with the HGG and LGG folders")
    group_id = utils.forms.SelectField(
        'Group ID', choices=[('HGG', 'High-Grade Gliomas'), ('LGG', 'Low-Grade Gliomas')], default='HGG')
    modality = utils.forms.SelectField(
        'Modality',
        choices=[('all', 'All'), ('Flair', 'Flair'), ('T1', 'T1'), ('T1c', 'T1c'), ('T2', 'T2')],
        default='Flair')
    filter_method = utils.forms.SelectField(
        'Filter',
        choices=[('all', 'None - keep all slices'), ('max', 'Slice with most tumor'), ('threshold', 'Slices above threshold')],
        default='max')
    channel_conversion = utils.forms.SelectField(
        'Channel conversion', choices=[('none', 'None'), ('RGB', 'RGB'), ('L', 'Grayscale')], default='L')
    pct_val = utils.forms.IntegerField(
        u'% for validation', default=10, validators=[validators.NumberRange(min=0, max=100)])


@subclass
class InferenceForm(Form):
    """A form used to test one scan"""

    test_image_file = utils.forms.StringField(u'Image file', tooltip="A file with a volume")
    validation_record = utils.forms.SelectField(
        'Record from validation set', choices=[('none', '- select record -')], default='none')

    def __init__(self, val_data, **kwargs):
        super(InferenceForm, self).__init__(**kwargs)
        for idx, filename in enumerate(val_data):
            self.validation_record.choices.append((str(idx), filename))
