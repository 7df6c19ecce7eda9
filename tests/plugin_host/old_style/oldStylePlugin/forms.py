from __future__ import absolute_import

import os

from digits import utils
from digits.utils import subclass
from flask.ext.wtf import Form
from wtforms import TextField, validators


@subclass
class DatasetForm(Form):
    def validate_folder_path(form, field):
        if field.data and not os.path.isdir(field.data):
            raise validators.ValidationError("Folder does not exist or is not reachable")

    folder = utils.forms.StringField(
        u"Folder",
        validators=[validators.Required(), validate_folder_path],
        tooltip="Provide a folder",
        explanation_file="explain.html",
    )
    title = TextField(u"Title", default=u"untitled")
    count = utils.forms.IntegerField(u"Count", default=6, validators=[validators.DataRequired(), validators.NumberRange(min=1)])
    ratios = utils.forms.MultiFloatField(u"Ratios", validators=[utils.forms.MultiNumberRange(min=0), utils.forms.MultiOptional()])
    low = utils.forms.IntegerField(u"Low", default=1)
    high = utils.forms.IntegerField(u"High", default=2, validators=[utils.forms.validate_greater_than("low")])
    use_seed = utils.forms.BooleanField(u"Use seed", default=True)
    seed = utils.forms.IntegerField(u"Seed", validators=[utils.forms.validate_required_iff(use_seed=True)])


@subclass
class InferenceForm(Form):
    record = utils.forms.SelectField(u"Record", choices=[("none", "- select -")], default="none")
    level = utils.forms.IntegerField(u"Level", default=3)

    def __init__(self, names, **kwargs):
        super(InferenceForm, self).__init__(**kwargs)
        self.names = names


@subclass
class ConfigForm(Form):
    colour = utils.forms.SelectField(u"Colour", choices=[("red", "Red"), ("blue", "Blue")], default="red", tooltip="Any")
    loud = utils.forms.BooleanField(u"Loud", default=True)
