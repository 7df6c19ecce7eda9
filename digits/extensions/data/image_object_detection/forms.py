"""The form of object detection."""

from __future__ import annotations

from typing import Any

from wtforms import validators

from digits.extensions.data.image_object_detection.formats import FORMATS
from digits.extensions.data.images.form_parts import (
    CONVERSIONS,
    SIZE_GROUP,
    SPLIT_GROUP,
    PictureForm,
    ReadableFolder,
    file_field,
    folder_field,
    percent_field,
    size_field,
    unequal_sizes_field,
)
from digits.extensions.data.images.sizes import PAD
from digits.utils import forms

PATHS = frozenset(
    {
        *(f"{split}_{what}" for split in ("train", "val", "test") for what in ("image_folder", "label_folder", "list_file")),
        "class_names_file",
    }
)


def _other(what: str, tooltip: str = "", required_with: str = "", file: bool = False) -> Any:
    first = forms.validate_required_if_set(required_with) if required_with else validators.Optional()
    return forms.StringField(what, validators=[first, ReadableFolder(file)], tooltip=tooltip)


class DatasetForm(PictureForm):
    """Fields of R 6.5, and ours: formats, splits, what happens to pictures of several sizes."""

    PATHS = PATHS
    COLLAPSED = frozenset({SPLIT_GROUP})
    GROUPS = (
        (
            "Pictures and boxes",
            (
                "train_image_folder",
                "train_label_folder",
                "annotation_format",
                "first_pixel",
                "val_image_folder",
                "val_label_folder",
                "folder_pct_val",
            ),
        ),
        ("Classes", ("custom_classes", "class_names_file", "val_min_box_size")),
        (
            SPLIT_GROUP,
            (
                "test_image_folder",
                "test_label_folder",
                "folder_pct_test",
                "train_list_file",
                "val_list_file",
                "test_list_file",
                "group_pattern",
                "seed",
            ),
        ),
        (
            SIZE_GROUP,
            (
                "channel_conversion",
                "padding_image_width",
                "padding_image_height",
                "resize_image_width",
                "resize_image_height",
                "resize_mode",
                "unequal_sizes",
            ),
        ),
    )
    SPLITS = {"folder_pct_val": "val_image_folder", "folder_pct_test": "test_image_folder"}

    train_image_folder = folder_field("Training image folder", "The pictures, also in sub-folders.")
    train_label_folder = folder_field(
        "Training label folder", "A folder with one file for each picture, or the COCO, CVAT or CSV file.", file=True
    )
    val_image_folder = _other("Validation image folder", "Blank: the share below is taken of the training folder.")
    val_label_folder = _other("Validation label folder", required_with="val_image_folder", file=True)
    test_image_folder = _other("Test image folder")
    test_label_folder = _other("Test label folder", required_with="test_image_folder", file=True)
    folder_pct_val = percent_field("% for validation", 0, "Of the training folder, where there is no validation folder.")
    folder_pct_test = percent_field("% for testing", 0, "Of the training folder, where there is no test folder.")
    annotation_format = forms.SelectField(
        "Format",
        choices=[("auto", "Recognise it"), *((name, title) for name, (title, _) in FORMATS.items())],
        default="auto",
    )
    first_pixel = forms.SelectField(
        "First pixel is",
        choices=[("0", "0 (most programs)"), ("1", "1 (PASCAL's own sets)")],
        default="0",
        tooltip="Of PASCAL VOC files only: PASCAL counts pixels from 1, most programs that write its format count from 0.",
    )
    custom_classes = forms.StringField(
        "Custom classes",
        validators=[validators.Optional()],
        tooltip="Separated by commas, e.g. car, person. van=car joins two, sign=dontcare leaves one out; others do not count. "
        "Blank: all that the files name.",
    )
    class_names_file = file_field(
        "Class names (YOLO, OpenImages)",
        "The data set's YAML, a text file with one name a line, or the class descriptions. Blank: searched.",
    )
    val_min_box_size = forms.IntegerField(
        "Minimum box size (in pixels) for validation",
        default=25,
        validators=[validators.Optional(), validators.NumberRange(min=0)],
        tooltip="Smaller boxes do not count in validation. 0: all count.",
    )
    train_list_file = file_field("Training list", "A text file that names the pictures of this split, one a line.")
    val_list_file = file_field("Validation list", "As above, e.g. ImageSets/Main/val.txt of PASCAL VOC.")
    test_list_file = file_field("Test list", "As above.")
    channel_conversion = forms.SelectField("Channel conversion", choices=CONVERSIONS, default="RGB")
    padding_image_width = size_field("Padding image width", "Pictures are padded at the right. Blank: see below.")
    padding_image_height = size_field("Padding image height", "Pictures are padded at the bottom.")
    resize_width = resize_height = None  # they have other names here
    resize_image_width = size_field("Resize width", "After padding; blank keeps the size.")
    resize_image_height = size_field("Resize height", "After padding; blank keeps the size.")
    unequal_sizes = unequal_sizes_field(PAD)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.is_submitted():
            self.val_min_box_size.data = 0  # small objects count unless somebody says otherwise; 25 is for old scripts
            self.folder_pct_val.data = 10

    def check(self) -> bool:
        fine = self.both_or_none("resize_image_width", "resize_image_height")
        fine = self.both_or_none("padding_image_width", "padding_image_height") and fine
        return super().check() and fine
