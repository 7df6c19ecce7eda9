"""The form of regression."""

from __future__ import annotations

from wtforms import validators

from digits.extensions.data.image_regression.separators import AUTOMATIC, BLANK, NONE
from digits.extensions.data.images.form_parts import (
    SIZE_FIELDS,
    SIZE_GROUP,
    SPLIT_GROUP,
    PictureForm,
    ReadableFolder,
    file_field,
    folder_field,
    percent_field,
    readable_file,
)
from digits.utils import forms

SEPARATORS = [
    (AUTOMATIC, "Seen from the column"),
    *(("|", "|"), (";", ";"), (",", ","), ("+", "+")),
    (BLANK, "Blank"),
    (NONE, "Nothing: one label each"),
]


class DatasetForm(PictureForm):
    """A folder of pictures and a CSV file with their numbers."""

    PATHS = frozenset(
        {"image_folder", "values_file", "val_image_folder", "val_values_file", "test_image_folder", "test_values_file"}
    )
    COLLAPSED = frozenset({SPLIT_GROUP})
    GROUPS = (
        (
            "Pictures and numbers",
            (
                "image_folder",
                "values_file",
                "value_kind",
                "image_column",
                "value_columns",
                "label_separator",
                "folder_pct_val",
                "folder_pct_test",
            ),
        ),
        (
            SPLIT_GROUP,
            ("val_image_folder", "val_values_file", "test_image_folder", "test_values_file", "group_pattern", "seed"),
        ),
        (SIZE_GROUP, SIZE_FIELDS),
    )
    SPLITS = {"folder_pct_val": "val_values_file", "folder_pct_test": "test_values_file"}

    image_folder = folder_field("Image folder", "The pictures, also in sub-folders.")
    values_file = forms.StringField(
        "CSV file",
        validators=[validators.DataRequired(), readable_file],
        tooltip="One picture a line: its name and one or several numbers; a first line may name the columns.",
    )
    value_kind = forms.SelectField(
        "The values are",
        choices=[("numbers", "Numbers"), ("labels", "Labels: columns of 0 and 1, or names such as cat;indoors")],
        default="numbers",
    )
    image_column = forms.StringField(
        "Column of the picture", default="", tooltip="Blank: the one called image, file, … or the first."
    )
    value_columns = forms.StringField(
        "Columns of the values", default="", tooltip="Names, separated by commas. Blank: all others."
    )
    label_separator = forms.SelectField(
        "Between the labels of a picture",
        choices=SEPARATORS,
        default=AUTOMATIC,
        tooltip="Only for a column of names: what separates them, for the whole column.",
    )
    folder_pct_val = percent_field("% for validation", 10, "So many of the pictures are held out.")
    folder_pct_test = percent_field("% for testing", 0, "So many of the pictures are kept for a last test.")
    val_image_folder = forms.StringField("Validation image folder", validators=[validators.Optional(), ReadableFolder()])
    val_values_file = file_field("Validation CSV file", "Used in place of the percentage.")
    test_image_folder = forms.StringField("Test image folder", validators=[validators.Optional(), ReadableFolder()])
    test_values_file = file_field("Test CSV file", "As above.")
