"""What the built-in views share: their templates, pictures as `data:` addresses, class colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.utils.image import display_image, embed_image_html

TEMPLATES = Path(__file__).parent / "templates"

# Twelve pairs of a light and a dark hue, told apart by most colour-blind readers when neighbours are not both shown.
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
DISTINCT = (
    (0, 0, 0),
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


def template(name: str) -> str:
    """The text of one of the built-in views' templates."""
    return (TEMPLATES / f"{name}.html").read_text(encoding="utf-8")


def picture(array: NDArray[Any]) -> str:
    """A `data:` address of any (H, W) or (H, W, C) array."""
    return embed_image_html(display_image(array))


def first_output(outputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """The network's first output. Raises ValueError when there is none."""
    for array in outputs.values():
        return np.asarray(array)
    raise ValueError("the network has no output")


def class_colours(count: int, palette: Sequence[int] = ()) -> list[list[int]]:
    """RGB of `count` classes: the data set's palette (flat R, G, B, …) where it has one, else hues that can be told apart."""
    own = [list(palette[i : i + 3]) for i in range(0, len(palette) - 2, 3)]
    known = own or [list(colour) for colour in DISTINCT]
    return [known[i] if i < len(known) else _further(i) for i in range(count)]


def paired_colours(count: int) -> list[list[int]]:
    """RGB of `count` classes in light and dark pairs; class 0 is black."""
    return [[0, 0, 0], *(list(PAIRED[i % len(PAIRED)]) for i in range(count - 1))][:count]


def class_names(labels: Sequence[str], count: int) -> list[str]:
    """`count` names; numbers where the data set names fewer."""
    return [labels[i] if i < len(labels) else f"class {i}" for i in range(count)]


def _further(index: int) -> list[int]:
    """A hue by the golden ratio, for classes beyond the table."""
    import colorsys

    return [round(255 * value) for value in colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.7, 0.9)]
