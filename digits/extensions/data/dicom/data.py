"""DICOM pictures with masks, classes by folder, or no label."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from digits.domain.datasets import IGNORED, TEST_DB
from digits.errors import DataError
from digits.extensions.data.dicom import masks, pixels, scan
from digits.extensions.data.dicom.scan import Slice
from digits.extensions.data.source import ConfinedSource, Options, Sample, Words

LISTED_RECORDS = 1000  # of the validation split, in the form to test a model with


@dataclass(frozen=True)
class DicomOptions(Options):
    """Of the form and of the form to test with. Without a window all bits are kept; sizes of 0 are those of most pictures."""

    dicom_folder: str = ""
    labels: str = "masks"  # masks | folders | none
    mask_folder: str = ""
    class_names: Words = ()
    window_center: float | None = None
    window_width: float = 0.0
    image_width: int = 0
    image_height: int = 0
    folder_pct_val: float = 0.0
    folder_pct_test: float = 0.0
    split_by: str = "patient"  # patient | picture
    seed: int = 0
    test_path: str = ""
    validation_record: str = "none"  # or its number


class DataIngestion(ConfinedSource):
    """An entry is a Slice. What was found and the split are made once and live in userdata."""

    OPTIONS: ClassVar[type[Options]] = DicomOptions
    options: DicomOptions

    def __init__(self, is_inference_db: bool = False, **kwargs: Any) -> None:
        super().__init__(is_inference_db, **kwargs)
        if not is_inference_db and "slices" not in self.userdata:
            self._look()

    @staticmethod
    def get_id() -> str:
        return "image-dicom"

    @staticmethod
    def get_title() -> str:
        return "DICOM"

    @staticmethod
    def get_category() -> str:
        return "Images"

    @staticmethod
    def get_dataset_form() -> Any:
        from digits.extensions.data.dicom.forms import DicomForm

        return DicomForm()

    @staticmethod
    def get_dataset_template(form: Any) -> tuple[str, dict[str, Any]]:
        from digits.extensions.data.dicom.forms import template_of

        return template_of(form)

    def get_inference_form(self) -> Any:
        from digits.extensions.data.dicom.forms import TestForm

        return TestForm(self.userdata["slices"].get("val_db", [])[:LISTED_RECORDS])

    @staticmethod
    def get_inference_template(form: Any) -> tuple[str, dict[str, Any]]:
        from digits.extensions.data.dicom.forms import template_of

        return template_of(form)

    def get_task(self) -> str | None:
        return {"masks": "segmentation", "folders": "classification"}.get(self.options.labels)

    def itemize_entries(self, stage: str) -> list[Slice]:
        if self.is_inference_db:
            return self._asked() if stage == TEST_DB else []
        return list(self.userdata["slices"].get(stage, []))

    def encode_entry(self, entry: Slice) -> Sample:
        """Feature (C, H, W), 16 bits unless windowed; label a mask (1, H, W), a class number or None."""
        values = pixels.read_frame(entry.path, entry.frame)
        if self.options.window_center is not None and self.options.window_width:
            values = pixels.window(values, self.options.window_center, self.options.window_width)
        width, height = self.userdata["size"]
        return Sample(
            pixels.resize(values, height, width),
            self._label(entry, height, width),
            source=entry.path,
            original_size=(entry.columns, entry.rows),
            group=entry.patient,
        )

    def _asked(self) -> list[Slice]:
        """What the inference form names: files without labels, or a record of the validation split with its own."""
        if path := self.options.test_path.strip():
            found = scan.find_slices(Path(path), self.confinement())
            if not found:
                raise DataError(f"{path} is no DICOM picture and holds none.", advice="Name a DICOM file or a folder of them.")
            return found
        record = self.options.validation_record
        if record == "none":
            raise DataError("Nothing was chosen.", advice="Name a DICOM file or folder, or choose a validation record.")
        return [self.userdata["slices"]["val_db"][int(record)]]

    def _label(self, entry: Slice, height: int, width: int) -> NDArray[Any] | None:
        if self.options.labels == "none" or (self.is_inference_db and self.options.test_path):
            return None
        if self.options.labels == "folders":
            return np.array([self.userdata["class_labels"].index(self._class_of(entry))])
        mask = masks.read_mask(entry, self.userdata["masks_by_name"], self.userdata["masks_by_instance"])
        return pixels.resize(mask[np.newaxis], height, width, nearest=True)

    def _look(self) -> None:
        data, o = self.userdata, self.options
        slices = scan.find_slices(Path(o.dicom_folder), self.confinement())
        if not slices:
            raise DataError(f"{o.dicom_folder} holds no DICOM pictures.", advice="Name a folder with DICOM files, at any depth.")
        data["size"] = self._size(slices)
        data["slices"] = scan.split(slices, o.split_by, o.folder_pct_val, o.folder_pct_test, o.seed)
        if o.labels == "masks":
            data["masks_by_name"], data["masks_by_instance"] = masks.index_masks(Path(o.mask_folder), self.confinement())
            data["class_labels"] = self._mask_classes(slices)
        elif o.labels == "folders":
            data["class_labels"] = sorted({self._class_of(one) for one in slices})

    def _size(self, slices: list[Slice]) -> tuple[int, int]:
        """(width, height) of every picture: as asked, else that of most."""
        common = Counter((one.columns, one.rows) for one in slices).most_common(1)[0][0]
        return self.options.image_width or common[0], self.options.image_height or common[1]

    def _class_of(self, one: Slice) -> str:
        """The first folder below the data set's. Raises DataError for a file that lies in none."""
        parts = Path(one.path).relative_to(self.options.dicom_folder).parts
        if len(parts) < 2:
            raise DataError(f"{one} lies in no class folder.", advice="Put each class in a folder of its own.")
        return parts[0].replace("_", " ")

    def _mask_classes(self, slices: list[Slice]) -> list[str]:
        """The names given, else numbers up to the greatest value of all masks that can be read."""
        if self.options.class_names:
            return list(self.options.class_names)
        highest, readable = 1, 0
        for one in slices:
            try:
                mask = masks.read_mask(one, self.userdata["masks_by_name"], self.userdata["masks_by_instance"])
            except DataError:
                continue  # listed with its reason when it is encoded
            readable += 1
            highest = max(highest, int(mask[mask != IGNORED].max(initial=0)))
        if not readable:
            raise DataError(
                f"None of the {len(slices)} pictures has a mask in {self.options.mask_folder}.",
                advice="Give masks the base names of the DICOM files, or name DICOM-SEG files that refer to them.",
            )
        return [str(number) for number in range(highest + 1)]
