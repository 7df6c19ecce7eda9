"""Fields and checks that the forms of the image sources share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import wtforms
from flask_wtf import FlaskForm
from wtforms import ValidationError, validators

from digits.extensions.data.images.sizes import AUTO, KEEP, PAD, RESIZE
from digits.utils import forms
from digits.utils.constants import RESIZE_MODE_TITLES

CONVERSIONS = [("none", "None (as in the files)"), ("RGB", "RGB"), ("L", "Grayscale")]
UNEQUAL_SIZES = [
    (AUTO, "Automatic"),
    (PAD, "Pad to the largest"),
    (RESIZE, "Resize to the most frequent"),
    (KEEP, "Keep each size"),
]
UNEQUAL_SIZES_TIP = (
    "Where no width and height are given. Automatic: pad, but keep where records need not be of the same shape; a training on "
    "pictures that keep their sizes needs a crop size."
)
SPLIT_GROUP = "Other splits"
SIZE_GROUP = "Size"
SIZE_FIELDS = ("channel_conversion", "resize_width", "resize_height", "resize_mode", "unequal_sizes")
WIDEST_CHOICE = 27  # characters, so many fit into a column of the form
RESIZE_MODES = [(mode, RESIZE_MODE_TITLES[mode]) for mode in ("squash", "fill", "crop")]


class ReadableFolder:
    """The path is a folder that can be read; with `file` also a file."""

    def __init__(self, file: bool = False) -> None:
        self.file = file

    def __call__(self, form: Any, field: Any) -> None:
        path = field.data
        if not path:
            return
        if not os.path.exists(path):
            raise ValidationError(f"{path} does not exist on the server.")
        if not os.path.isdir(path) and not (self.file and os.path.isfile(path)):
            raise ValidationError(f"{path} is not a folder.")
        if not os.access(path, os.R_OK):
            raise ValidationError(f"{path} cannot be read: permission denied for the user who runs digits.")


def readable_file(form: Any, field: Any) -> None:
    """The path, where one is given, is a file that can be read."""
    if field.data and not (os.path.isfile(field.data) and os.access(field.data, os.R_OK)):
        raise ValidationError(f"{field.data} is not a file that can be read.")


def folder_field(label: str, tooltip: str, *conditions: Any, file: bool = False) -> Any:
    """A required folder; `conditions` (validators) stand in the place of "required"."""
    return forms.StringField(
        label, validators=[*(conditions or [validators.DataRequired()]), ReadableFolder(file)], tooltip=tooltip
    )


def file_field(label: str, tooltip: str) -> Any:
    """A file that need not be given."""
    return forms.StringField(label, validators=[validators.Optional(), readable_file], tooltip=tooltip)


def percent_field(label: str, default: int, tooltip: str) -> Any:
    """A share from 0 to 100."""
    return forms.FloatField(
        label,
        default=default,
        validators=[validators.Optional(), validators.NumberRange(0, 100)],
        tooltip=tooltip,
    )


def size_field(label: str, tooltip: str = "Pixels; blank keeps the size of the files.", default: int | None = None) -> Any:
    """A width or height that need not be given."""
    checks = [validators.Optional(), validators.NumberRange(1, 65536)]
    return forms.IntegerField(label, default=default, validators=checks, tooltip=tooltip)


def unequal_sizes_field(default: str = AUTO) -> Any:
    """What becomes of pictures of several sizes."""
    return forms.SelectField("Pictures of several sizes", choices=UNEQUAL_SIZES, default=default, tooltip=UNEQUAL_SIZES_TIP)


def seed_field() -> Any:
    """The seed of the split."""
    checks = [validators.Optional(), validators.NumberRange(0, 2**31 - 1)]
    return forms.IntegerField(
        "Seed", validators=checks, tooltip="The same seed gives the same split. Blank: one is drawn and kept."
    )


class ImageForm(FlaskForm):
    """Base of the forms: `groups()` gives the template its headings and fields in their order."""

    GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = ()
    PATHS: frozenset[str] = frozenset()
    COLLAPSED: frozenset[str] = frozenset()  # headings that start collapsed

    def groups(self) -> Iterator[tuple[str, list[Any], bool]]:
        """(heading, fields, whether it starts collapsed)."""
        for heading, names in self.GROUPS:
            fields = [self[name] for name in names]
            collapsed = heading in self.COLLAPSED and not any(field.errors or field.data for field in fields)
            yield heading, fields, collapsed

    def is_path(self, field: Any) -> bool:
        """Whether the field names a folder or file on the server."""
        return field.name in self.PATHS

    def is_wide(self, field: Any) -> bool:
        """Whether a column of the form is too narrow for the field: for a path, and for choices in whole sentences."""
        choices = field.iter_choices() if isinstance(field, wtforms.SelectField) else ()
        return self.is_path(field) or any(len(str(choice[1])) > WIDEST_CHOICE for choice in choices)

    def validate(self, extra_validators: Any = None) -> bool:
        fine = super().validate(extra_validators)
        return self.check() and fine

    def check(self) -> bool:
        """Checks that look at several fields; messages go to `field.errors`."""
        return self.both_or_none("resize_width", "resize_height")

    def both_or_none(self, first: str, second: str) -> bool:
        """A width without a height makes no size."""
        if first not in self or bool(self[first].data) == bool(self[second].data):
            return True
        missing = self[second] if self[first].data else self[first]
        missing.errors = [*missing.errors, "Give both width and height, or neither."]
        return False


class PictureForm(ImageForm):
    """Of sources that read pictures themselves: how they are split, and what size and colours they get."""

    SPLITS: Mapping[str, str] = {}  # a share by the field of what takes its place

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
        shares = {name: self[name].data or 0 for name, instead in self.SPLITS.items() if not self[instead].data}
        total = sum(shares.values())
        if total < 100:
            return fine
        field = self[next(name for name, share in shares.items() if share)]
        field.errors = [*field.errors, f"Validation and test take {total:g} %, which leaves nothing to train on."]
        return False
