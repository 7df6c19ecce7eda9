"""Pairs of pictures: what goes in and what should come out, e.g. noisy and clean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from digits.extensions.data.images.base import Entries
from digits.extensions.data.images.options import PairOptions
from digits.extensions.data.images.pair_source import PairSource
from digits.extensions.data.images.pictures import digest_of, feature_of, read_picture
from digits.extensions.data.images.sizes import NO_SIZE, Choice, Size, scale_between, scaled, sizes_of, up_to_step
from digits.extensions.data.source import Options, Sample
from digits.images.place import Fit


@dataclass(frozen=True)
class ProcessingOptions(PairOptions):
    """`label_source` is `folder`, or `image`: the picture itself."""

    label_source: str = "folder"


class DataIngestion(PairSource):
    """Entries are `(picture, label)`; with `label_source` "image" `(picture,)`, and records without a label (autoencoder)."""

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

    def get_task(self) -> str:
        return "processing"

    @property
    def has_labels(self) -> bool:
        return self.options.label_source != "image"

    def encode_entry(self, entry: tuple[str, ...]) -> Sample:
        feature, size = self._read(entry[0], self.fit)
        label = self._read(entry[1], self.label_fit)[0] if len(entry) > 1 else None
        return Sample(
            feature, label, source=entry[0], original_size=size, group=self.group_of(entry[0]), digest=digest_of(entry[0])
        )

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "autoencoder": not self.has_labels}

    @property
    def label_fit(self) -> Fit:
        """That of the pictures, or one of its own where labels are larger or smaller than theirs."""
        width, height = self.userdata.get("label_size") or NO_SIZE
        pad_width, pad_height = self.userdata.get("label_padding") or NO_SIZE
        own = Fit(width, height, self.options.resize_mode, pad_width, pad_height)
        return own if any((width, pad_width)) else self.fit

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

    def _read(self, path: str, fit: Fit) -> tuple[Any, tuple[int, int]]:
        array = read_picture(path, self.options.channel_conversion)
        size = (array.shape[1], array.shape[0])
        return feature_of(fit.place(*size).picture(array)), size
