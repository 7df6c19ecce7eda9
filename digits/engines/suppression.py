"""Of boxes of one class that overlap much only the best stays: greedy, best first, as torchvision's `batched_nms` does it.

The page's sliders do the same in `static/js/overlay/suppression.js`, on the same float32 numbers; tests compare the three.
"""

from __future__ import annotations

import numpy as np


def suppressed(rows: np.ndarray, overlap: float, most: int = 0) -> np.ndarray:
    """Numbers of the rows that stay, best first; at most `most` of them (0: all).

    `rows` are float32 (n, 5 or more): left, top, right, bottom, score and, with several classes, class. A box goes when its
    intersection over union with a better one of its class is larger than `overlap`.
    """
    order = np.argsort(-rows[:, 4], kind="stable")
    corners = rows[order, :4].astype(np.float32)
    labels = rows[order, 5] if rows.shape[1] > 5 else np.zeros(len(rows), np.float32)
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    gone = np.zeros(len(rows), bool)
    for i in range(len(rows)):
        if not gone[i]:
            rest = slice(i + 1, None)
            over = _shared(corners[i], corners[rest], areas[i], areas[rest]) > overlap
            gone[rest] |= over & (labels[rest] == labels[i])
    kept = order[~gone]
    return kept[:most] if most else kept


def _shared(box: np.ndarray, others: np.ndarray, area: np.float32, areas: np.ndarray) -> np.ndarray:
    """Intersection over union of a box (4,) with others (n, 4), in float32; 0 where neither has an area."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    width, height = np.maximum(high - low, np.float32(0)).T
    inside = width * height
    union = area + areas - inside
    return np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)
