"""Resizing by the four modes of the data set form. Reached through `digits.utils.image`."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from digits.utils.modes import Picture, as_picture, with_channels

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESIZE_MODES = ("crop", "squash", "fill", "half_crop")
LARGEST_SCALED = 1 << 25  # pixels; beyond that a very long picture is cut before it is scaled


def resize_image(
    image: Picture | NDArray[Any],
    height: int,
    width: int,
    channels: int | None = None,
    resize_mode: str | None = None,
) -> NDArray[np.uint8]:
    """Bring a picture to `height` × `width`: uint8 (H, W) for one channel, (H, W, 3) for three.

    `channels` None keeps those of the source. `resize_mode`: `squash` (default) scales both axes on their own, `crop` covers
    the target and cuts the centre, `fill` fits inside and pads with noise, `half_crop` scales by the mean of both ratios,
    then cuts one axis and pads the other. The noise depends on the size alone, so results repeat. Bilinear; a picture of
    the right size is returned untouched. Raises ValueError for arguments that make no sense.
    """
    mode = resize_mode or "squash"
    if mode not in RESIZE_MODES:
        raise ValueError(f"resize_mode is {resize_mode!r}, expected one of {', '.join(RESIZE_MODES)}")
    if height < 1 or width < 1:
        raise ValueError(f"the target is {width}x{height} pixels, at least 1x1 is needed")
    picture = with_channels(as_picture(image), channels)
    if picture.size == (width, height):
        return np.asarray(picture).copy()
    box = centre_box(picture.size, (width, height), mode)
    picture = picture if box is None else picture.crop(box)
    scaled = picture.resize(scaled_size(picture.size, (width, height), mode), Image.Resampling.BILINEAR)
    return _cut_and_pad(np.asarray(scaled), height, width)


def scaled_size(size: tuple[int, int], target: tuple[int, int], mode: str) -> tuple[int, int]:
    """Size (width, height) to scale to before cutting and padding."""
    ratios = (size[0] / target[0], size[1] / target[1])
    if mode == "squash" or ratios[0] == ratios[1]:
        return target
    ratio = {"crop": min(ratios), "fill": max(ratios), "half_crop": sum(ratios) / 2}[mode]
    width, height = (max(1, round(side / ratio)) for side in size)
    if mode == "crop":
        return max(width, target[0]), max(height, target[1])
    if mode == "fill":
        return min(width, target[0]), min(height, target[1])
    return width, height


def centre_box(size: tuple[int, int], target: tuple[int, int], mode: str) -> tuple[int, int, int, int] | None:
    """The part (left, top, right, bottom) of a very long picture that `crop` needs; None where the whole may be scaled.

    A picture of 1×30,000 pixels that covers 256×256 would have two thousand million pixels before it is cut.
    """
    if mode != "crop" or math.prod(scaled_size(size, target, mode)) <= LARGEST_SCALED:
        return None
    ratio = min(size[0] / target[0], size[1] / target[1])
    kept = [min(side, math.ceil(goal * ratio) + 2) for side, goal in zip(size, target, strict=True)]
    left, top = (size[0] - kept[0]) // 2, (size[1] - kept[1]) // 2
    return left, top, left + kept[0], top + kept[1]


def _cut_and_pad(array: NDArray[Any], height: int, width: int) -> NDArray[np.uint8]:
    top, left = max(0, (array.shape[0] - height) // 2), max(0, (array.shape[1] - width) // 2)
    centre = array[top : top + height, left : left + width]
    if centre.shape[:2] == (height, width):
        return np.ascontiguousarray(centre)
    result = _noise(height, width, *array.shape[2:]).copy()
    top, left = (height - centre.shape[0]) // 2, (width - centre.shape[1]) // 2
    result[top : top + centre.shape[0], left : left + centre.shape[1]] = centre
    return result


@functools.lru_cache(maxsize=8)
def _noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(shape).integers(0, 256, shape, np.uint8)
