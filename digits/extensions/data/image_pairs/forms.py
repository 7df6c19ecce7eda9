"""The forms of both sources. Workers never import this module."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from flask_wtf import FlaskForm
from wtforms import validators

from digits.extensions.data.image_pairs.pairs import pictures_below
from digits.utils import forms

TEMPLATES = Path(__file__).parent / "templates"


def readable_folder(form: Any, field: Any) -> None:
    """The path is a folder that can be read."""
    if field.data and not (os.path.isdir(field.data) and os.access(field.data, os.R_OK)):
        raise validators.ValidationError(f"{field.data} is not a folder that can be read.")


def readable_file(form: Any, field: Any) -> None:
    """The path is a file that can be read."""
    if field.data and not (os.path.isfile(field.data) and os.access(field.data, os.R_OK)):
        raise validators.ValidationError(f"{field.data} is not a file that can be read.")


def same_number_as(other: str) -> Any:
    """The folder holds as many pictures as the folder in the field `other`."""

    def check(form: Any, field: Any) -> None:
        folder = getattr(form, other).data
        if field.data and folder and os.path.isdir(folder):
            own, theirs = len(pictures_below(Path(field.data))), len(pictures_below(Path(folder)))
            if own != theirs:
                raise validators.ValidationError(
                    f"{field.data} holds {own} pictures, {folder} holds {theirs}; each needs its partner."
                )

    return check


class PairForm(FlaskForm):
    """What both sources ask for."""

    feature_folder = forms.StringField(
        "Feature image folder",
        validators=[validators.DataRequired(), readable_folder],
        tooltip="A folder with the input pictures, at any depth.",
    )
    label_folder = forms.StringField(
        "Label image folder",
        validators=[validators.DataRequired(), readable_folder, same_number_as("feature_folder")],
        tooltip="A folder with the wanted pictures; base names pair them.",
    )
    folder_pct_val = forms.IntegerField(
        "% for validation",
        default=10,
        validators=[validators.NumberRange(min=0, max=100)],
        tooltip="Drawn at random; not used with separate validation folders.",
    )
    has_val_folder = forms.BooleanField("Separate validation images", default=False)
    validation_feature_folder = forms.StringField(
        "Validation feature image folder", validators=[forms.validate_required_iff(has_val_folder=True), readable_folder]
    )
    validation_label_folder = forms.StringField(
        "Validation label image folder",
        validators=[
            forms.validate_required_iff(has_val_folder=True),
            readable_folder,
            same_number_as("validation_feature_folder"),
        ],
    )
    channel_conversion = forms.SelectField(
        "Channel conversion", choices=[("none", "None"), ("RGB", "RGB"), ("L", "Grayscale")], default="none"
    )


class SegmentationForm(PairForm):
    """The classes of the label pictures, too."""

    class_labels_file = forms.StringField(
        "Class labels (optional)", validators=[validators.Optional(), readable_file], tooltip="A name a line, class 0 first."
    )
    colormap_method = forms.SelectField(
        "Colour map",
        choices=[("label", "From label image"), ("textfile", "From text file")],
        default="label",
        tooltip="Palette and grey label pictures hold class numbers; colours need a file that lists them.",
    )
    colormap_text_file = forms.StringField(
        "Colour map file",
        validators=[forms.validate_required_iff(colormap_method="textfile"), readable_file],
        tooltip="R G B a line, class 0 first.",
    )


def template_of(form: Any) -> tuple[str, dict[str, Any]]:
    """The text that shows either form."""
    return (TEMPLATES / "pairs.html").read_text(encoding="utf-8"), {"form": form}
