"""The colours of classes, the same wherever classes are shown: gallery, preview, validation samples, evaluations, views."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

from digits.domain.datasets import IGNORED

BLACK = [0, 0, 0]
BACKGROUNDS = {"", "0", "_background_", "background", "back", "bg", "empty", "negative", "no", "none", "nothing", "other", "rest"}
# Distinguishable hues; from the class after the last one on, hues by the golden ratio.
DISTINCT = (
    (230, 75, 53),
    (0, 160, 135),
    (60, 84, 200),
    (243, 155, 30),
    (132, 60, 170),
    (120, 180, 40),
    (220, 60, 150),
    (80, 190, 230),
    (150, 110, 60),
    (180, 180, 60),
    (110, 110, 110),
)
# Six pairs of a light and a dark hue, distinguishable for most colour-blind readers when neighbours are not both shown.
PAIRED = (
    (166, 206, 227),
    (31, 120, 180),
    (178, 223, 138),
    (51, 160, 44),
    (251, 154, 153),
    (227, 26, 28),
    (253, 191, 111),
    (255, 127, 0),
    (202, 178, 214),
    (106, 61, 154),
    (255, 255, 153),
    (177, 89, 40),
)


def class_colours(count: int, palette: Sequence[int] = (), names: Sequence[str] = ()) -> list[list[int]]:
    """RGB of the classes of a map: the data set's palette (flat R, G, B, …), else distinguishable hues.

    Black, which pages do not draw, is class 0 without a palette, unless its name says that it is no background.
    """
    own = [[int(value) for value in palette[i : i + 3]] for i in range(0, len(palette) - 2, 3)]
    first = 1 if begins_with_background(names) else 0
    return [own[i] if i < len(own) else BLACK if i < first else _hue(i - first) for i in range(count)]


def begins_with_background(names: Sequence[str]) -> bool:
    """Whether class 0 is what is left over: of one or two classes, of unnamed ones, or by its name."""
    return len(names) < 3 or names[0].strip().lower() in BACKGROUNDS


def object_colours(count: int, palette: Sequence[int] = ()) -> list[list[int]]:
    """RGB of the classes of boxes, among which there is no background: a palette's black first entry is left out."""
    first = 1 if not palette or list(palette[:3]) == BLACK else 0
    return class_colours(count + first, palette)[first:]


def paired_colours(count: int) -> list[list[int]]:
    """RGB of the classes of a map in light and dark pairs; class 0 is black."""
    return [BLACK, *(list(PAIRED[i % len(PAIRED)]) for i in range(count - 1))][:count]


def map_palette(palette: Sequence[int] = (), names: Sequence[str] = ()) -> list[int]:
    """The 768 numbers for a picture of class numbers; what does not count is white unless the palette says otherwise."""
    colours = class_colours(IGNORED + 1, palette, names)
    if len(palette) <= 3 * IGNORED:
        colours[IGNORED] = [255, 255, 255]
    return [value for colour in colours for value in colour]


def _hue(number: int) -> list[int]:
    if number < len(DISTINCT):
        return list(DISTINCT[number])
    return [round(255 * value) for value in colorsys.hsv_to_rgb(number * 0.618034 % 1, 0.7, 0.9)]
