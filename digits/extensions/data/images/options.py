"""Options that the image sources share."""

from __future__ import annotations

from dataclasses import dataclass

from digits.domain.datasets import STAGES
from digits.extensions.data.images.sizes import AUTO
from digits.extensions.data.source import Options


@dataclass(frozen=True)
class ImageOptions(Options):
    """Of every image source. Sizes are in pixels, 0: as in the files; `unequal_sizes` is what happens then to pictures that
    differ, see `images.sizes`."""

    seed: int = 0
    group_pattern: str = ""
    channel_conversion: str = "none"  # none | RGB | L
    resize_width: int = 0
    resize_height: int = 0
    resize_mode: str = "squash"
    unequal_sizes: str = AUTO
    folder_pct_val: float = 0.0
    folder_pct_test: float = 0.0


@dataclass(frozen=True)
class ListedOptions(ImageOptions):
    """Of sources whose splits may be named by text files."""

    train_list_file: str = ""
    val_list_file: str = ""
    test_list_file: str = ""

    @property
    def list_files(self) -> dict[str, str]:
        """The files that are given, by split."""
        files = (self.train_list_file, self.val_list_file, self.test_list_file)
        return {stage: file for stage, file in zip(STAGES, files, strict=True) if file}


@dataclass(frozen=True)
class PairOptions(ListedOptions):
    """Of sources that pair two folders."""

    feature_folder: str = ""
    label_folder: str = ""
    has_val_folder: bool = False
    validation_feature_folder: str = ""
    validation_label_folder: str = ""
    has_test_folder: bool = False
    test_feature_folder: str = ""
    test_label_folder: str = ""
