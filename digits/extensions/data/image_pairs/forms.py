"""The forms of pairs: folders of classes for a data set, two pictures for a test."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import validators

from digits.extensions.data.images.form_parts import (
    CONVERSIONS,
    RESIZE_MODES,
    UNEQUAL_SIZES,
    ImageForm,
    ReadableFolder,
    folder_field,
    percent_field,
    readable_file,
    seed_field,
    size_field,
)
from digits.extensions.data.images.sizes import PAD, RESIZE
from digits.utils import forms

SPLIT_GROUP = "Other splits"


class DatasetForm(ImageForm):
    """Folders with a sub-folder for each class, and how many pairs are made of them."""

    PATHS = frozenset({"image_folder", "val_image_folder", "test_image_folder"})
    COLLAPSED = frozenset({SPLIT_GROUP})
    GROUPS = (
        ("Pictures", ("image_folder", "pairs_per_picture", "folder_pct_val", "folder_pct_test")),
        (SPLIT_GROUP, ("val_image_folder", "test_image_folder", "group_pattern", "seed")),
        ("Size", ("channel_conversion", "resize_width", "resize_height", "resize_mode", "unequal_sizes")),
    )

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
    group_pattern = forms.StringField(
        "Keep together",
        default="",
        tooltip="A regular expression on the path; pictures for which it finds the same stay in one split.",
    )
    seed = seed_field()
    channel_conversion = forms.SelectField("Channel conversion", choices=CONVERSIONS, default="none")
    resize_width = size_field("Width")
    resize_height = size_field("Height")
    resize_mode = forms.SelectField("Resize", choices=RESIZE_MODES, default="squash")
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
