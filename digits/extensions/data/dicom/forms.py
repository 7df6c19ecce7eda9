"""The form of the DICOM source. Workers never import this module."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flask_wtf import FlaskForm
from wtforms import validators

from digits.utils import forms

TEMPLATE = Path(__file__).parent / "templates" / "dicom.html"


def readable_folder(form: Any, field: Any) -> None:
    """The path is a folder that can be read."""
    if field.data and not (os.path.isdir(field.data) and os.access(field.data, os.R_OK)):
        raise validators.ValidationError(f"{field.data} is not a folder that can be read.")


def readable_path(form: Any, field: Any) -> None:
    """The path is a file or folder that can be read."""
    if field.data and not (os.path.exists(field.data) and os.access(field.data, os.R_OK)):
        raise validators.ValidationError(f"{field.data} is no file or folder that can be read.")


class DicomForm(FlaskForm):
    """Where the series lie, what the labels are, how values become a picture, how it is split."""

    dicom_folder = forms.StringField(
        "DICOM folder",
        validators=[validators.DataRequired(), readable_folder],
        tooltip="Any folder; every DICOM file below it is found by its contents, whatever its name.",
    )
    labels = forms.SelectField(
        "Labels",
        choices=[("masks", "Masks (segmentation)"), ("folders", "One class per folder"), ("none", "None")],
        default="masks",
    )
    mask_folder = forms.StringField(
        "Mask folder",
        validators=[forms.validate_required_iff(labels="masks"), readable_folder],
        tooltip="PNG, TIFF or NIfTI with the DICOM file's path and name; NIfTI of a whole series; DICOM-SEG of any name.",
    )
    class_names = forms.StringField(
        "Class names",
        validators=[validators.Optional()],
        tooltip="Of the mask's values 0, 1, …: background, tumour. Blank: numbers, and the labels of segments.",
    )
    window_from = forms.SelectField(
        "Window",
        choices=[("form", "Centre and width below; blank: all bits are kept"), ("file", "Each file's own window or table")],
        default="form",
        tooltip="A window gives pictures of 8 bits. A file without one of its own shows all that its bits can hold.",
    )
    window_center = forms.FloatField(
        "Window centre", validators=[validators.Optional()], tooltip="In rescaled units (CT: HU). Blank: all bits are kept."
    )
    window_width = forms.FloatField("Window width", validators=[validators.Optional(), validators.NumberRange(min=1e-6)])
    image_width = forms.IntegerField(
        "Width", validators=[validators.Optional(), validators.NumberRange(1, 16384)], tooltip="Blank: that of most pictures."
    )
    image_height = forms.IntegerField("Height", validators=[validators.Optional(), validators.NumberRange(1, 16384)])
    folder_pct_val = forms.IntegerField("% for validation", default=20, validators=[validators.NumberRange(0, 100)])
    folder_pct_test = forms.IntegerField("% for testing", default=0, validators=[validators.NumberRange(0, 100)])
    split_by = forms.SelectField(
        "Split by",
        choices=[("patient", "Patient"), ("picture", "Picture")],
        default="patient",
        tooltip="Pictures of one patient on both sides flatter the result.",
    )
    seed = forms.IntegerField("Seed", default=0, validators=[validators.Optional(), validators.NumberRange(min=0)])


class TestForm(FlaskForm):
    """Pictures of the server or of the validation split."""

    test_path = forms.StringField(
        "DICOM file or folder",
        validators=[validators.Optional(), readable_path],
        tooltip="Every picture in it is tested; its values are prepared as those of the data set were.",
    )
    validation_record = forms.SelectField(
        "Record from validation set",
        choices=[("none", "- select record -")],
        default="none",
        tooltip="A picture that the training did not see, with its true label.",
    )

    def __init__(self, records: Sequence[object], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        chosen = [(str(number), f"{number}: {record}") for number, record in enumerate(records)]
        self.validation_record.choices = [*self.validation_record.choices, *chosen]


def template_of(form: Any) -> tuple[str, dict[str, Any]]:
    """The text that shows the form."""
    return TEMPLATE.read_text(encoding="utf-8"), {"form": form}
