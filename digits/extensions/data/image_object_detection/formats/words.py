"""Small things that several formats write: yes and no, turned boxes, the box around points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from digits.utils.values import FALSE_TEXTS, TRUE_TEXTS

Corners = tuple[float, float, float, float]  # left, top, right, bottom


def yes_or_no(value: Any) -> bool | None:
    """Whether a value says yes (`TRUE`, `1.0`, true, `yes`) or no (also by its absence); None where it says neither."""
    text = str("" if value is None else value).strip().lower()
    if text in TRUE_TEXTS or text in FALSE_TEXTS:
        return text in TRUE_TEXTS
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number > 0


def says_yes(value: Any) -> bool:
    """Whether a flag is set; what says neither is not."""
    if value == 0:
        return False
    return yes_or_no(value) is True


def turned_box(corners: Corners, degrees: float) -> Corners:
    """The upright box around one that is turned about its centre, clockwise as pictures are drawn."""
    x0, y0, x1, y1 = corners
    if degrees % 360 == 0:
        return corners
    cosine, sine = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    width, height = (x1 - x0) * cosine + (y1 - y0) * sine, (x1 - x0) * sine + (y1 - y0) * cosine
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def box_around(points: Sequence[Sequence[float]]) -> Corners:
    """The box around points of x and y."""
    across, down = [point[0] for point in points], [point[1] for point in points]
    return min(across), min(down), max(across), max(down)
