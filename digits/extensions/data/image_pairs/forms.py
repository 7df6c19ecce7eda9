"""The forms of pairs: folders of classes for a data set, two pictures for a test."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import validators

from digits.extensions.data.images.form_parts import (
    SIZE_FIELDS,
    SIZE_GROUP,
    SPLIT_GROUP,
    UNEQUAL_SIZES,
    PictureForm,
    ReadableFolder,
    folder_field,
    percent_field,
    readable_file,
)
from digits.extensions.data.images.sizes import PAD, RESIZE
from digits.utils import forms


class DatasetForm(PictureForm):
    """Folders with a sub-folder for each class, and how many pairs are made of them."""

    PATHS = frozenset({"image_folder", "val_image_folder", "test_image_folder"})
    COLLAPSED = frozenset({SPLIT_GROUP})
    GROUPS = (
        ("Pictures", ("image_folder", "pairs_per_picture", "folder_pct_val", "folder_pct_test")),
        (SPLIT_GROUP, ("val_image_folder", "test_image_folder", "group_pattern", "seed")),
        (SIZE_GROUP, SIZE_FIELDS),
    )
    SPLITS = {"folder_pct_val": "val_image_folder", "folder_pct_test": "test_image_folder"}

    image_folder = folder_field("Image folder", "A sub-folder for each class, as for image classification.")
    pairs_per_picture = forms.IntegerField(
        "Pairs for each picture",
        default=2,
        validators=[validators.Optional(), validators.NumberRange(1, 100)],
        tooltip="In turn with a picture of its own class and one of another, drawn at random from the same split.",
    )
    folder_pct_val = percent_field("% for validation", 25, "So many of the pictures of each class are held out.")
    folder_pct_test = percent_field("% for testing", 0, "So many of the pictures are kept for a last test.")
    val_image_folder = forms.StringField(
        "Validation image folder",
        validators=[validators.Optional(), ReadableFolder()],
        tooltip="Used in place of the percentage. Its classes may be others: pairs of classes that were never trained on.",
    )
    test_image_folder = forms.StringField(
        "Test image folder", validators=[validators.Optional(), ReadableFolder()], tooltip="As above."
    )
    unequal_sizes = forms.SelectField(
        "Pictures of several sizes",
        choices=[choice for choice in UNEQUAL_SIZES if choice[0] in (PAD, RESIZE)],
        default=PAD,
        tooltip="Where no width and height are given.",
    )


class TestForm(FlaskForm):
    """Two pictures of the server, or uploaded ones."""

    first_picture = forms.StringField("First picture", validators=[validators.DataRequired(), readable_file])
    second_picture = forms.StringField("Second picture", validators=[validators.DataRequired(), readable_file])
