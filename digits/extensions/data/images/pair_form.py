"""The fields of sources that pair pictures with labels that are pictures."""

from __future__ import annotations

from typing import Any

from wtforms import ValidationError, validators

from digits.errors import DataError
from digits.extensions.data.files.additions import naming_of
from digits.extensions.data.images.form_parts import PictureForm, file_field, folder_field, percent_field
from digits.utils import forms

SEPARATE_GROUP = "Separate folders for validation and test"
LISTS_GROUP = "Split by lists or groups"
PATHS = frozenset(
    {
        "feature_folder",
        "label_folder",
        "validation_feature_folder",
        "validation_label_folder",
        "test_feature_folder",
        "test_label_folder",
        "train_list_file",
        "val_list_file",
        "test_list_file",
    }
)
SEPARATE_FIELDS = (
    "has_val_folder",
    "validation_feature_folder",
    "validation_label_folder",
    "has_test_folder",
    "test_feature_folder",
    "test_label_folder",
)
LIST_FIELDS = ("train_list_file", "val_list_file", "test_list_file", "group_pattern", "seed")


def readable_pattern(form: Any, field: Any) -> None:
    """The pattern has one star on each side."""
    try:
        naming_of(field.data)
    except DataError as error:
        raise ValidationError(str(error)) from error


def pattern_field(what: str, blank: str, example: str) -> Any:
    """How the labels of pictures are named."""
    return forms.StringField(
        what,
        validators=[validators.Optional(), readable_pattern],
        tooltip=f"Blank: {blank}. Else a star for the picture's name, e.g. {example}, or *_training = *_manual1 where pictures "
        "have an addition too. In one folder for both, folders may tell them apart: images/* = labels/*.",
        render_kw={"placeholder": "automatic"},
    )


class PairForm(PictureForm):
    """Fields of R 6.5, and ours: a test split, lists, groups, sizes."""

    PATHS = PATHS
    COLLAPSED = frozenset({SEPARATE_GROUP, LISTS_GROUP})
    SPLITS = {"folder_pct_val": "has_val_folder", "folder_pct_test": "has_test_folder"}

    feature_folder = folder_field("Feature image folder", "The pictures that a network gets, also in sub-folders.")
    label_folder = folder_field("Label image folder", "One file of the same name for each picture.")
    folder_pct_val = percent_field("% for validation", 10, "So many of the pairs are held out.")
    folder_pct_test = percent_field("% for testing", 0, "So many of the pairs are kept for a last test.")
    has_val_folder = forms.BooleanField("Separate validation folders", default=False)
    validation_feature_folder = folder_field(
        "Validation feature image folder", "Used in place of the percentage.", forms.validate_required_iff(has_val_folder=True)
    )
    validation_label_folder = folder_field("Validation label image folder", "", forms.validate_required_iff(has_val_folder=True))
    has_test_folder = forms.BooleanField("Separate test folders", default=False)
    test_feature_folder = folder_field("Test feature image folder", "", forms.validate_required_iff(has_test_folder=True))
    test_label_folder = folder_field("Test label image folder", "", forms.validate_required_iff(has_test_folder=True))
    train_list_file = file_field("Training list", "A text file that names the pictures of this split, one a line.")
    val_list_file = file_field("Validation list", "As above, e.g. ImageSets/Segmentation/val.txt of PASCAL VOC.")
    test_list_file = file_field("Test list", "As above.")
