"""COCO's polygons and run lengths as masks, pixel by pixel as the COCO API (pycocotools) draws them.

Run lengths: counts of pixels, column by column, background first; compressed ones are little groups of five bits plus 48,
each count from the third on a difference to the one two before.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from digits.utils.stored import MAX_PIXELS
from digits.utils.values import shown

MOST_BITS = 60  # of a compressed run length
LARGEST = 100_000.0  # a coordinate beyond has no meaning, and drawing it takes time and memory


def mask_of(segmentation: Any, height: int, width: int) -> np.ndarray:
    """A polygon list or run lengths as a mask (height, width) of bool. Of several polygons those that are none are left out.

    Raises ValueError where nothing can be drawn.
    """
    _check_size(height, width)
    if isinstance(segmentation, dict):
        return _from_runs(segmentation, height, width)
    polygons, faults = polygons_of(segmentation)
    if not polygons:
        raise ValueError(faults[0] if faults else "its segmentation is empty")
    from faster_coco_eval import mask as api  # the C code of the COCO API; only where masks are drawn

    drawn = api.decode(api.merge(api.frPyObjects(polygons, height, width)))
    return np.asarray(drawn).reshape(height, width).astype(bool)


def polygons_of(segmentation: Any) -> tuple[list[list[float]], list[str]]:
    """The polygons of a segmentation, x and y in turns, that can be drawn, and what is wrong with each of the others."""
    if isinstance(segmentation, dict):
        return [], []
    if not isinstance(segmentation, list) or not segmentation:
        return [], ["its segmentation is empty"]
    if all(isinstance(value, int | float) for value in segmentation):
        segmentation = [segmentation]  # one polygon without its list
    polygons, faults = [], []
    for polygon in segmentation:
        points, fault = _points(polygon)
        if fault:
            faults.append(fault)
        else:
            polygons.append(points)
    return polygons, faults


def runs_of(runs: dict[str, Any]) -> np.ndarray:
    """Run lengths as a mask (height, width) of bool, of the size that they state themselves. Raises ValueError."""
    size = runs.get("size")
    if not isinstance(size, list) or len(size) != 2 or not all(isinstance(side, int) and 0 < side <= LARGEST for side in size):
        raise ValueError(f"its run lengths have the size {shown(repr(size))}, which is no height and width")
    _check_size(size[0], size[1])
    return _from_runs(runs, size[0], size[1])


def _check_size(height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise ValueError(f"its mask has {width}x{height} pixels, more than a picture may have")


def _points(polygon: Any) -> tuple[list[float], str]:
    try:
        points = [float(value) for value in polygon]
    except (TypeError, ValueError, OverflowError):
        return [], "a polygon is no list of numbers"
    if len(points) < 6 or len(points) % 2:
        return [], f"a polygon has {len(points)} numbers, at least three points are needed"
    if not all(math.isfinite(value) and abs(value) <= LARGEST for value in points):
        return [], "a polygon has a coordinate that is no number of a picture"
    return points, ""


def _from_runs(runs: dict[str, Any], height: int, width: int) -> np.ndarray:
    size = runs.get("size")
    counts = runs.get("counts")
    if size != [height, width]:
        raise ValueError(f"its run lengths are for {shown(repr(size))}, the picture has {[height, width]} (height, width)")
    lengths = _decompressed(counts) if isinstance(counts, str) else _listed(counts)
    if any(abs(length) > MAX_PIXELS for length in lengths):
        raise ValueError("its run lengths hold a number that no picture has")
    if sum(lengths) != height * width or min(lengths, default=0) < 0:
        raise ValueError(f"its run lengths make {sum(lengths)} pixels, the picture has {height * width}")
    values = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return values.reshape(width, height).T


def _listed(counts: Any) -> list[int]:
    if not isinstance(counts, list) or not all(isinstance(value, int) for value in counts):
        raise ValueError("its run lengths are no list of whole numbers")
    return counts


def _decompressed(text: str) -> list[int]:
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError("its run lengths hold a character that means nothing")
        value |= (bits & 31) << shift
        shift += 5
        if shift > MOST_BITS:
            raise ValueError("its run lengths hold a number that no picture has")
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts
