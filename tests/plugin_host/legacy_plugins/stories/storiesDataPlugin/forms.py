from __future__ import absolute_import

import os

from flask.ext.wtf import Form
from wtforms import HiddenField, validators

from digits import utils
from digits.utils import subclass


@subclass
class DatasetForm(Form):
    """A form used to create a dataset of questions"""

    def validate_folder_path(form, field):
        if not field.data:
            pass
        else:
            # make sure the filesystem path exists
            if not os.path.exists(field.data) or not os.path.isdir(field.data):
                raise validators.ValidationError('Folder does not exist or is not reachable')
            else:
                return True

    story_folder = utils.forms.StringField(
        u'Story folder',
        validators=[validators.DataRequired(), validate_folder_path],
        tooltip="Specify the path to a folder of stories - filenames are expected to have this format: qa[1-N]*_train.txt",
    )

    task_id = utils.forms.SelectField(
        'Task ID',
        choices=[('all', 'All')] + [('%d' % i, '%d' % i) for i in range(1, 21)],
        default='1',
        tooltip="Select a task to train on or 'all' to train a joint model on all tasks.",
    )

    pct_val = utils.forms.IntegerField(
        u'% for validation',
        default=10,
        validators=[validators.NumberRange(min=0, max=100)],
        tooltip="You can choose to set apart a certain percentage of images from the training set.",
    )


@subclass
class InferenceForm(Form):
    """A form used to ask a question"""

    snippet = utils.forms.TextAreaField(
        u'Story/Question', tooltip="Write all sentences there and end with a question")
    kind = HiddenField(default='snippet')
