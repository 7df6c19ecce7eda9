"""Object detection data sets: pictures with boxes, resized and padded together."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from digits.domain.datasets import COCO_IDS_FILE, STAGES, TEST_DB, TRAIN_DB, VAL_DB
from digits.errors import DataError
from digits.extensions.data.image_object_detection import formats
from digits.extensions.data.image_object_detection.boxes import Annotated, RawBox, Reading
from digits.extensions.data.image_object_detection.classes import FAULTS, NONE, ClassMap, class_map
from digits.extensions.data.image_object_detection.formats.sources import Request
from digits.extensions.data.image_object_detection.in_picture import Rows, in_picture
from digits.extensions.data.images.base import Entries, ImageSource
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.images.options import ListedOptions
from digits.extensions.data.images.pictures import digest_of, feature_of, read_turned, remarks
from digits.extensions.data.images.sizes import NO_SIZE, PAD, Size
from digits.extensions.data.images.splitting import by_lists, drawn, group_finder
from digits.extensions.data.source import Options, Sample
from digits.storage.files import write_json
from digits.storage.records.reader import BOX_IGNORED
from digits.utils.confinement import ADVICE
from digits.utils.constants import CLASS_LABELS_ATTRIBUTE
from digits.utils.names import readable
from digits.utils.values import counted

SHORT = {TRAIN_DB: "train", VAL_DB: "val", TEST_DB: "test"}


@dataclass(frozen=True)
class DetectionOptions(ListedOptions):
    """Padding and sizes of 0 keep those of the files."""

    train_image_folder: str = ""
    train_label_folder: str = ""
    val_image_folder: str = ""
    val_label_folder: str = ""
    test_image_folder: str = ""
    test_label_folder: str = ""
    annotation_format: str = "auto"
    first_pixel: int = 0
    custom_classes: str = ""
    class_names_file: str = ""
    val_min_box_size: int = 0
    channel_conversion: str = "RGB"
    padding_image_width: int = 0
    padding_image_height: int = 0
    resize_image_width: int = 0
    resize_image_height: int = 0
    unequal_sizes: str = PAD


class DataIngestion(ImageSource):
    """Entries are `(picture, rows, relative, smallest, annotation file, stated size)`; a row: x0, y0, x1, y1, class, flags, line.

    Older versions wrote no stated size, the (width, height) that the annotations are for.
    """

    OPTIONS: ClassVar[type[Options]] = DetectionOptions
    options: DetectionOptions
    FORM = "digits.extensions.data.image_object_detection.forms"
    READS = (".txt", ".xml", ".json", ".csv", ".yaml", ".yml", ".names")

    @staticmethod
    def get_id() -> str:
        return "image-object-detection"

    @staticmethod
    def get_title() -> str:
        return "Object Detection"

    @staticmethod
    def get_needs() -> str:
        return "Pictures with boxes: KITTI, Pascal VOC, COCO or YOLO."

    def get_task(self) -> str:
        return "detection"

    def collect(self, findings: Findings) -> Entries:
        readings = self._divided(self._read(TRAIN_DB, findings), findings)
        for stage in (VAL_DB, TEST_DB):
            if getattr(self.options, f"{SHORT[stage]}_image_folder"):
                readings[stage] = self._read(stage, findings)
        classes = class_map(self.options.custom_classes, readings, findings)
        self.userdata[CLASS_LABELS_ATTRIBUTE] = classes.labels
        self._keep_ids(readings, classes)
        entries = {stage: self._entries(stage, reading, classes, findings) for stage, reading in readings.items()}
        self._check(entries, findings)
        return entries

    def _keep_ids(self, readings: dict[str, Reading], classes: ClassMap) -> None:
        """The ids that COCO's files give pictures and, split by split, classes, with which detections are handed out again."""
        if not any(reading.category_ids for reading in readings.values()):
            return
        images = {readable(item.picture): item.id for reading in readings.values() for item in reading.pictures}
        splits: dict[str, dict[str, int | str]] = {stage: {} for stage in readings}
        for stage, reading in readings.items():
            for name, number in reading.category_ids.items():
                place = classes.number(RawBox(0, 0, 0, 0, name))
                if place != NONE:
                    splits[stage].setdefault(classes.labels[place], number)
        categories = {name: number for split in reversed(splits.values()) for name, number in split.items()}
        write_json(self.job_folder / COCO_IDS_FILE, {"images": images, "categories": categories, "splits": splits})

    def encode_entry(self, entry: tuple[Any, ...]) -> Sample:
        path, rows, relative, smallest, file, *stated = entry
        picture, orientation = read_turned(path, self.options.channel_conversion)
        height, width = picture.shape[:2]
        place = self.fit.place(width, height)
        given = Rows(rows, bool(relative), file, tuple(stated[0]) if stated else NO_SIZE)
        boxes, notes = in_picture(path, given, (width, height), orientation)
        _ignore_small(boxes, smallest)
        return Sample(
            feature_of(place.picture(picture)),
            _moved(boxes, place.boxes(_corners(boxes)), place.outer),
            source=path,
            original_size=(width, height),
            group=group_finder(self.options.group_pattern)(path),
            digest=digest_of(path),
            notes=notes + remarks(path),
        )

    @property
    def given_size(self) -> Size | None:
        size = (self.options.resize_image_width, self.options.resize_image_height)
        return size if all(size) else None

    def choose_size(self, entries: Entries, findings: Findings) -> None:
        given = (self.options.padding_image_width, self.options.padding_image_height)
        if all(given):
            self.userdata["padding"] = given
        else:
            super().choose_size(entries, findings)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "annotation_format": self.userdata.get("format", "")}

    # -- reading the annotations --------------------------------------------------------------------------------

    def _read(self, stage: str, findings: Findings) -> Reading:
        short = SHORT[stage]
        root, labels = (getattr(self.options, f"{short}_{what}_folder").rstrip("/") for what in ("image", "label"))
        allowed = self.confinement()
        if refusal := allowed.refusal(labels) if labels else "":
            raise DataError(refusal, advice=ADVICE)
        if not os.path.exists(labels):
            raise DataError(f"{labels or 'The label folder'} does not exist.", advice="Correct its path.")
        name = self.options.annotation_format
        name = formats.recognise(labels, allowed.allows) if name == "auto" else name
        self.userdata["format"] = name
        names_file = self.options.class_names_file
        request = Request(
            root=root,
            pictures=self.some(self.pictures_in(root, findings, stage)),
            labels=labels,
            stage=stage,
            findings=findings,
            may_read=allowed.allows,
            names_file=self.file_at(names_file) if names_file else "",
            first_pixel=int(self.options.first_pixel == 1),
        )
        return formats.read(name, request)

    def _divided(self, reading: Reading, findings: Findings) -> dict[str, Reading]:
        """The training folder, in the splits that have no folder of their own."""
        o, pictures = self.options, [item.picture for item in reading.pictures]
        if listed := o.list_files:
            files = {stage: self.file_at(file) for stage, file in listed.items()}
            numbers = by_lists(o.train_image_folder, pictures, files, findings)
        else:
            find = group_finder(o.group_pattern)
            val, test = (0.0 if o.val_image_folder else o.folder_pct_val), (0.0 if o.test_image_folder else o.folder_pct_test)
            numbers = drawn([find(path) for path in pictures], val, test, o.seed)
        parts = [[item for item, n in zip(reading.pictures, numbers, strict=True) if n == i] for i in range(len(STAGES))]
        return {stage: replace(reading, pictures=part) for stage, part in zip(STAGES, parts, strict=True)}

    def _entries(self, stage: str, reading: Reading, classes: ClassMap, findings: Findings) -> list[list[Any]]:
        smallest = self.options.val_min_box_size if stage == VAL_DB else 0
        entries = []
        for item in reading.pictures:
            rows, faulty = _rows(item, classes, stage, findings)
            refused = item.refused + faulty
            if refused and not rows:
                reason = f"None of {counted(refused, 'object')} in {item.source} could be read; left out, as it is no background."
                findings.add("skipped", reason, item.picture, stage)
                continue
            if item.has_file and not any(row[4] != NONE for row in rows):
                findings.add(
                    "empty", "It has no object: it teaches what is background, and cannot be found.", item.picture, stage
                )
            entries.append([item.picture, rows, int(item.relative), smallest, item.source, list(item.size)])
        _report_copies(entries, stage, findings)
        return entries

    def _check(self, entries: Entries, findings: Findings) -> None:
        if not any(row[4] != NONE for entry in entries[TRAIN_DB] for row in entry[1]):
            raise DataError(
                f"None of the {len(entries[TRAIN_DB])} training pictures has an object.{findings.first_of(FAULTS)}",
                advice="Check the label folder, the format and the list of classes.",
            )


def _rows(item: Annotated, classes: ClassMap, stage: str, findings: Findings) -> tuple[list[list[float]], int]:
    """The boxes of a picture that can be boxes, and how many cannot."""
    rows, faulty = [], 0
    for box in item.boxes:
        if fault := box.fault(item.relative):
            faulty += 1
            findings.add("box", fault, item.source or item.picture, stage, box.line)
            continue
        number = NONE if box.does_not_count else classes.number(box)
        flags = box.flags | (BOX_IGNORED if number == NONE else 0)
        rows.append([box.x0, box.y0, box.x1, box.y1, number, flags, box.line])
    return rows, faulty


def _report_copies(entries: list[list[Any]], stage: str, findings: Findings) -> None:
    """Say how many boxes that count stand more than once in the file of their picture."""
    counting = [(entry, [tuple(row[:5]) for row in entry[1] if row[4] != NONE]) for entry in entries]
    copies = {entry[0]: len(rows) - len(set(rows)) for entry, rows in counting if len(rows) > len(set(rows))}
    if copies:
        count = f"{counted(sum(copies.values()), 'copy', 'copies')} of boxes, with the same corners and class, in one file"
        reason = f"{count}: each counts as an object of its own. Delete them."
        findings.add("note", reason, next(iter(copies)), stage)


def _ignore_small(boxes: np.ndarray, smallest: int) -> None:
    """Mark boxes with a side below `smallest` pixels as ones that do not count."""
    small = (boxes["x1"] - boxes["x0"] < smallest) | (boxes["y1"] - boxes["y0"] < smallest)
    boxes["flags"][small] |= BOX_IGNORED


def _corners(boxes: np.ndarray) -> np.ndarray:
    return np.stack([boxes[name] for name in ("x0", "y0", "x1", "y1")], axis=1).astype(np.float64)


def _moved(boxes: np.ndarray, corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The boxes with new corners, clipped to the new picture; those that were cut off are left out."""
    corners = np.clip(corners, 0, [*size, *size])
    for place, name in enumerate(("x0", "y0", "x1", "y1")):
        boxes[name] = corners[:, place]
    return boxes[(boxes["x1"] > boxes["x0"]) & (boxes["y1"] > boxes["y0"])]
