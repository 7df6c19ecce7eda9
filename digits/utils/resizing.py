"""The rules of resizing: which pixel modes, how large, how scaled, which pixel is the nearest, what is cut and what is padded.

Holds: 8-bit grey and RGB are scaled as Pillow scales pictures, everything else plane by plane in float32; both bilinear. Whatever
resizes (data sets, requests to models, records of other data sets, archives) calls this, through `digits.utils.image` or
`digits.images`.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from digits.errors import LoadImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESIZE_MODES = ("crop", "squash", "fill", "half_crop")
NOT_EIGHT_BITS = "Here a picture of 8 bits a channel is needed: scale its values to 0 to 255 and save it as PNG."
LARGEST_SCALED = 1 << 25  # pixels; beyond that a very long picture is cut before it is scaled

Picture = Image.Image


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


def eight_bits(image: Picture, name: str) -> Picture:
    """The picture in mode `L` or `RGB`, what is transparent on white. Raises LoadImageError where that loses its meaning."""
    mode = image.mode
    if mode in ("L", "RGB"):
        return image
    if mode == "1":
        return image.convert("L")
    if mode in ("P", "PA"):
        return _on_white(image.convert("RGBA")).convert("RGB")
    if mode in ("LA", "La"):
        return _on_white(image.convert("RGBA")).convert("L")
    if mode in ("RGBA", "RGBa"):
        return _on_white(image.convert("RGBA")).convert("RGB")
    if mode in ("CMYK", "YCbCr", "LAB", "HSV", "RGBX"):
        return image.convert("RGB")
    if mode.startswith("I"):
        return _upper_bits(image, name)
    raise LoadImageError(f"{name} has pixels of mode {mode}.", advice=NOT_EIGHT_BITS)


def as_picture(image: Picture | NDArray[Any]) -> Picture:
    """A picture or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) in mode `L` or `RGB`. Raises ValueError for others."""
    if isinstance(image, Image.Image):
        return image if image.mode in ("L", "RGB") else eight_bits(image, "The picture")
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ValueError(f"the array's shape is {array.shape}, expected (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)")
    if array.dtype != np.uint8:
        array = array.clip(0, 255).astype(np.uint8)
    return eight_bits(Image.fromarray(np.ascontiguousarray(array)), "The array")


def with_channels(picture: Picture, channels: int | None) -> Picture:
    """The picture with 1 or 3 channels; None keeps those it has."""
    modes = {None: picture.mode, 1: "L", 3: "RGB"}
    if channels not in modes:
        raise ValueError(f"channels is {channels!r}, expected 1, 3 or None")
    return picture if picture.mode == modes[channels] else picture.convert(modes[channels])


def is_eight_bit(array: NDArray[Any]) -> bool:
    """Whether (H, W, C) is a picture as screens show it: uint8 grey or RGB."""
    return array.dtype == np.uint8 and array.shape[2] in (1, 3)


def scaled(array: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """(H, W, C) scaled to `size` (width, height), dtype kept, whole numbers rounded."""
    if array.shape[:2] == (size[1], size[0]):
        return array
    if is_eight_bit(array):
        plain = array[:, :, 0] if array.shape[2] == 1 else np.ascontiguousarray(array)
        return np.asarray(Image.fromarray(plain).resize(size, Image.Resampling.BILINEAR)).reshape(size[1], size[0], -1)
    planes = [array[:, :, channel].astype(np.float32) for channel in range(array.shape[2])]
    found = [np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR)) for plane in planes]
    return as_type(np.stack(found, axis=2), array.dtype)


def as_type(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """`values` (any shape) as `dtype`; whole numbers rounded and kept within its limits."""
    if dtype.kind in "ui":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(dtype)


def nearest(used: int, wanted: int) -> NDArray[np.int64]:
    """Which of `used` places in a row is the nearest to each of `wanted`: int64 (wanted,), computed without rounding."""
    return (2 * np.arange(wanted, dtype=np.int64) + 1) * used // (2 * wanted)


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


def centre_offset(have: int, want: int) -> int:
    """Where a row of `have` pixels begins in the middle of one of `want`; negative where so many are cut in front.

    Of an odd number of pixels the one too many is padded, or cut, behind.
    """
    return (want - have) // 2 if have <= want else -((have - want) // 2)


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
    top, left = centre_offset(array.shape[0], height), centre_offset(array.shape[1], width)
    centre = array[max(0, -top) :, max(0, -left) :][:height, :width]
    if centre.shape[:2] == (height, width):
        return np.ascontiguousarray(centre)
    result = _noise(height, width, *array.shape[2:]).copy()
    top, left = max(0, top), max(0, left)
    result[top : top + centre.shape[0], left : left + centre.shape[1]] = centre
    return result


@functools.lru_cache(maxsize=8)
def _noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(shape).integers(0, 256, shape, np.uint8)


def _on_white(image: Picture) -> Picture:
    canvas = Image.new("RGBA", image.size, (255, 255, 255, 255))
    canvas.alpha_composite(image)
    return canvas


def _upper_bits(image: Picture, name: str) -> Picture:
    values = np.asarray(image)
    if values.size and (values.min() < 0 or values.max() > 0xFFFF):
        raise LoadImageError(f"{name} has whole numbers from {values.min()} to {values.max()}.", advice=NOT_EIGHT_BITS)
    return Image.fromarray((values.astype(np.uint16) >> 8).astype(np.uint8))
