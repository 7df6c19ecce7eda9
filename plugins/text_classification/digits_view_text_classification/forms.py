"""The options of the ranking."""

from flask_wtf import FlaskForm
from wtforms import validators

from digits import utils


class ConfigForm(FlaskForm):
    """How many classes are shown."""

    max_classes = utils.forms.IntegerField(
        "Number of classes", default=5, validators=[validators.NumberRange(min=1)], tooltip="The most probable ones."
    )
