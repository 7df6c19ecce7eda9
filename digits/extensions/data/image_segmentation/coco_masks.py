"""Masks drawn from COCO's polygons and run lengths: background 0, categories from 1 on, crowds do not count."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from digits.domain.datasets import IGNORED
from digits.errors import LoadImageError
from digits.extensions.data.image_object_detection.formats.words import says_yes
from digits.extensions.data.images.coco_shapes import mask_of, polygons_of

Drawing = list[Any]  # class number, segmentation
BACKGROUND = "background"


def draw(drawings: list[Drawing], height: int, width: int, path: str) -> tuple[np.ndarray, list[str]]:
    """The classes (height, width) uint8 of a picture and what could not be drawn; smaller objects lie over larger ones.

    Raises LoadImageError when the picture has drawings but none is usable.
    """
    masks, wrong = [], []
    for number, segmentation in drawings:
        try:
            masks.append((number, mask_of(segmentation, height, width)))
            wrong += [f"A part of an object is left out: {fault}" for fault in polygons_of(segmentation)[1]]
        except (ValueError, TypeError) as error:
            wrong.append(f"An object is left out: {error}")
    if wrong and not masks:
        raise LoadImageError(f"{path}: {wrong[0]}.", advice="Correct the segmentation of its annotations.")
    classes = np.zeros((height, width), np.uint8)
    for number, mask in sorted(masks, key=lambda item: -int(item[1].sum())):
        classes[mask] = number
    return classes, wrong


def classes_of(names: Iterable[str], void: Iterable[str], *, has_background: bool) -> tuple[list[str], dict[str, int]]:
    """The classes of categories, and the number of each name: IGNORED for those that do not count (`void`). With a background it
    is class 0, also where a category is called so."""
    left_out = {word.lower() for word in void}
    labels = [BACKGROUND] if has_background else []
    numbers: dict[str, int] = {}
    for name in names:
        if name.lower() in left_out:
            numbers[name] = IGNORED
        elif has_background and name.lower() == BACKGROUND:
            numbers[name] = 0
        elif name not in numbers:
            numbers[name] = len(labels)
            labels.append(name)
    return labels, numbers


def drawing_of(annotation: dict[str, Any], number: int) -> Drawing:
    """An annotation as an entry keeps it."""
    return [IGNORED if says_yes(annotation.get("iscrowd", 0)) else number, annotation.get("segmentation")]
