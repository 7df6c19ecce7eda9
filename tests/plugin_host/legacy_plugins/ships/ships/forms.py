from __future__ import absolute_import

import os

from flask.ext.wtf import Form
from wtforms import validators

from digits import utils
from digits.utils import subclass


def validate_file_path(form, field):
    if not os.path.exists(field.data) or os.path.isdir(field.data):
        raise validators.ValidationError("File does not exist or is not reachable")


@subclass
class DatasetForm(Form):
    """Sizes of fleets, one a line of a text file."""

    def __init__(self, sides, **kwargs):
        super(DatasetForm, self).__init__(**kwargs)
        for side in sides:
            self.side.choices.append((side, side + " pixels"))

    fleet_file = utils.forms.TextField(
        u"Fleet file",
        validators=[validators.Required(), validate_file_path],
        tooltip="A text file with the number of ships, one fleet a line.",
    )
    side = utils.forms.SelectField(u"Side", choices=[("4", "4 pixels")], default="4", tooltip="Of the square picture.")
    pct_val = utils.forms.IntegerField(
        u"% for validation", default=20, validators=[validators.NumberRange(min=0, max=100)], tooltip="Held out."
    )
    weights = utils.forms.MultiFloatField("Weights", validators=[utils.forms.MultiOptional()], tooltip="Ignored here.")


@subclass
class InferenceForm(Form):
    fleet = utils.forms.SelectField("Fleet", choices=[("none", "- none -")], default="none", tooltip="One to look at.")
    ships = utils.forms.IntegerField("Ships", validators=[validators.Optional(), validators.NumberRange(min=0, max=9)])
