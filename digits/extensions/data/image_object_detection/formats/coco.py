"""COCO's instances file: one JSON file for all pictures, boxes as left, top, width, height; else the box around the shape."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from digits.errors import DataError
from digits.extensions.data.files.listing import files_with
from digits.extensions.data.files.names import FileNames
from digits.extensions.data.files.text import read_json
from digits.extensions.data.image_object_detection.boxes import OVERSHOOT, Annotated, RawBox, Reading
from digits.extensions.data.image_object_detection.formats.sources import Request
from digits.extensions.data.image_object_detection.formats.words import Corners, box_around, says_yes
from digits.extensions.data.images.coco import CocoFile, FoundPicture, coco_of, refusal_of
from digits.extensions.data.images.coco_shapes import polygons_of, runs_of
from digits.extensions.data.images.sizes import NO_SIZE, Size
from digits.storage.records.reader import BOX_CROWD, BOX_IGNORED

FEW_BOXES = 3  # do not tell what the numbers of a box mean
ADVICE = "Name the picture folder that belongs to this file."


def read(request: Request) -> Reading:
    """Every listed picture that the folder has, in the order of its path."""
    names = FileNames(request.root, request.pictures)
    file, content = _instances_file(request, names)
    coco = coco_of(content, file, request.findings, request.stage)
    del content
    pictures = [_annotated(found, coco, request) for found in coco.found(names, request.findings, request.stage)]
    _report_corners(pictures, file, request)
    listed = {item.picture for item in pictures}
    for path in request.pictures:
        if path not in listed:
            request.findings.add("pair", f"{file} does not list it; left out.", path, request.stage)
    ids = {name: coco.written[number] for number, name in reversed(coco.categories.items())}
    return Reading(pictures, list(dict.fromkeys(coco.categories.values())), by_id=True, category_ids=ids)


def _instances_file(request: Request, names: FileNames) -> tuple[str, Any]:
    """The file itself, or of a folder the one that lists most of the pictures; with what it holds, so that it is read once."""
    if os.path.isfile(request.labels):
        return request.labels, read_json(request.labels)
    best, held, most, refusal = "", None, 0, ""
    for path in files_with(request.labels, (".json",), request.may_read):
        try:
            content = read_json(path)
        except DataError as error:
            refusal = refusal or f" {error.message}"
            continue
        if reason := refusal_of(content):
            refusal = refusal or f" {path}: {reason}."
            continue
        count = sum(bool(names.find(name)) for name in _listed(content))
        if count > most:
            best, held, most = path, content, count
    if not best:
        reason = f"No JSON file in {request.labels} lists a picture of {request.root} as COCO's instances do.{refusal}"
        raise DataError(reason, advice=ADVICE)
    return best, held


def _listed(content: dict[str, Any]) -> list[str]:
    names = [item.get("file_name") for item in content["images"] if isinstance(item, dict)]
    return [name for name in names if isinstance(name, str)]


def _annotated(found: FoundPicture, coco: CocoFile, request: Request) -> Annotated:
    boxes, refused = [], found.refused
    for item in found.annotations:
        corners, reason = _corners(item, found.size)
        if corners is None:
            refused += 1
            request.findings.add("annotation", f"The annotation {item.get('id')} {reason}; left out.", coco.path, request.stage)
            continue
        flags = (BOX_CROWD if says_yes(item.get("iscrowd", 0)) else 0) | (BOX_IGNORED if says_yes(item.get("ignore", 0)) else 0)
        boxes.append(RawBox(*corners, coco.category_of(item), flags))
    return Annotated(found.path, boxes, coco.path, size=found.size, refused=refused, id=found.id)


def _report_corners(pictures: Sequence[Annotated], file: str, request: Request) -> None:
    """Say where most boxes reach beyond their pictures, and all would lie in them with right and bottom as the last numbers."""
    boxes = [(box, item.size) for item in pictures if item.size != NO_SIZE for box in item.boxes]
    beyond = sum(box.x1 > size[0] + OVERSHOOT or box.y1 > size[1] + OVERSHOOT for box, size in boxes)
    if len(boxes) < FEW_BOXES or 2 * beyond <= len(boxes):
        return
    if all(2 * box.x0 < box.x1 <= box.x0 + size[0] and 2 * box.y0 < box.y1 <= box.y0 + size[1] for box, size in boxes):
        reason = f"{beyond} of {len(boxes)} boxes reach beyond their pictures: they seem to be left, top, right, bottom."
        request.findings.add("note", f"{reason} COCO's are left, top, width, height. Correct the file.", file, request.stage)


def _corners(item: dict[str, Any], size: Size) -> tuple[Corners | None, str]:
    """The box of an annotation, or why it has none."""
    if item.get("bbox") in (None, []) and item.get("segmentation"):
        return _of_shape(item["segmentation"], size)
    given = item.get("bbox")
    try:
        x, y, width, height = map(float, given if isinstance(given, list) else [])
    except (TypeError, ValueError, OverflowError):
        return None, f"has the bbox {repr(given)[:60]}. Write [left, top, width, height]"
    return (x, y, x + width, y + height), ""


def _of_shape(segmentation: Any, size: Size) -> tuple[Corners | None, str]:
    if isinstance(segmentation, dict):
        try:
            mask = runs_of(segmentation)
            if size not in (NO_SIZE, mask.shape[::-1]):
                stated = f"{mask.shape[1]}x{mask.shape[0]} pixels, its picture's {size[0]}x{size[1]}"
                return None, f"has no bbox, and the size of its run lengths is {stated}"
            rows, columns = np.nonzero(mask)
        except ValueError as error:
            return None, f"has no bbox, and {error}"
        if not len(rows):
            return None, "has no bbox, and its run lengths have no pixel"
        return (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)), ""
    polygons, faults = polygons_of(segmentation)
    if not polygons:
        return None, f"has no bbox, and {faults[0]}"
    return box_around([point for polygon in polygons for point in zip(polygon[0::2], polygon[1::2], strict=True)]), ""
