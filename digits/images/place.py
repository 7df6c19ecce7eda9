"""Brings a picture, and the mask or boxes that belong to it, to the size of the data set by one rule.

First the picture is padded at the right and at the bottom (`pad_width` × `pad_height`, 0: not at all), then scaled: `squash`
scales each axis on its own, `fill` fits the picture inside and pads around it, `crop` covers the target and cuts the centre.
Pictures are (H, W, C) with their type kept, masks (H, W), boxes (n, 4) of x0, y0, x1, y1 in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from digits.errors import LoadImageError
from digits.utils.resizing import centre_box, centre_offset, nearest, scaled, scaled_size


@dataclass(frozen=True)
class Placement:
    """Where a picture of one size lands: scaled to `inner` (width, height), its corner at (`left`, `top`) of `outer`."""

    padded: tuple[int, int]
    inner: tuple[int, int]
    outer: tuple[int, int]
    left: int = 0
    top: int = 0

    def picture(self, array: np.ndarray, fill: int = 0) -> np.ndarray:
        """A picture (H, W, C) in its new size, dtype kept; what is padded holds `fill`."""
        return self._resized(_padded(array, self.padded, fill), scaled, fill)

    def mask(self, array: np.ndarray, fill: int) -> np.ndarray:
        """A map (H, W) of class numbers in its new size, by the nearest pixel; what is padded holds `fill`."""
        return self._resized(_padded(array, self.padded, fill), nearest_pixels, fill)

    def boxes(self, corners: np.ndarray) -> np.ndarray:
        """Corners (n, 4) in pixels of the new picture, float64; they may lie outside of it."""
        scale = np.array([self.inner[0] / self.padded[0], self.inner[1] / self.padded[1]] * 2)
        return corners * scale + np.array([self.left, self.top] * 2)

    def _resized(self, array: np.ndarray, resize: Callable[[np.ndarray, tuple[int, int]], np.ndarray], fill: int) -> np.ndarray:
        """Scaled and placed; a very long picture that covers the target is cut before it is scaled, not after."""
        covers = self.inner != self.outer and all(a >= b for a, b in zip(self.inner, self.outer, strict=True))
        box = centre_box(self.padded, self.outer, "crop") if covers else None
        if box is None:
            return self._placed(resize(array, self.inner), fill)
        part = array[box[1] : box[3], box[0] : box[2]]
        part = resize(part, scaled_size((part.shape[1], part.shape[0]), self.outer, "crop"))
        left, top = map(centre_offset, (part.shape[1], part.shape[0]), self.outer)
        return part[-top : self.outer[1] - top, -left : self.outer[0] - left]

    def _placed(self, array: np.ndarray, fill: int) -> np.ndarray:
        if self.inner == self.outer:
            return array
        width, height = self.outer
        out = np.full((height, width, *array.shape[2:]), fill, array.dtype)
        x, y = max(0, self.left), max(0, self.top)
        part = array[max(0, -self.top) :, max(0, -self.left) :][: height - y, : width - x]
        out[y : y + part.shape[0], x : x + part.shape[1]] = part
        return out


@dataclass(frozen=True)
class Fit:
    """The size that all pictures of a data set get; 0 keeps a picture's own."""

    width: int = 0
    height: int = 0
    mode: str = "squash"
    pad_width: int = 0
    pad_height: int = 0

    def place(self, width: int, height: int) -> Placement:
        """The placement of a picture of this size. Raises LoadImageError for one that is larger than the padding."""
        padded = (self.pad_width or width, self.pad_height or height)
        if padded[0] < width or padded[1] < height:
            raise LoadImageError(
                f"It has {width}x{height} pixels, more than the padding of {padded[0]}x{padded[1]}.",
                advice="Give a larger padding, or none.",
            )
        outer = (self.width or padded[0], self.height or padded[1])
        inner = scaled_size(padded, outer, self.mode)
        return Placement(padded, inner, outer, *map(centre_offset, inner, outer))

    def to_json(self) -> dict[str, Any]:
        """For `DatasetInfo.extra`, in the words of the classification sources."""
        sizes = {"width": self.width, "height": self.height} if self.width and self.height else {}
        padding = {"padding": [self.pad_width, self.pad_height]} if self.pad_width else {}
        return {"resize_mode": self.mode, "keep_size": not sizes, **sizes, **padding}


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
