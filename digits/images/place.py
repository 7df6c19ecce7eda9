"""Brings a picture, and the mask or boxes that belong to it, to the size of the data set by one rule.

First the picture is padded at the right and at the bottom (`pad_width` × `pad_height`, 0: not at all), then scaled: `squash`
scales each axis on its own, `fill` fits the picture inside and pads around it, `crop` covers the target and cuts the centre,
`half_crop` does half of both. Pictures are (H, W, C) with their type kept, masks (H, W), boxes (n, 4) of x0, y0, x1, y1 in
pixels.

What is padded around a picture is said by its data set (`fill` in `DatasetInfo.extra`), and the same for every picture that a
model of it gets later: noise where a picture is classified as a whole, so that a network cannot learn the padding by heart; 0
where labels lie over the picture or are measured in it. `fill_of` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from digits.errors import LoadImageError
from digits.utils.resizing import centre_offset, fitted, nearest, scaled_size

NOISE, ZERO = "noise", "zero"
FILLS: dict[str, int | None] = {NOISE: None, ZERO: 0}  # as `digits.utils.resizing` takes them


def fill_of(described: Mapping[str, Any]) -> str:
    """What pads the pictures of a data set, by its `DatasetInfo.extra`.

    Those made before `fill` was recorded: noise for the classification sources, which alone recorded `min_side`, else 0.
    """
    found = described.get("fill")
    return str(found) if found in FILLS else NOISE if "min_side" in described else ZERO


@dataclass(frozen=True)
class Placement:
    """Where a picture of one size lands: padded to `padded` (width, height), then brought to `outer`."""

    padded: tuple[int, int]
    outer: tuple[int, int]
    mode: str = "squash"
    fill: str = ZERO

    @property
    def inner(self) -> tuple[int, int]:
        """Width and height that the padded picture is scaled to."""
        return scaled_size(self.padded, self.outer, self.mode)

    @property
    def corner(self) -> tuple[int, int]:
        """Left and top of the scaled picture in `outer`; negative where so much of it is cut."""
        left, top = map(centre_offset, self.inner, self.outer)
        return left, top

    def picture(self, array: np.ndarray) -> np.ndarray:
        """A picture (H, W, C) in its new size, dtype kept."""
        return fitted(_padded(array, self.padded, 0), self.outer, self.mode, FILLS[self.fill])

    def mask(self, array: np.ndarray, fill: int) -> np.ndarray:
        """A map (H, W) of class numbers in its new size, by the nearest pixel; what is padded holds `fill`."""
        return fitted(_padded(array, self.padded, fill), self.outer, self.mode, fill, nearest_pixels)

    def boxes(self, corners: np.ndarray) -> np.ndarray:
        """Corners (n, 4) in pixels of the new picture, float64; they may lie outside of it."""
        scale = np.array([self.inner[0] / self.padded[0], self.inner[1] / self.padded[1]] * 2)
        return corners * scale + np.array(self.corner * 2)


@dataclass(frozen=True)
class Fit:
    """The size that all pictures of a data set get; 0 keeps a picture's own. `fill` says what pads around them."""

    width: int = 0
    height: int = 0
    mode: str = "squash"
    pad_width: int = 0
    pad_height: int = 0
    fill: str = ZERO

    def place(self, width: int, height: int) -> Placement:
        """The placement of a picture of this size. Raises LoadImageError for one that is larger than the padding."""
        padded = (self.pad_width or width, self.pad_height or height)
        if padded[0] < width or padded[1] < height:
            raise LoadImageError(
                f"It has {width}x{height} pixels, more than the padding of {padded[0]}x{padded[1]}.",
                advice="Give a larger padding, or none.",
            )
        return Placement(padded, (self.width or padded[0], self.height or padded[1]), self.mode, self.fill)

    def to_json(self) -> dict[str, Any]:
        """For `DatasetInfo.extra`, in the words of `digits.images.prepare.Preparation`, which prepares new pictures by it."""
        sizes = {"width": self.width, "height": self.height} if self.width and self.height else {}
        padding = {"padding": [self.pad_width, self.pad_height]} if self.pad_width else {}
        return {"resize_mode": self.mode, "keep_size": not sizes, "fill": self.fill, **sizes, **padding}


def _padded(array: np.ndarray, size: tuple[int, int], fill: int) -> np.ndarray:
    height, width = array.shape[:2]
    if (width, height) == size:
        return array
    out = np.full((size[1], size[0], *array.shape[2:]), fill, array.dtype)
    out[:height, :width] = array
    return out


def nearest_pixels(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Class numbers (H, W, …) at `size` (width, height), dtype kept."""
    height, width = array.shape[:2]
    if (width, height) == size:
        return array
    return array[nearest(height, size[1])[:, None], nearest(width, size[0])]
