from __future__ import absolute_import

import os

from flask.ext.wtf import Form
from wtforms import HiddenField, RadioField, TextField, validators

from digits import utils
from digits.utils import subclass
from digits.utils.forms import validate_required_iff


@subclass
class DatasetForm(Form):
    """A form used to create a data set of time series"""

    def validate_file_path(form, field):
        if not field.data:
            pass
        else:
            # make sure the filesystem path exists
            if not os.path.exists(field.data) or os.path.isdir(field.data):
                raise validators.ValidationError('File does not exist or is not reachable')
            else:
                return True

    train_data_file = utils.forms.StringField(
        u'Training data (.csv)',
        validators=[validators.DataRequired(), validate_file_path],
        tooltip="Provide a file"
    )
    val_data_file = utils.forms.StringField(
        u'Validation data (.csv)',
        validators=[validate_required_iff(split='file'), validate_file_path],
        tooltip="Provide a file"
    )
    class_labels_file = utils.forms.FileField(u'Labels', tooltip="One name a line")
    split = RadioField('Split', choices=[('file', 'By file'), ('share', 'By share')], default='share')
    folder_pct_val = utils.forms.IntegerField(
        u'% for validation', default=20, validators=[validators.NumberRange(min=0, max=100)],
        tooltip="You can choose to set apart a certain percentage"
    )
    window = utils.forms.MultiIntegerField('Window', default=[0, 16], tooltip="From, to")
    scale = utils.forms.FloatField('Scale', default=1.5, validators=[validators.NumberRange(min=0.1)])
    columns = utils.forms.SelectMultipleField('Columns', choices=[('a', 'A'), ('b', 'B'), ('c', 'C')], default=['a'])
    remark = TextField(u'Remark', validators=[validators.Length(max=100)])
    token = HiddenField(default='t0')


@subclass
class InferenceForm(Form):
    """A form used to perform inference on a time series"""

    def __init__(self, *args, **kwargs):
        super(InferenceForm, self).__init__(*args, **kwargs)

    test_file = utils.forms.FileField(u'Test file', tooltip="A CSV file")
    record = utils.forms.SelectField(
        u'Record', choices=[('none', '- select record -')], default='none', tooltip="Test a record")
    count = utils.forms.SelectField('Count', coerce=int, choices=[(1, 'one'), (2, 'two')], default=1)
