"""The formats of annotations. Each reader takes the pictures of a folder and gives a `Reading`; bad lines become findings."""

from __future__ import annotations

import os
from collections.abc import Sequence

from digits.errors import DataError
from digits.extensions.data.image_object_detection.boxes import Reading
from digits.extensions.data.image_object_detection.formats import coco, csv_boxes, kitti, voc, yolo
from digits.extensions.data.image_object_detection.formats.sources import MayRead, Request, files_with, lines_of
from digits.utils.values import is_digits

FORMATS = {
    "kitti": ("KITTI text", kitti.read),
    "voc": ("PASCAL VOC XML", voc.read),
    "coco": ("COCO JSON", coco.read),
    "yolo": ("YOLO text", yolo.read),
    "csv": ("CSV", csv_boxes.read),
}
LOOKED_AT = 200  # files
SUFFIXES = {".xml": "voc", ".json": "coco", ".csv": "csv"}


def read(name: str, request: Request) -> Reading:
    """Read the annotations of one split. Raises DataError when there are none."""
    return FORMATS[name][1](request)


def recognise(label_path: str, may_read: MayRead) -> str:
    """The format of a label folder or file, from files that may be read. Raises DataError when it is none of the known ones."""
    ending = os.path.splitext(label_path)[1].lower()
    found = SUFFIXES.get(ending, "") if os.path.isfile(label_path) else _of_folder(label_path, may_read)
    if not found and _are_empty(texts := files_with(label_path, (".txt",), may_read, most=LOOKED_AT)):
        raise DataError(
            f"The {len(texts)} text files that were looked at in {label_path} are empty: no picture has an object.",
            advice="Check that this is the folder of the annotations, or choose their format in the form.",
        )
    if not found:
        raise DataError(
            f"The format of the annotations in {label_path} is not recognised.",
            advice="Known are KITTI and YOLO text (.txt), PASCAL VOC (.xml), COCO (.json) and CSV; choose one in the form.",
        )
    return found


def _of_folder(folder: str, may_read: MayRead) -> str:
    for ending, name in SUFFIXES.items():
        if files_with(folder, (ending,), may_read, most=1):
            return name
    return _of_texts(files_with(folder, (".txt",), may_read, most=LOOKED_AT))


def _are_empty(files: Sequence[str]) -> bool:
    read = [path for path in files if os.path.basename(path) not in yolo.NAMES_FILES]
    return bool(read) and not any(line.strip() for path in read for line in lines_of(path))


def _of_texts(files: Sequence[str]) -> str:
    """KITTI lines have 15 columns or more with a word first, YOLO lines a number and pairs of shares."""
    for path in files:
        with open(path, encoding="utf-8", errors="replace") as lines:
            words = next((line.split() for line in lines if line.strip()), [])
        if len(words) >= kitti.COLUMNS and not is_digits(words[0]):
            return "kitti"
        if len(words) >= 5 and len(words) % 2 and is_digits(words[0]):
            return "yolo"
    return ""
