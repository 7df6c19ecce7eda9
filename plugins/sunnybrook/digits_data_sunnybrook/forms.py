"""The forms of the Sunnybrook plugin."""

import os

from flask_wtf import FlaskForm
from wtforms import validators

from digits import utils


def validate_folder_path(form, field):
    """The path is a folder that can be read."""
    if field.data and not (os.path.isdir(field.data) and os.access(field.data, os.R_OK)):
        raise validators.ValidationError(f"{field.data} is not a folder that can be read.")


def validate_file_path(form, field):
    """The path, where one is given, is a file that can be read."""
    if field.data and not (os.path.isfile(field.data) and os.access(field.data, os.R_OK)):
        raise validators.ValidationError(f"{field.data} is not a file that can be read.")


class DatasetForm(FlaskForm):
    """Where the files lie and how they are split."""

    image_folder = utils.forms.StringField(
        "Image folder",
        validators=[validators.DataRequired(), validate_folder_path],
        tooltip="The folder with one folder of DICOM files per case, e.g. challenge_training.",
    )
    contour_folder = utils.forms.StringField(
        "Contour folder",
        validators=[validators.DataRequired(), validate_folder_path],
        tooltip="The folder with CASE/contours-manual/IRCCI-expert, e.g. TrainingDataContours.",
    )
    channel_conversion = utils.forms.SelectField(
        "Channel conversion",
        choices=[("RGB", "RGB"), ("L", "Grayscale")],
        default="L",
        tooltip="RGB repeats the picture in three channels of 8 bits, for networks that want colour; grayscale keeps all bits.",
    )
    picture_size = utils.forms.IntegerField(
        "Size",
        validators=[validators.Optional(), validators.NumberRange(min=16, max=1024)],
        tooltip="Longer side in pixels, e.g. 128 for a quick training on a CPU. Blank: the pictures stay as they are.",
    )
    folder_pct_val = utils.forms.IntegerField(
        "% for validation",
        default=10,
        validators=[validators.NumberRange(min=0, max=100)],
        tooltip="How many of the pictures (or of the cases) are held out.",
    )
    split_by = utils.forms.SelectField(
        "Split by",
        choices=[("slice", "Slice"), ("case", "Case")],
        default="slice",
        tooltip="Slices of one heart on both sides flatter the result; by case no heart is on both.",
    )
    validation_cases = utils.forms.StringField(
        "Validation cases",
        validators=[validators.Optional()],
        tooltip="Names such as SC-HF-I-1, SC-HF-I-2: exactly these are held out. Blank: drawn at random.",
    )
    seed = utils.forms.IntegerField(
        "Seed", default=0, validators=[validators.Optional(), validators.NumberRange(min=0)], tooltip="Of the random split."
    )


class InferenceForm(FlaskForm):
    """A DICOM file, or a picture of the validation split."""

    test_image_file = utils.forms.StringField(
        "Image file", validators=[validators.Optional(), validate_file_path], tooltip="A DICOM file on the server."
    )
    validation_record = utils.forms.SelectField(
        "Record from validation set",
        choices=[("none", "- select record -")],
        default="none",
        tooltip="A picture that the training did not see, with its true contour.",
    )

    def __init__(self, records, **kwargs):
        super().__init__(**kwargs)
        for index, name in enumerate(records):
            self.validation_record.choices.append((str(index), name))
