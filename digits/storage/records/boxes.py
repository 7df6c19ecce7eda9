"""Boxes: how records hold them, and as plain numbers on their way between processes, which send no structured arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

BOX_DTYPE = np.dtype(
    [("x0", "<f4"), ("y0", "<f4"), ("x1", "<f4"), ("y1", "<f4"), ("class", "<i4"), ("flags", "u1")],
)
# Bits of a box's `flags`: hard to see, a crowd drawn as one box, and a region that counts neither for nor against a detector.
BOX_DIFFICULT, BOX_CROWD, BOX_IGNORED = 1, 2, 4
CUT = 8  # flag of a box that a crop or an augmentation moved mostly out, beside the flags of the records
COORDINATES = ("x0", "y0", "x1", "y1")
SUFFIX = ":boxes"  # behind the name of an array that holds boxes


def coordinates(boxes: np.ndarray) -> np.ndarray:
    """Left, top, right, bottom in pixels as float32 (n, 4), of boxes (n,) of `BOX_DTYPE`."""
    return np.stack([boxes[name] for name in COORDINATES], axis=-1).astype(np.float32).reshape(-1, 4)


def put(arrays: dict[str, Any], name: str, value: Any) -> None:
    """Add an array, in memory or in a file, under `name`; boxes become rows of numbers. What holds no numbers is left out."""
    array = value if hasattr(value, "dtype") else np.asarray(value)
    if array.dtype == BOX_DTYPE:
        arrays[name + SUFFIX] = _rows(array)
    elif array.dtype.kind in "biuf":
        arrays[name] = array


def take(arrays: Mapping[str, Any], name: str) -> Any:
    """The array that was put under `name`; None where there is none."""
    if name + SUFFIX in arrays:
        return _boxes(np.asarray(arrays[name + SUFFIX]))
    return arrays.get(name)


def _rows(boxes: NDArray[Any]) -> NDArray[np.float64]:
    return np.stack([boxes[field].astype(np.float64) for field in BOX_DTYPE.names or ()], axis=-1)


def _boxes(rows: NDArray[Any]) -> NDArray[Any]:
    boxes = np.zeros(len(rows), BOX_DTYPE)
    for column, field in enumerate(BOX_DTYPE.names or ()):
        boxes[field] = rows[:, column]
    return boxes
