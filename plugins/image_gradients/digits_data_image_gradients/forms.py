"""The forms of the gradient plugin."""

from flask_wtf import FlaskForm
from wtforms import validators

from digits import utils


class DatasetForm(FlaskForm):
    """How many pictures, and how large."""

    train_image_count = utils.forms.IntegerField(
        "Train image count",
        validators=[validators.DataRequired(), validators.NumberRange(min=1)],
        default=1000,
        tooltip="Number of pictures in the training split.",
    )
    val_image_count = utils.forms.IntegerField(
        "Validation image count", validators=[validators.Optional(), validators.NumberRange(min=0)], default=250
    )
    test_image_count = utils.forms.IntegerField(
        "Test image count", validators=[validators.Optional(), validators.NumberRange(min=0)], default=0
    )
    image_width = utils.forms.IntegerField(
        "Image width", validators=[validators.DataRequired(), validators.NumberRange(min=1)], default=32, tooltip="In pixels."
    )
    image_height = utils.forms.IntegerField(
        "Image height", validators=[validators.DataRequired(), validators.NumberRange(min=1)], default=32, tooltip="In pixels."
    )


class InferenceForm(FlaskForm):
    """One gradient, or several at random."""

    gradient_x = utils.forms.FloatField(
        "Gradient (x)", validators=[validators.Optional(), validators.NumberRange(-0.5, 0.5)], tooltip="Between -0.5 and 0.5."
    )
    gradient_y = utils.forms.FloatField(
        "Gradient (y)", validators=[validators.Optional(), validators.NumberRange(-0.5, 0.5)], tooltip="Between -0.5 and 0.5."
    )
    test_image_count = utils.forms.IntegerField(
        "Test image count",
        validators=[validators.Optional(), validators.NumberRange(min=0)],
        default=0,
        tooltip="So many random gradients instead of the one above.",
    )
