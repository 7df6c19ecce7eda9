from __future__ import absolute_import

import os

from flask.ext.wtf import Form
import numpy as np
from wtforms import validators

from digits import utils
from digits.extensions.data.interface import DataIngestionInterface
from digits.utils import constants, override, subclass

DATASET_TEMPLATE = "templates/dataset_template.html"


@subclass
class DatasetForm(Form):
    train_image_count = utils.forms.IntegerField('Train Image count', validators=[validators.DataRequired()], default=8)
    val_image_count = utils.forms.IntegerField('Validation Image count', validators=[validators.Optional()], default=4)
    test_image_count = utils.forms.IntegerField('Test Image count', validators=[validators.Optional()], default=0)
    image_width = utils.forms.IntegerField('Image Width', default=8)
    image_height = utils.forms.IntegerField('Image Height', default=8)


@subclass
class InferenceForm(Form):
    gradient_x = utils.forms.FloatField('Gradient (x)', validators=[validators.Optional(), validators.NumberRange(-0.5, 0.5)])
    gradient_y = utils.forms.FloatField('Gradient (y)', validators=[validators.Optional(), validators.NumberRange(-0.5, 0.5)])
    test_image_count = utils.forms.IntegerField('Test Image count', validators=[validators.Optional()], default=0)


@subclass
class DataIngestion(DataIngestionInterface):
    """Draws its samples while it lists them: nothing is seeded"""

    def __init__(self, is_inference_db=False, **kwargs):
        super(DataIngestion, self).__init__(**kwargs)
        self.userdata['is_inference_db'] = is_inference_db

    @override
    def encode_entry(self, entry):
        xslope, yslope = entry
        label = np.array([xslope, yslope])
        a = xslope * 255 / self.image_width
        b = yslope * 255 / self.image_height
        image = np.fromfunction(lambda y, x: a * (x - self.image_width / 2.) + b * (y - self.image_height / 2.) + 127.5,
                                (self.image_height, self.image_width))
        return image.astype('uint8')[np.newaxis], label.reshape((1, 1, 2))

    @staticmethod
    @override
    def get_category():
        return "Images"

    @staticmethod
    @override
    def get_id():
        return "image-slopes"

    @staticmethod
    @override
    def get_dataset_form():
        return DatasetForm()

    @staticmethod
    @override
    def get_dataset_template(form):
        extension_dir = os.path.dirname(os.path.abspath(__file__))
        return (open(os.path.join(extension_dir, DATASET_TEMPLATE), "r").read(), {'form': form})

    @override
    def get_inference_form(self):
        return InferenceForm()

    @staticmethod
    @override
    def get_inference_template(form):
        return ("{% for field in form %}{{ field.label }}{{ field(class='form-control') }}{% endfor %}", {'form': form})

    @staticmethod
    @override
    def get_title():
        return "Slopes"

    @override
    def itemize_entries(self, stage):
        count = 0
        if self.userdata['is_inference_db']:
            if stage == constants.TEST_DB:
                if self.test_image_count:
                    count = self.test_image_count
                else:
                    return [(self.gradient_x, self.gradient_y)]
        else:
            count = {
                constants.TRAIN_DB: self.train_image_count,
                constants.VAL_DB: self.val_image_count,
                constants.TEST_DB: self.test_image_count,
            }[stage]
        return [np.random.random_sample(2) - 0.5 for _ in range(count)] if count > 0 else []
