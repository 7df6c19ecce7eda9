"""Pairs of pictures: what goes in and what should come out, e.g. noisy and clean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from digits.extensions.data.images.options import PairOptions
from digits.extensions.data.images.pair_source import PairSource
from digits.extensions.data.images.pictures import digest_of, feature_of, read_picture
from digits.extensions.data.source import Options, Sample


@dataclass(frozen=True)
class ProcessingOptions(PairOptions):
    """`label_source` is `folder`, or `image`: the picture itself."""

    label_source: str = "folder"


class DataIngestion(PairSource):
    """Entries are `(picture, label)`; with `label_source` "image" `(picture,)`, and records without a label (autoencoder)."""

    OPTIONS: ClassVar[type[Options]] = ProcessingOptions
    options: ProcessingOptions
    FORM = "digits.extensions.data.image_processing.forms"

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
        feature, size = self._read(entry[0])
        label = self._read(entry[1])[0] if len(entry) > 1 else None
        return Sample(
            feature, label, source=entry[0], original_size=size, group=self.group_of(entry[0]), digest=digest_of(entry[0])
        )

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "autoencoder": not self.has_labels}

    def _read(self, path: str) -> tuple[Any, tuple[int, int]]:
        array = read_picture(path, self.options.channel_conversion)
        size = (array.shape[1], array.shape[0])
        return feature_of(self.fit.place(*size).picture(array)), size
