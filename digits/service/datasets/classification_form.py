"""The form that makes an image classification data set: its fields, their defaults and what they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import field_validator

from digits.errors import FormErrors
from digits.service.forms import FormModel, extra_of, option, parse

TITLE = "New Image Classification Dataset"
METHODS = {"folder": "Folder", "textfile": "Text files"}
RESIZE_MODES = {"squash": "Squash", "crop": "Crop", "fill": "Fill", "half_crop": "Half crop, half fill"}
CHANNELS = {"3": "Colour", "1": "Grayscale", "0": "As in the source"}
ENCODINGS = {"auto": "Automatic", "none": "None", "png": "PNG (lossless)", "jpg": "JPEG (lossy, quality 90)"}
BACKENDS = {"lmdb": "LMDB", "hdf5": "HDF5", "tfrecords": "TFRecords"}
COMPRESSIONS = {"none": "None", "gzip": "GZIP"}
MAX_SIDE = 16384
STAGES = ("train", "val", "test")

_PCT = "Taken from each class, so that every split has the same mix of classes."
_MIN = "A class with fewer pictures is left out, with a warning."
_MAX = "Blank: no limit. Otherwise so many are drawn at random from each class."
_SAME_LAYOUT = "Laid out like the training folder; sub-folders that it does not have there are ignored."
_LIST = "One picture a line: its path, a space, the number of its class (0, 1, …)."
_BASE = "Folder that relative paths in the list start from."


class ClassificationDatasetForm(FormModel):
    """Everything that can be asked of an image classification data set. Names are those of the original form."""

    dataset_name: str = option(..., "Name", "How you will find it again.", min_length=1, max_length=255)
    group_name: str = option("", "Group", "Jobs of one group are shown together on the home page.", max_length=255)
    method: str = option("folder", "Source", choices=METHODS, widget="hidden")

    resize_channels: int = option(3, "Colour", "How many channels each picture gets.", choices=CHANNELS)
    resize_width: int = option(256, "Width", "In pixels.", ge=1, le=MAX_SIDE)
    resize_height: int = option(256, "Height", "In pixels.", ge=1, le=MAX_SIDE)
    resize_mode: str = option(
        "squash",
        "Resize mode",
        "Squash changes the aspect ratio; crop keeps it and cuts the edges; fill keeps it and pads with noise.",
        choices=RESIZE_MODES,
    )
    keep_size: bool = option(
        False,
        "Keep original size",
        "Store pictures as they are, for training with random crops. Width, height and resize mode are then not used.",
        advanced=True,
    )
    min_side: int | None = option(
        None,
        "Smallest side",
        "Pictures whose shorter side has fewer pixels are skipped and listed. Blank: no limit.",
        ge=1,
        le=MAX_SIDE,
        advanced=True,
    )

    folder_train: str = option("", "Training pictures", "A folder on the server with one sub-folder per class.", widget="path")
    folder_pct_val: float = option(25, "For validation (%)", _PCT, ge=0, le=100)
    folder_pct_test: float = option(0, "For testing (%)", _PCT, ge=0, le=100)
    folder_train_min_per_class: int = option(2, "Fewest pictures per class", _MIN, ge=1, advanced=True)
    folder_train_max_per_class: int | None = option(None, "Most pictures per class", _MAX, ge=1, advanced=True)
    has_val_folder: bool = option(False, "Separate validation folder", "Used instead of the percentage above.")
    folder_val: str = option("", "Validation pictures", _SAME_LAYOUT, widget="path")
    folder_val_min_per_class: int = option(2, "Fewest pictures per class", _MIN, ge=1)
    folder_val_max_per_class: int | None = option(None, "Most pictures per class", _MAX, ge=1)
    has_test_folder: bool = option(False, "Separate test folder", "Used instead of the percentage above.")
    folder_test: str = option("", "Test pictures", _SAME_LAYOUT, widget="path")
    folder_test_min_per_class: int = option(2, "Fewest pictures per class", _MIN, ge=1)
    folder_test_max_per_class: int | None = option(None, "Most pictures per class", _MAX, ge=1)
    group_pattern: str = option(
        "",
        "Keep together",
        r"A regular expression on the path below the class folder, e.g. patient(\d+): pictures for which the bracket "
        "(or, without one, the whole match) finds the same text go into the same split.",
        max_length=500,
        advanced=True,
    )
    seed: int = option(0, "Seed", "The same seed gives the same split and order.", ge=0, le=2**31 - 1, advanced=True)

    textfile_use_local_files: bool = option(False, "The lists are on the server", "Otherwise they are uploaded from here.")
    textfile_train_images: str = option("", "Training list", _LIST, widget="upload")
    textfile_local_train_images: str = option("", "Training list", _LIST, widget="path")
    textfile_train_folder: str = option("", "Training folder", _BASE, widget="path")
    textfile_use_val: bool = option(True, "Validation list")
    textfile_val_images: str = option("", "Validation list", _LIST, widget="upload")
    textfile_local_val_images: str = option("", "Validation list", _LIST, widget="path")
    textfile_val_folder: str = option("", "Validation folder", _BASE, widget="path")
    textfile_use_test: bool = option(False, "Test list")
    textfile_test_images: str = option("", "Test list", _LIST, widget="upload")
    textfile_local_test_images: str = option("", "Test list", _LIST, widget="path")
    textfile_test_folder: str = option("", "Test folder", _BASE, widget="path")
    textfile_shuffle: bool = option(True, "Shuffle", "Mix the order of each list.", unsent=True)
    textfile_labels_file: str = option("", "Labels", "One class name a line; the first line is class 0.", widget="upload")
    textfile_local_labels_file: str = option("", "Labels", "One class name a line; the first line is class 0.", widget="path")

    encoding: str = option(
        "auto",
        "Image encoding",
        "Automatic keeps small pictures and all wider than 8 bits unencoded, and large ones as PNG; nothing is lost.",
        choices=ENCODINGS,
        advanced=True,
    )
    backend: str = option("lmdb", "Backend", "Kept for scripts; records are always Arrow files.", choices=BACKENDS, advanced=True)
    compression: str = option(
        "none", "Compression", "Kept for scripts; records are always Arrow files.", choices=COMPRESSIONS, advanced=True
    )

    @field_validator("group_pattern")
    @classmethod
    def _is_pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}.") from error
        return value

    def list_field(self, name: str) -> str:
        """The field that holds a text file: `train_images` is uploaded (`textfile_…`) or on the server (`textfile_local_…`)."""
        return f"textfile_local_{name}" if self.textfile_use_local_files else f"textfile_{name}"

    def list_stages(self) -> tuple[str, ...]:
        """The splits that have a text file."""
        return ("train", *(stage for stage in STAGES[1:] if getattr(self, f"textfile_use_{stage}")))

    def folder_stages(self) -> tuple[str, ...]:
        """The splits that have a folder of their own."""
        return ("train", *(stage for stage in STAGES[1:] if getattr(self, f"has_{stage}_folder")))

    def percentages(self) -> dict[str, float]:
        """Share of the training folder that goes to `val` and `test`; 0 where that split has its own folder."""
        return {
            "val": 0.0 if self.has_val_folder else self.folder_pct_val,
            "test": 0.0 if self.has_test_folder else self.folder_pct_test,
        }

    @classmethod
    def file_fields(cls) -> tuple[str, ...]:
        """All fields that name a file or folder on the server, uploaded ones among them."""
        return tuple(name for name, info in cls.model_fields.items() if extra_of(info).get("widget") in ("path", "upload"))

    def path_fields(self) -> frozenset[str]:
        """The file fields that count, given the other choices."""
        if self.method == "folder":
            return frozenset(f"folder_{stage}" for stage in self.folder_stages())
        stages = self.list_stages()
        lists = [self.list_field(f"{stage}_images") for stage in stages]
        return frozenset([self.list_field("labels_file"), *lists, *(f"textfile_{stage}_folder" for stage in stages)])


def read(values: Mapping[str, Any]) -> tuple[ClassificationDatasetForm, dict[str, list[str]]]:
    """The form with the fields that could be understood, and messages for those that could not.

    Fields that are wrong keep their defaults, so that the caller can check the others and report everything at once.
    """
    if str(values.get("method", "")) == "s3":
        values, errors = {**values, "method": "folder"}, {"method": [_S3]}
    else:
        errors = {}
    try:
        return parse(ClassificationDatasetForm, values), errors
    except FormErrors as error:
        errors = {**error.errors, **errors}
    kept = {name: value for name, value in values.items() if name not in errors}
    return parse(ClassificationDatasetForm, {"dataset_name": "?", **kept}), errors


_S3 = (
    "Reading from S3 is not supported yet. Supported are a folder on the server, text files, and an upload: "
    "copy the bucket to a folder, or mount it, and name that folder."
)
