"""The options of the arrow."""

from flask_wtf import FlaskForm
from wtforms import validators

from digits import utils


class ConfigForm(FlaskForm):
    """How the arrow looks."""

    arrow_color = utils.forms.SelectField(
        "Arrow colour", choices=[("red", "Red"), ("green", "Green"), ("blue", "Blue")], default="red"
    )
    arrow_size = utils.forms.IntegerField(
        "Arrow size",
        validators=[validators.DataRequired(), validators.NumberRange(min=1)],
        default=80,
        tooltip="Length in percent of the picture for a gradient of 1.",
    )
