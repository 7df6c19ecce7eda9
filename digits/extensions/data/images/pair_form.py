"""The fields of sources that pair pictures with labels that are pictures."""

from __future__ import annotations

from typing import Any

from wtforms import ValidationError, validators

from digits.errors import DataError
from digits.extensions.data.files.additions import naming_of
from digits.extensions.data.images.form_parts import (
    CONVERSIONS,
    RESIZE_MODES,
    ImageForm,
    file_field,
    folder_field,
    percent_field,
    seed_field,
    size_field,
    unequal_sizes_field,
)
from digits.utils import forms

SEPARATE_GROUP = "Separate folders for validation and test"
LISTS_GROUP = "Split by lists or groups"
SIZE_GROUP = "Size"
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
SIZE_FIELDS = ("channel_conversion", "resize_width", "resize_height", "resize_mode", "unequal_sizes")


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


class PairForm(ImageForm):
    """Fields of R 6.5, and ours: a test split, lists, groups, sizes."""

    PATHS = PATHS
    COLLAPSED = frozenset({SEPARATE_GROUP, LISTS_GROUP})

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
    group_pattern = forms.StringField(
        "Keep together",
        default="",
        tooltip="A regular expression on the path: pictures for which its bracket finds the same text stay in one split, "
        "e.g. (patient\\d+), or the name of the video that frames were taken from.",
    )
    seed = seed_field()
    channel_conversion = forms.SelectField("Channel conversion", choices=CONVERSIONS, default="none")
    resize_width = size_field("Width")
    resize_height = size_field("Height")
    resize_mode = forms.SelectField("Resize", choices=RESIZE_MODES, default="squash")
    unequal_sizes = unequal_sizes_field()

    def check(self) -> bool:
        fine = super().check()
        val = 0 if self.has_val_folder.data else (self.folder_pct_val.data or 0)
        test = 0 if self.has_test_folder.data else (self.folder_pct_test.data or 0)
        if val + test < 100:
            return fine
        field: Any = self.folder_pct_val if val else self.folder_pct_test
        field.errors = [*field.errors, f"Validation and test take {val + test:g} %, which leaves nothing to train on."]
        return False
