"""The forms of the text plugin."""

import os

from flask_wtf import FlaskForm
from wtforms import validators

from digits import utils

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{}"


def validate_file_path(form, field):
    """The path, where one is given, is a file that can be read."""
    if field.data and not (os.path.isfile(field.data) and os.access(field.data, os.R_OK)):
        raise validators.ValidationError(f"{field.data} is not a file that can be read.")


class DatasetForm(FlaskForm):
    """Where the texts lie and how they are cut."""

    train_data_file = utils.forms.StringField(
        "Training data (.csv)",
        validators=[validators.DataRequired(), validate_file_path],
        tooltip="A line per text: its class, then its text in one or more columns.",
    )
    val_data_file = utils.forms.StringField(
        "Validation data (.csv)", validators=[validators.Optional(), validate_file_path], tooltip="Laid out the same way."
    )
    class_labels_file = utils.forms.StringField(
        "Class labels (.txt)",
        validators=[validators.Optional(), validate_file_path],
        tooltip="A name per line; the first belongs to class 1.",
    )
    alphabet = utils.forms.StringField(
        "Dictionary", default=ALPHABET, validators=[validators.DataRequired()], tooltip="Other characters count as unknown."
    )
    max_chars_per_sample = utils.forms.IntegerField(
        "Number of characters per sample",
        default=1024,
        validators=[validators.NumberRange(min=1)],
        tooltip="Longer texts are cut, shorter ones filled up.",
    )


class InferenceForm(FlaskForm):
    """A text, or a file of texts."""

    snippet = utils.forms.TextAreaField("Snippet", validators=[validators.Optional()], tooltip="Any text.")
    test_data_file = utils.forms.StringField(
        "Test data (.csv)",
        validators=[validators.Optional(), validate_file_path],
        tooltip="Laid out like the training data; every line is tested.",
    )
