"""DICOM pictures with masks, classes by folder, or no label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from digits.domain.datasets import IGNORED, TEST_DB
from digits.errors import DataError
from digits.extensions.data.dicom import looking, masks, pixels, recognition, scan
from digits.extensions.data.dicom.pixels import Windowing
from digits.extensions.data.dicom.slices import Slice
from digits.extensions.data.dicom.tables import Window
from digits.extensions.data.files.names import below
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.source import FileSource, Options, ReportProblem, Sample, Words

LISTED_RECORDS = 1000  # of the validation split, in the form to test a model with
LISTED_NOTES = 3  # of one mask
FORM_SECONDS = 2.0  # of looking for a first picture when the form is sent


@dataclass(frozen=True)
class DicomOptions(Options):
    """Of the form and of the form to test with. Without a window all bits are kept; sizes of 0 are those of most pictures."""

    dicom_folder: str = ""
    labels: str = "masks"  # masks | folders | none
    mask_folder: str = ""
    class_names: Words = ()
    window_from: str = "form"  # form | file
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


class DataIngestion(FileSource):
    """An entry is a Slice. What `prepare` finds, its problems and the split live in userdata."""

    OPTIONS: ClassVar[type[Options]] = DicomOptions
    options: DicomOptions

    def __init__(self, is_inference_db: bool = False, **kwargs: Any) -> None:
        super().__init__(is_inference_db, **kwargs)
        if not is_inference_db and "slices" not in self.userdata:
            self._check_folder()

    @staticmethod
    def recognise(folder: str, allowed_roots: Sequence[str] = ()) -> list[dict[str, Any]]:
        return recognition.proposals(folder, allowed_roots)

    @staticmethod
    def get_id() -> str:
        return "image-dicom"

    @staticmethod
    def get_title() -> str:
        return "DICOM"

    @staticmethod
    def get_needs() -> str:
        return "DICOM series, with masks or one sub-folder for each class, or alone."

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

        return TestForm(self.userdata.get("slices", {}).get("val_db", [])[:LISTED_RECORDS])

    @staticmethod
    def get_inference_template(form: Any) -> tuple[str, dict[str, Any]]:
        from digits.extensions.data.dicom.forms import template_of

        return template_of(form)

    def get_task(self) -> str | None:
        return {"masks": "segmentation", "folders": "classification"}.get(self.options.labels)

    def prepare(self, report: ReportProblem) -> None:
        if "slices" not in self.userdata:  # older versions looked when the form was sent
            self._look()
        for problem in self.userdata.get("problems", ()):
            report(problem)

    def describe(self) -> dict[str, Any]:
        width, height = self.userdata["size"]
        return {"width": width, "height": height, "resize_mode": "squash", "ignore_index": IGNORED}

    def itemize_entries(self, stage: str) -> list[Slice]:
        if self.is_inference_db:
            return self._asked() if stage == TEST_DB else []
        return list(self.userdata["slices"].get(stage, []))

    def encode_entry(self, entry: Slice) -> Sample:
        """Feature (C, H, W), 16 bits unless windowed; label a mask (1, H, W), a class number or None."""
        values = pixels.read_frame(entry.path, entry.frame, self._windowing())
        notes = [("note", remark) for remark in pixels.remarks_of(entry.path, entry.frame)]
        if form := self.userdata.get("values"):  # not there in data sets of older versions
            eight_bits = bool(self._windowing()) or (entry.kind is not None and entry.kind.eight_bits and form["eight_bits"])
            if len(values) != form["channels"]:
                notes.append(("converted", "It is colour among grey." if len(values) == 3 else "It is grey among colour."))
            values = pixels.fitted(values, form["channels"], form["dtype"], eight_bits=eight_bits)
        width, height = self.userdata["size"]
        label, remarks = self._label(entry, height, width)
        return Sample(
            pixels.resize(values, height, width),
            label,
            source=entry.path,
            original_size=(entry.columns, entry.rows),
            group=entry.patient,
            notes=notes + [("mask", remark) for remark in remarks[:LISTED_NOTES]],
        )

    def _windowing(self) -> Windowing:
        o = self.options
        if o.window_from == "file":
            return Windowing(own=True)
        return Windowing(Window(o.window_center, o.window_width) if o.window_center is not None and o.window_width else None)

    def _asked(self) -> list[Slice]:
        """What the inference form names: files without labels, or a record of the validation split with its own."""
        if path := self.options.test_path.strip():
            found = scan.find_slices(Path(path), self.confinement())
            if not found.slices:
                reason = f" {found.damaged[0][0]}: {found.damaged[0][1]}" if found.damaged else ""
                raise DataError(
                    f"{path} is no DICOM picture and holds none.{reason}", advice="Name a DICOM file or a folder of them."
                )
            return found.slices
        record = self.options.validation_record
        if record == "none":
            raise DataError("Nothing was chosen.", advice="Name a DICOM file or folder, or choose a validation record.")
        return [self.userdata["slices"]["val_db"][int(record)]]

    def _label(self, entry: Slice, height: int, width: int) -> tuple[NDArray[Any] | None, list[str]]:
        if self.options.labels == "none" or (self.is_inference_db and self.options.test_path):
            return None, []
        labels = self.userdata["class_labels"]
        if not entry.name:  # of an older version
            entry = replace(entry, name=below(self.options.dicom_folder, entry.path))
        if self.options.labels == "folders":
            names = looking.class_of(entry), entry.name.split("/")[0].replace("_", " ")  # the second as older versions had it
            return np.array([next(labels.index(name) for name in names if name in labels)]), []
        classes = self.userdata.get("mask_classes")
        if classes is None:
            entry, classes = masks.of_older_job(entry, self.userdata)
        mask, remarks = masks.read_mask(entry, classes)
        return pixels.resize(mask[np.newaxis], height, width, nearest=True), remarks

    def _check_folder(self) -> None:
        """Raises DataError where the folder holds no picture, as far as a short look shows; `prepare` looks at every file."""
        folder = self.options.dicom_folder
        if not scan.holds_pictures(Path(folder), self.confinement(), FORM_SECONDS):
            looking.pictures(folder, "", self.confinement(), Findings(lambda problem: None))

    def _look(self) -> None:
        data, o = self.userdata, self.options
        problems: list[dict[str, Any]] = []
        findings = Findings(problems.append)
        allowed, masks_in = self.confinement(), o.mask_folder if o.labels == "masks" else ""
        slices = looking.pictures(o.dicom_folder, masks_in, allowed, findings, self.check_stop)
        data["values"] = looking.form_of(slices, bool(self._windowing()))
        slices = looking.of_one_form(slices, data["values"], findings)
        if o.labels == "masks":
            slices, classes = looking.with_masks(
                slices, o.dicom_folder, o.mask_folder, o.class_names, allowed, findings, self.check_stop
            )
            data["class_labels"], data["mask_classes"] = classes.names, classes
        elif o.labels == "folders":
            slices = looking.in_folders(slices, findings)
            data["class_labels"] = sorted({looking.class_of(one) for one in slices})
        data["size"] = self._size(slices)
        data["slices"] = scan.split(slices, o.split_by, o.folder_pct_val, o.folder_pct_test, o.seed)
        findings.finish()
        data["problems"] = problems

    def _size(self, slices: Sequence[Slice]) -> tuple[int, int]:
        """(width, height) of every picture: as asked, else that of most."""
        common = Counter((one.columns, one.rows) for one in slices).most_common(1)[0][0]
        return self.options.image_width or common[0], self.options.image_height or common[1]
