"""The original's form of boxes, an array 1×N×16, read as boxes of our records.

Row 0 holds the number of boxes and the width of a row. Each further row: x, y, width, height, alpha, class, 0, rotation,
truncated, occluded, length, width and height of the object, its location x, y, z. Class 0 is "dontcare".
"""

from __future__ import annotations

import numpy as np

from digits.storage.records.reader import BOX_DTYPE, BOX_IGNORED

ROW = 16
CLASS_COLUMN = 5


def is_rows(array: np.ndarray) -> bool:
    """Whether a label has the original's form of boxes, (1, N, 16)."""
    return array.ndim == 3 and array.shape[0] == 1 and array.shape[2] == ROW and array[0, 0, 1] in (0, ROW)


def boxes_of_rows(array: np.ndarray) -> np.ndarray:
    """The original's rows (1, N, 16), in pixels, as boxes (n,) of `BOX_DTYPE`; those of class 0 are marked as ones that do not
    count."""
    rows = array[0]
    count = int(np.clip(rows[0, 0], 0, len(rows) - 1))
    rows = rows[1 : 1 + count].astype(np.float32)
    boxes = np.zeros(count, BOX_DTYPE)
    boxes["x0"], boxes["y0"] = rows[:, 0], rows[:, 1]
    boxes["x1"], boxes["y1"] = rows[:, 0] + rows[:, 2], rows[:, 1] + rows[:, 3]
    boxes["class"] = rows[:, CLASS_COLUMN]
    boxes["flags"] = np.where(boxes["class"] == 0, BOX_IGNORED, 0)
    return boxes
