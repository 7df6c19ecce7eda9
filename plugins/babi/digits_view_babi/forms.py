"""The options of the answers."""

from flask_wtf import FlaskForm
from wtforms import validators

from digits import utils


class ConfigForm(FlaskForm):
    """How many answers are shown."""

    max_answers = utils.forms.IntegerField(
        "Number of answers", default=3, validators=[validators.NumberRange(min=1)], tooltip="The most probable ones."
    )
