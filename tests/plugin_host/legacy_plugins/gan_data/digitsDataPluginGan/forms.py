from __future__ import absolute_import

import os

from flask.ext.wtf import Form
from wtforms import StringField, validators

from digits import utils
from digits.utils import subclass


def existing_path(form, field):
    if field.data and not os.path.exists(field.data):
        raise validators.ValidationError('This path does not exist')


@subclass
class DatasetForm(Form):
    """Form of a dataset of faces"""

    file_list = utils.forms.StringField(
        u'File list (with attributes) in CelebA format', validators=[existing_path], tooltip="The list of attributes")
    image_folder = utils.forms.StringField(
        u'Image folder', validators=[validators.DataRequired(), existing_path], tooltip="The folder of the pictures")
    center_crop_size = utils.forms.IntegerField(
        u'Center crop size', default=108, validators=[validators.NumberRange(min=0)])
    resize = utils.forms.IntegerField(u'Resize', default=64, validators=[validators.NumberRange(min=0)])


@subclass
class InferenceForm(Form):
    """Form of what is generated"""

    def __init__(self, attributes, *args, **kwargs):
        super(InferenceForm, self).__init__(*args, **kwargs)
        self.attributes = attributes

    row_count = utils.forms.IntegerField(
        u'Rows', default=10, validators=[validators.NumberRange(min=1)], tooltip="Rows of the grid")
    dataset_type = utils.forms.SelectField('Dataset', choices=[('mnist', 'MNIST'), ('celeba', 'CelebA')], default='celeba')
    task_id = utils.forms.SelectField(
        'Task ID',
        choices=[
            ('class', 'MNIST - Class sweep'),
            ('style', 'MNIST - Style sweep'),
            ('genimg', 'Generate single image'),
            ('enclist', 'Encode list of images'),
            ('animation', 'Animation'),
        ],
        default='class')
    class_z_vector = StringField(u'Z vector (blank for random)')
    style_z1_vector = StringField(u'Z1 vector (blank for random)')
    style_z2_vector = StringField(u'Z2 vector (blank for random)')
    genimg_z_vector = StringField(u'Z vector (blank for random)')
    genimg_class_id = utils.forms.IntegerField(u'Class ID', default=0, validators=[validators.NumberRange(min=0, max=9)])
    enc_file_list = utils.forms.StringField(u'File list', validators=[existing_path])
    enc_image_folder = utils.forms.StringField(u'Image folder', validators=[existing_path])
    enc_num_images = utils.forms.IntegerField(u'Number of images', default=100)
    animation_num_transitions = utils.forms.IntegerField(u'Transitions', default=10)
    animation_z_vectors = utils.forms.TextAreaField(u'Z vectors (one per line)')
