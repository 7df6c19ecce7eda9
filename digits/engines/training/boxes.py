"""Boxes beside pictures, in NumPy for every engine: cropped and moved as their picture is, and as arrays of one shape.

Boxes of a picture are a structured array of `BOX_DTYPE`: left, top, right, bottom in pixels, class, flags. What a crop or an
augmentation moves out of the picture is dropped; what it moves mostly out is flagged `CUT` and counts neither for nor
against a detector.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from digits.domain.training import Augmentation
from digits.engines.base import Records
from digits.engines.training.augmentation import Transforms
from digits.storage.records.boxes import COORDINATES, CUT, coordinates
from digits.storage.records.reader import BOX_CROWD, BOX_DIFFICULT, BOX_DTYPE, BOX_IGNORED

NOT_COUNTED = BOX_DIFFICULT | BOX_CROWD | BOX_IGNORED | CUT
VISIBLE = 0.3  # of its area a box must keep to stay an object
SAMPLES = 5_000  # records whose boxes are measured
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

Boxes = Sequence[np.ndarray]


def is_counted(boxes: np.ndarray) -> np.ndarray:
    """Which of `boxes` (n,) are objects to be found, bool (n,): without a flag, and not empty."""
    full = (boxes["x1"] > boxes["x0"]) & (boxes["y1"] > boxes["y0"])
    return full & (boxes["flags"] & NOT_COUNTED == 0)


def cropped(boxes: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """The boxes (m,) of `boxes` (n,) in a piece of the picture: `corner` is its (y, x) in pixels, `size` its (H, W)."""
    y, x = corner
    return clipped(boxes, coordinates(boxes) - np.array([x, y, x, y], np.float32), size)


def moved(boxes: Boxes, augmentation: Augmentation, transforms: Transforms, size: tuple[int, int]) -> list[np.ndarray]:
    """The boxes (m,) of each of N pictures of `size` (H, W) after what `transforms` does to these: mirror, quarter turns, turn
    and zoom.

    A turned box becomes the one around the ellipse inscribed in it, also turned: exact for quarter turns and round objects,
    closer than the box around its corners for others.
    """
    counts = [len(one) for one in boxes]
    if not sum(counts):
        return list(boxes)
    joined = np.concatenate(list(boxes))
    rows = np.repeat(np.arange(len(boxes)), counts)
    found = _moved(coordinates(joined).astype(np.float64), augmentation, transforms, rows, size)
    return [clipped(old, new, size) for old, new in zip(boxes, np.split(found, np.cumsum(counts)[:-1]), strict=True)]


def clipped(boxes: np.ndarray, found: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`boxes` (n,) at their new coordinates `found` float (n, 4) in pixels, cut to a picture of `size` (H, W); those outside
    are left out."""
    limits = np.array([size[1], size[0], size[1], size[0]], np.float64)
    inside = np.clip(found, 0, limits)
    before, after = _area(found), _area(inside)
    kept = boxes.copy()
    for position, name in enumerate(COORDINATES):
        kept[name] = inside[:, position]
    kept["flags"] |= np.where(after < VISIBLE * before, CUT, 0).astype(np.uint8)
    return kept[after > 0]


def stacked(detections: Sequence[np.ndarray]) -> np.ndarray:
    """Detections (n, 6) of N pictures as float32 (N, M, 6): left, top, right, bottom, score, class; rows of zeros fill up."""
    rows = np.zeros((len(detections), max([1, *map(len, detections)]), 6), np.float32)
    for row, one in zip(rows, detections, strict=True):
        row[: len(one)] = one
    return rows


def unstacked(rows: np.ndarray) -> list[np.ndarray]:
    """The detections (n, 6) of each picture of `rows` float32 (N, M, 6), without the rows that fill up."""
    return [one[one[:, 4] > 0] for one in rows]


def typical_sizes(records: Records) -> tuple[float, ...]:
    """Sides of the objects in pixels (square root of the area) at the quantiles 5, 25, 50, 75 and 95 %; () without objects."""
    indices = np.unique(np.linspace(0, len(records) - 1, min(len(records), SAMPLES)).astype(np.int64))
    boxes = np.concatenate([*records.labels(indices), np.empty(0, BOX_DTYPE)])
    areas = _area(coordinates(boxes[is_counted(boxes)]))
    return tuple(round(float(q), 2) for q in np.quantile(np.sqrt(areas), QUANTILES)) if len(areas) else ()


def _moved(
    found: np.ndarray, augmentation: Augmentation, transforms: Transforms, rows: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Coordinates (T, 4) of boxes of the pictures `rows` (T,), moved as `Augmenter` moves pixels."""
    height, width = size
    x, y = (found[:, 0] + found[:, 2]) / 2 - width / 2, (found[:, 1] + found[:, 3]) / 2 - height / 2
    half_x, half_y = (found[:, 2] - found[:, 0]) / 2, (found[:, 3] - found[:, 1]) / 2
    x = np.where(transforms.flip_x[rows], -x, x)
    y = np.where(transforms.flip_y[rows], -y, y)
    turns = transforms.quarter_turns if augmentation.quad_rot != "none" else np.zeros(len(transforms.angle), np.int64)
    angle, zoom = (transforms.angle + turns * (np.pi / 2))[rows], transforms.zoom[rows]
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = zoom * (cos * x + sin * y), zoom * (cos * y - sin * x)
    half_x, half_y = zoom * np.hypot(half_x * cos, half_y * sin), zoom * np.hypot(half_x * sin, half_y * cos)
    x, y = x + width * (0.5 + transforms.shift[rows, 0]), y + height * (0.5 + transforms.shift[rows, 1])
    return np.stack([x - half_x, y - half_y, x + half_x, y + half_y], axis=1)


def _area(found: np.ndarray) -> np.ndarray:
    return np.maximum(found[:, 2] - found[:, 0], 0) * np.maximum(found[:, 3] - found[:, 1], 0)
