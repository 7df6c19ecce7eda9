"""Pairs of pictures: what goes in and what should come out, e.g. noisy and clean, in two files or side by side in one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from digits.extensions.data.images.base import Entries, skip
from digits.extensions.data.images.options import PairOptions
from digits.extensions.data.images.pair_source import PairSource
from digits.extensions.data.images.pictures import digest_of, feature_of, read_turned, remarks
from digits.extensions.data.images.sizes import NO_SIZE, Choice, Size, scale_between, scaled, sizes_of, up_to_step
from digits.extensions.data.images.turns import turned_alike
from digits.extensions.data.source import Options, Sample
from digits.images.place import Fit

FOLDER, IMAGE, HALF = "folder", "image", "half"
LEFT, RIGHT, TOP, BOTTOM = "left", "right", "top", "bottom"


@dataclass(frozen=True)
class ProcessingOptions(PairOptions):
    """`label_source` is `folder`, `image` (the picture itself) or `half`: the other half of the same file, of which `input_half`
    goes in (`left`, `right`, `top`, `bottom`). `label_pattern` says how labels are named, as `files.additions` reads it; empty:
    as the pictures."""

    label_source: str = FOLDER
    label_pattern: str = ""
    input_half: str = LEFT


class DataIngestion(PairSource):
    """Entries are `(picture, label)`; with `label_source` "image" `(picture,)`, and records without a label (autoencoder); with
    "half" `(picture,)` too, and each record has both halves."""

    OPTIONS: ClassVar[type[Options]] = ProcessingOptions
    options: ProcessingOptions
    FORM = "digits.extensions.data.image_processing.forms"
    ITSELF = True

    @staticmethod
    def get_id() -> str:
        return "image-processing"

    @staticmethod
    def get_title() -> str:
        return "Processing"

    @staticmethod
    def get_needs() -> str:
        return "Pictures, and for each the picture that should come out: two folders with the same names."

    def get_task(self) -> str:
        return "processing"

    @property
    def has_labels(self) -> bool:
        return self.options.label_source == FOLDER

    @property
    def pattern(self) -> str:
        return self.options.label_pattern

    def encode_entry(self, entry: tuple[str, ...]) -> Sample:
        path = entry[0]
        (picture, orientation), label, notes = self._read(path), None, remarks(path)
        if self.options.label_source == HALF:
            picture, label = self._halves(path, picture)
        elif len(entry) > 1:
            label, own = self._read(entry[1])
            label, said = turned_alike(label, own, picture.shape[:2], orientation, self.LABEL_WORD, self.way_of_most)
            notes += said
        return Sample(
            _placed(picture, self.fit),
            None if label is None else _placed(label, self.label_fit),
            source=path,
            original_size=(picture.shape[1], picture.shape[0]),
            group=self.group_of(path),
            digest=digest_of(path),
            notes=notes,
        )

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "autoencoder": self.options.label_source == IMAGE}

    @property
    def label_fit(self) -> Fit:
        """That of the pictures, or one of its own where labels are larger or smaller than theirs."""
        width, height = self.userdata.get("label_size") or NO_SIZE
        pad_width, pad_height = self.userdata.get("label_padding") or NO_SIZE
        own = Fit(width, height, self.options.resize_mode, pad_width, pad_height)
        return own if any((width, pad_width)) else self.fit

    def picture_sizes(self, entries: Entries) -> list[Size]:
        found = super().picture_sizes(entries)
        if self.options.label_source != HALF:
            return found
        return [(width // 2, height) if self._cuts_across else (width, height // 2) for width, height in found]

    def fit_labels(self, chosen: Choice, entries: Entries, found: list[Size]) -> None:
        """Labels follow their pictures in the scale that is the same for all of them; in none they are padded to their own
        largest."""
        if not chosen.how or not self.has_labels:
            return
        labels = sizes_of((entry[1] for items in entries.values() for entry in items), self.check_stop)
        scale = scale_between(found, labels)
        if chosen.padding != NO_SIZE:
            largest = up_to_step((max(width for width, _ in labels), max(height for _, height in labels)))
            self.userdata["label_padding"] = (scale and scaled(chosen.padding, scale)) or largest
        elif chosen.size != NO_SIZE:
            self.userdata["label_size"] = (scale and scaled(chosen.size, scale)) or chosen.size

    def _read(self, path: str) -> tuple[np.ndarray, int]:
        return read_turned(path, self.options.channel_conversion)

    @property
    def _cuts_across(self) -> bool:
        """Whether the halves of a file lie side by side."""
        return self.options.input_half in (LEFT, RIGHT)

    def _halves(self, path: str, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The half of (H, W, C) that goes in and the other. Raises LoadImageError where it has no two equal halves."""
        axis = 1 if self._cuts_across else 0
        side = picture.shape[axis]
        if side % 2:
            words = ("height", "width")[axis]
            raise skip(path, f"Its {words} of {side} pixels has no two equal halves.", "Cut it to an even number of pixels.")
        first, second = np.split(picture, 2, axis)
        return (first, second) if self.options.input_half in (LEFT, TOP) else (second, first)


def _placed(picture: np.ndarray, fit: Fit) -> np.ndarray:
    """A picture (H, W, C) as a feature (C, h, w)."""
    return feature_of(fit.place(picture.shape[1], picture.shape[0]).picture(picture))
