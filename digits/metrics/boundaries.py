"""How far the outline of a class lies from the true one: boundary F and the Hausdorff distance of 95 %.

Sources: Csurka et al. 2013 (boundary F, tolerance of 0.75 % of the diagonal); Huttenlocher et al. 1993, Taha & Hanbury 2015. An
outline is every pixel of a class with a neighbour, right, left, above or below, that is not of it; beyond the picture nothing
is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TOLERANCE = 0.0075  # of the diagonal, for boundary F
SHARE = 95  # percent of the distances
AT_ONCE = 4_000_000  # distances that are held together
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


@dataclass(frozen=True)
class Outline:
    """`f` (precision and recall of the outlines within the tolerance, 0 where only one of them is there) and `hd95`, the larger
    of both directions, in the unit of the spacing; NaN where only one is there."""

    f: float
    hd95: float


def outline_of(mask: np.ndarray) -> np.ndarray:
    """The outline of a mask (H, W) bool, bool (H, W)."""
    import cv2

    solid = mask.astype(np.uint8)
    inner = cv2.erode(solid, _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray((solid > 0) & (inner == 0))


def compared(made: np.ndarray, real: np.ndarray, spacing: tuple[float, float] = (1.0, 1.0)) -> Outline | None:
    """A predicted and a true mask (H, W) bool, whose pixels are `spacing` high and wide; None where the class is in neither."""
    one, other = outline_of(made), outline_of(real)
    if not one.any() and not other.any():
        return None
    if not one.any() or not other.any():
        return Outline(0.0, float("nan"))
    to_real, to_made = distances(one, other, spacing), distances(other, one, spacing)
    least = max(spacing)
    near = max(TOLERANCE * float(np.hypot(made.shape[0] * spacing[0], made.shape[1] * spacing[1])), least) * (1 + 1e-6)
    precision, recall = float((to_real <= near).mean()), float((to_made <= near).mean())
    f = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return Outline(f, float(max(np.percentile(to_real, SHARE), np.percentile(to_made, SHARE))))


def distances(one: np.ndarray, other: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """From each pixel of an outline to the nearest one of the other, both bool (H, W): (n,)."""
    import cv2

    if spacing[0] == spacing[1]:
        away = cv2.distanceTransform((~other).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        return np.asarray(away[one], np.float64) * spacing[0]
    points, others = (np.argwhere(outline) * np.array(spacing) for outline in (one, other))
    size = max(1, AT_ONCE // len(others))
    parts = [points[start : start + size] for start in range(0, len(points), size)]
    return np.concatenate([np.sqrt(np.square(part[:, None] - others[None]).sum(axis=2).min(axis=1)) for part in parts])
