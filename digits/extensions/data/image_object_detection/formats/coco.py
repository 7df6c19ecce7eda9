"""COCO's instances file: one JSON file for all pictures, boxes as left, top, width, height."""

from __future__ import annotations

import os
from typing import Any

from digits.errors import DataError
from digits.extensions.data.image_object_detection.boxes import Annotated, RawBox, Reading
from digits.extensions.data.image_object_detection.formats.sources import Request, files_with
from digits.extensions.data.images.coco import CocoFile, read_coco
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.images.names import PictureNames
from digits.storage.records.reader import BOX_CROWD

ADVICE = "Name the picture folder that belongs to this file."


def read(request: Request) -> Reading:
    """Every listed picture that the folder has, in the order of its path."""
    file = _instances_file(request)
    coco = read_coco(file, request.findings, request.stage)
    names = PictureNames(request.root, request.pictures)
    reading = Reading(declared=list(coco.categories.values()))
    for name, number in coco.pictures.items():
        path = names.find(name)
        if path is None:
            request.findings.add(
                "pair", f"{file} lists it, but {request.root} lacks it; left out.", name, request.stage, lost=True
            )
            continue
        boxes = [_box(item, coco, request) for item in coco.annotations.get(number, ())]
        reading.pictures.append(Annotated(path, [box for box in boxes if box is not None], file))
    if not reading.pictures:
        raise DataError(f"None of the {len(coco.pictures)} pictures that {file} lists is in {request.root}.", advice=ADVICE)
    reading.pictures.sort(key=lambda item: item.picture)
    _report_unlisted(reading, request, file)
    return reading


def _instances_file(request: Request) -> str:
    """The file itself, or of a folder the one that lists most of the pictures."""
    if os.path.isfile(request.labels):
        return request.labels
    names = PictureNames(request.root, request.pictures)
    best, most = "", 0
    for path in files_with(request.labels, (".json",), request.may_read):
        try:
            listed = read_coco(path, Findings(lambda problem: None), "").pictures
        except DataError:
            continue
        count = sum(names.find(name) is not None for name in listed)
        if count > most:
            best, most = path, count
    if not best:
        raise DataError(f"No JSON file in {request.labels} lists a picture of {request.root}.", advice=ADVICE)
    return best


def _box(item: dict[str, Any], coco: CocoFile, request: Request) -> RawBox | None:
    name = coco.categories[item["category_id"]]
    try:
        x, y, width, height = (float(value) for value in item["bbox"])
    except (KeyError, TypeError, ValueError):
        reason = f"The annotation {item.get('id')} has the bbox {item.get('bbox')!r}; left out. Write [left, top, width, height]."
        request.findings.add("annotation", reason, coco.path, request.stage)
        return None
    return RawBox(x, y, x + width, y + height, name, BOX_CROWD if item.get("iscrowd") else 0)


def _report_unlisted(reading: Reading, request: Request, file: str) -> None:
    listed = {item.picture for item in reading.pictures}
    for path in request.pictures:
        if path not in listed:
            request.findings.add("pair", f"{file} does not list it; left out.", path, request.stage)
