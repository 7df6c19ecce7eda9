"""Brings a picture, and the mask or boxes that belong to it, to the size of the data set by one rule.

First the picture is padded at the right and at the bottom (`pad_width` × `pad_height`, 0: not at all), then scaled: `squash`
scales each axis on its own, `fill` fits the picture inside and pads around it, `crop` covers the target and cuts the centre,
`half_crop` does half of both. Pictures are (H, W, C) with their type kept, masks (H, W), boxes (n, 4) of x0, y0, x1, y1 in
pixels.

What is padded around a picture is said by its data set (`fill` in `DatasetInfo.extra`), and the same for every picture that a
model of it gets later: noise where a picture is classified as a whole, so that a network cannot learn the padding by heart; 0
where labels lie over the picture or are measured in it. `fill_of` reads it.

`Origin` is the way back: what a network finds in a picture that was brought to a size, in the pixels of the given picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from digits.errors import LoadImageError
from digits.utils.resizing import centre_offset, centre_start, fitted, nearest, scaled, scaled_size

NOISE, ZERO = "noise", "zero"
FILLS: dict[str, int | None] = {NOISE: None, ZERO: 0}  # as `digits.utils.resizing` takes them


def fill_of(described: Mapping[str, Any]) -> str:
    """What pads the pictures of a data set, by its `DatasetInfo.extra`.

    Those made before `fill` was recorded: noise for the classification sources, which alone recorded `min_side`, else 0.
    """
    found = described.get("fill")
    return str(found) if found in FILLS else NOISE if "min_side" in described else ZERO


Pair = tuple[float, float]  # of x and y
EXACT = 1e-9  # of a pixel: less than that is no distance


@dataclass(frozen=True)
class Origin:
    """Where what was prepared comes from: a point at x of it lies at `(x − offset) · scale` of the given picture; y alike.

    `size` (width, height) is the given picture's, `prepared` that of what was made of it.
    """

    size: tuple[int, int]
    prepared: tuple[int, int]
    scale: Pair = (1.0, 1.0)
    offset: Pair = (0.0, 0.0)

    @classmethod
    def of_squashed(cls, size: tuple[int, int], prepared: tuple[int, int]) -> Origin:
        """Of a picture of `size`, each axis of which was scaled on its own."""
        return cls(size, prepared, (size[0] / prepared[0], size[1] / prepared[1]))

    @classmethod
    def of_numbers(cls, numbers: Sequence[float]) -> Origin:
        """From `numbers`."""
        width, height, prepared_width, prepared_height, *rest = numbers
        sizes = (int(width), int(height)), (int(prepared_width), int(prepared_height))
        return cls(*sizes, (rest[0], rest[1]), (rest[2], rest[3]))

    @property
    def numbers(self) -> list[float]:
        """The eight numbers of size, size of what was prepared, scale and offset, each as x and y."""
        return [*self.size, *self.prepared, *self.scale, *self.offset]

    def after(self, first: Origin) -> Origin:
        """The origin of what was prepared twice: `first`, and then as this one says."""
        scale = (self.scale[0] * first.scale[0], self.scale[1] * first.scale[1])
        offset = (self.offset[0] + first.offset[0] / self.scale[0], self.offset[1] + first.offset[1] / self.scale[1])
        return Origin(first.size, self.prepared, scale, offset)

    def of_middle(self, height: int, width: int) -> Origin:
        """The origin of the middle of what was prepared."""
        left, top = (int(centre_start(have - want)) for have, want in zip(self.prepared, (width, height), strict=True))
        return Origin(self.size, (width, height), self.scale, (self.offset[0] - left, self.offset[1] - top))

    def boxes(self, rows: np.ndarray) -> np.ndarray:
        """Rows (n, 6) or (n, 4) that begin with left, top, right, bottom in pixels of what was prepared; dtype kept."""
        found = np.array(rows)
        scale, offset = np.array(self.scale * 2), np.array(self.offset * 2)
        found[:, :4] = (rows[:, :4] - offset) * scale
        return found

    def mask(self, classes: np.ndarray, fill: int) -> np.ndarray:
        """Class numbers (h, w) of what was prepared at the size of the given picture, (H, W), by the nearest pixel; what was cut
        off holds `fill`."""
        rows, columns = (self._nearest(axis) for axis in (1, 0))
        seen = ((rows >= 0) & (rows < classes.shape[0]))[:, None] & ((columns >= 0) & (columns < classes.shape[1]))
        rows, columns = rows.clip(0, classes.shape[0] - 1), columns.clip(0, classes.shape[1] - 1)
        return np.where(seen, classes[rows[:, None], columns], np.array(fill, classes.dtype))

    def picture(self, array: np.ndarray) -> np.ndarray:
        """A picture (C, h, w) of what was prepared at the size of the given one, (C, H, W), dtype kept; what was cut off is 0."""
        (left, right, x0, x1), (top, bottom, y0, y1) = (self._part(axis) for axis in (0, 1))
        out = np.zeros((array.shape[0], self.size[1], self.size[0]), array.dtype)
        part = array[:, top:bottom, left:right].transpose(1, 2, 0)
        out[:, y0:y1, x0:x1] = scaled(part, (x1 - x0, y1 - y0)).transpose(2, 0, 1)
        return out

    def _nearest(self, axis: int) -> np.ndarray:
        """The place in what was prepared of each place of the given picture's axis, int64; it may lie outside."""
        centres = (np.arange(self.size[axis]) + 0.5) / self.scale[axis] + self.offset[axis]
        return np.floor(centres + EXACT).astype(np.int64)

    def _part(self, axis: int) -> tuple[int, int, int, int]:
        """Begin and end of the picture in what was prepared, and of that part in the picture, whole and at least 1 long."""
        size, prepared, scale, offset = self.size[axis], self.prepared[axis], self.scale[axis], self.offset[axis]
        first = min(max(0, round(offset)), prepared - 1)
        last = max(first + 1, min(prepared, round(offset + size / scale)))
        begin = min(max(0, round((first - offset) * scale)), size - 1)
        return first, last, begin, max(begin + 1, min(size, round((last - offset) * scale)))


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

    def origin(self, width: int, height: int) -> Origin:
        """The way back to the picture of that size, for which this is the placement."""
        scale = (self.padded[0] / self.inner[0], self.padded[1] / self.inner[1])
        return Origin((width, height), self.outer, scale, self.corner)


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
