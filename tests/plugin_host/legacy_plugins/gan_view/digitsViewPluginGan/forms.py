from __future__ import absolute_import

import os

from flask_wtf import Form
import wtforms.validators

from digits import utils
from digits.utils import subclass


def existing_path(form, field):
    if field.data and not os.path.exists(field.data):
        raise wtforms.validators.ValidationError('This path does not exist')


@subclass
class ConfigForm(Form):
    """What is shown of a GAN"""

    gan_view_task_id = utils.forms.SelectField(
        'Task',
        choices=[('grid', 'Grid'), ('mnist_encoder', 'MNIST Encoder'), ('animation', 'Animation')],
        default='grid',
        tooltip="Select a task.")
    attributes_file = utils.forms.StringField(u'Attributes vector file', validators=[existing_path])
