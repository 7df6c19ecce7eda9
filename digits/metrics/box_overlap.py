"""How much boxes overlap. Boxes are (n, 4): left, top, right, bottom; what comes out has their dtype."""

from __future__ import annotations

import numpy as np


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union, in [0, 1], of boxes (n, 4) and (m, 4): (n, m), 0 where neither has an area."""
    inside = intersections(a, b)
    union = areas(a)[:, None] + areas(b)[None] - inside
    return np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)


def covered(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Which share, in [0, 1], of each box `a` (n, 4) lies in each region `b` (m, 4): (n, m), 0 for boxes without an area."""
    inside, whole = intersections(a, b), np.broadcast_to(areas(a)[:, None], (len(a), len(b)))
    return np.divide(inside, whole, out=np.zeros_like(inside), where=whole > 0)


def intersections(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The area that each of (n, 4) shares with each of (m, 4): (n, m)."""
    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    return np.maximum(width, 0) * np.maximum(height, 0)


def areas(a: np.ndarray) -> np.ndarray:
    """Areas (n,) of boxes (n, 4)."""
    return (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
