"""Options of the two classification sources."""

from __future__ import annotations

from dataclasses import dataclass

from digits.domain.datasets import TEST_DB, VAL_DB
from digits.extensions.data.options import Options


@dataclass(frozen=True)
class ClassificationOptions(Options):
    """Of both. `resize_channels` 0: as most pictures have."""

    method: str = "folder"  # folder | textfile
    seed: int = 0
    group_pattern: str = ""
    resize_width: int = 256
    resize_height: int = 256
    resize_channels: int = 0
    resize_mode: str = "squash"
    keep_size: bool = False
    min_side: int = 0


@dataclass(frozen=True)
class FolderOptions(ClassificationOptions):
    """One sub-folder for each class. A class of fewer pictures than `…_min_per_class` is left out."""

    folder_train: str = ""
    folder_train_min_per_class: int = 2
    folder_train_max_per_class: int | None = None
    folder_pct_val: float = 25.0
    folder_pct_test: float = 0.0
    has_val_folder: bool = False
    folder_val: str = ""
    folder_val_min_per_class: int = 2
    folder_val_max_per_class: int | None = None
    has_test_folder: bool = False
    folder_test: str = ""
    folder_test_min_per_class: int = 2
    folder_test_max_per_class: int | None = None

    @property
    def separate(self) -> list[str]:
        """The splits that have a folder of their own."""
        return [stage for stage, own in ((VAL_DB, self.has_val_folder), (TEST_DB, self.has_test_folder)) if own]

    @property
    def shares(self) -> list[float]:
        """Percent of the training folder that go to validation and test."""
        return [0.0 if self.has_val_folder else self.folder_pct_val, 0.0 if self.has_test_folder else self.folder_pct_test]


@dataclass(frozen=True)
class TextFileOptions(ClassificationOptions):
    """Lists of `path class-number`; uploaded ones, or with `textfile_use_local_files` those of the server."""

    textfile_use_local_files: bool = False
    textfile_shuffle: bool = True
    textfile_use_val: bool = False
    textfile_use_test: bool = False
    textfile_train_folder: str = ""
    textfile_val_folder: str = ""
    textfile_test_folder: str = ""
    textfile_labels_file: str = ""
    textfile_train_images: str = ""
    textfile_val_images: str = ""
    textfile_test_images: str = ""
    textfile_local_labels_file: str = ""
    textfile_local_train_images: str = ""
    textfile_local_val_images: str = ""
    textfile_local_test_images: str = ""
