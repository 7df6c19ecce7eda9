from __future__ import absolute_import

from flask.ext.wtf import Form
from wtforms import validators

from digits import utils
from digits.utils import subclass


@subclass
class DatasetForm(Form):
    """A form used to create a dataset of faces"""

    face_count = utils.forms.IntegerField(
        'Faces', validators=[validators.DataRequired(), validators.NumberRange(min=1)], default=12,
        tooltip="How many faces are drawn")
    resize = utils.forms.IntegerField('Resize', default=8, tooltip="Of both sides")


@subclass
class InferenceForm(Form):
    """A form used to perform inference on a generator"""

    row_count = utils.forms.IntegerField('Rows', default=3, tooltip="Rows and columns of the grid")
    task_id = utils.forms.SelectField(
        'Task ID',
        choices=[('style', 'Style grid'), ('genimg', 'Generate one image'), ('analogy', 'Analogy')],
        default='style')
    z_vector = utils.forms.StringField('Z vector', tooltip="Numbers between blanks; drawn where it is blank")
