"""COCO's panoptic task as classes: a JSON file says of each PNG which of its numbers is of which category.

A pixel's number is red + 256 green + 65536 blue; 0 is void, which does not count, and neither do crowds. There is no background:
what surrounds things is a category too. The PNG files lie in a folder that is called as the JSON file and lies beside it, else
somewhere below the folder of the JSON file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from digits.domain.datasets import IGNORED
from digits.errors import DataError, LoadImageError
from digits.extensions.data.files.listing import MayRead, files_with
from digits.extensions.data.files.names import FileNames
from digits.extensions.data.image_object_detection.formats.words import says_yes
from digits.extensions.data.image_segmentation.masks import LOSSY, LOSSY_ADVICE
from digits.extensions.data.images.coco import CocoFile, FoundPicture, coco_of, id_of
from digits.extensions.data.images.findings import Findings
from digits.utils.stored import Stored, read_stored

Label = dict[str, Any]  # of an entry: `png`, and `segments`, which are pairs of a number and a class
ADVICE = "Name COCO's JSON file, or the folder of panoptic PNG files beside which it lies."


def file_of(labels: str, may_read: MayRead) -> str:
    """The JSON file that is given, or that belongs to a folder of PNG files. Raises DataError."""
    if not os.path.isdir(labels):
        return labels
    beside = f"{labels}.json"
    found = [beside] if os.path.isfile(beside) else files_with(labels, (".json",), may_read)
    if len(found) != 1:
        raise DataError(f"{len(found) or 'No'} JSON files lie in {labels}, and none beside it is called as it is.", advice=ADVICE)
    return found[0]


def read_segments(content: Any, path: str, findings: Findings, stage: str) -> CocoFile:
    """What a parsed file says, as if each segment were an annotation of an instances file, with its `png`. Raises DataError."""
    segments: list[Any] = []
    for item in content["annotations"]:
        if not isinstance(item, dict) or not isinstance(item.get("segments_info"), list):
            segments.append(item)
            continue
        own = {"image_id": item.get("image_id"), "png": item.get("file_name")}
        segments += [{**one, **own} if isinstance(one, dict) else one for one in item["segments_info"]]
    return coco_of({**content, "annotations": segments}, path, findings, stage)


def masks_of(coco: CocoFile, may_read: MayRead) -> FileNames:
    """The PNG files of a JSON file."""
    named = os.path.splitext(coco.path)[0]
    root = named if os.path.isdir(named) else os.path.dirname(coco.path)
    return FileNames(root, files_with(root, (".png",), may_read))


def label_of(found: FoundPicture, coco: CocoFile, numbers: Mapping[str, int], masks: FileNames) -> tuple[Label, str]:
    """What an entry keeps of a picture; empty where that is not possible, with the reason."""
    names = {str(one.get("png") or "") for one in found.annotations}
    if len(names) != 1:
        return {}, f"{coco.path} names {len(names) or 'no'} PNG files with segments of it; the picture is left out."
    mask = masks.find(name := names.pop())
    if not mask:
        return {}, f"Its PNG file {name!r}: {mask.reason} The picture is left out."
    segments: dict[int, set[int]] = {}
    for one in found.annotations:
        number, label = id_of(one.get("id")), coco.category_of(one)
        if isinstance(number, int) and label in numbers:
            segments.setdefault(number, set()).add(IGNORED if says_yes(one.get("iscrowd", 0)) else numbers[label])
    return {"png": mask.path, "segments": [[n, found.pop() if len(found) == 1 else IGNORED] for n, found in segments.items()]}, ""


def read(label: Label) -> tuple[np.ndarray, int, list[str]]:
    """The classes (H, W) uint8 of a PNG file, the orientation that it was turned from, and what there is to say. Raises
    LoadImageError for a file that holds none of the numbers."""
    path, segments = str(label["png"]), label["segments"]
    stored = read_stored(path)
    if stored.is_lossy:
        raise LoadImageError(f"{path} {LOSSY}.", advice=LOSSY_ADVICE)
    found, places = np.unique(_numbers(stored, path), return_inverse=True)
    known = {0: IGNORED, **{int(number): int(place) for number, place in segments}}
    unknown = [int(number) for number in found if int(number) not in known]
    if len(unknown) + (0 in found) == len(found):
        raise LoadImageError(f"{path} holds none of the numbers that the JSON file gives it.", advice="Do both belong together?")
    classes = np.array([known.get(int(number), IGNORED) for number in found], np.uint8)[places].reshape(stored.values.shape[:2])
    return classes, stored.orientation, _remarks(unknown, set(known) - {0, *found.tolist()})


def _numbers(stored: Stored, path: str) -> np.ndarray:
    """The number of each pixel, int64 (H, W)."""
    values = stored.values
    if stored.palette:
        values = np.array(stored.palette).reshape(256, 3)[values]
    if values.ndim == 2:
        return values.astype(np.int64)
    if values.shape[2] < 3 or values.dtype != np.uint8:
        raise LoadImageError(f"{path} has {values.shape[2]} channels of {values.dtype}, and no numbers of 24 bits.")
    return values[:, :, :3].astype(np.int64) @ np.array([1, 256, 65536])


def _remarks(unknown: list[int], missing: set[int]) -> list[str]:
    said = [("has the numbers", unknown, "for which the JSON file has no category; they do not count")] if unknown else []
    said += [("lacks the numbers", sorted(missing), "which the JSON file gives it")] if missing else []
    return [
        f"Its PNG file {verb} {', '.join(map(str, numbers[:5]))}{', …' * (len(numbers) > 5)}, {what}."
        for verb, numbers, what in said
    ]
