"""The rules of resizing: which pixel modes, how large, how scaled, which pixel is the nearest, what is cut and what is padded.

Holds: 8-bit grey and RGB are scaled as Pillow scales pictures, everything else plane by plane in float32; both bilinear. Whatever
resizes (data sets, requests to models, records of other data sets, archives) calls this, through `digits.utils.image` or
`digits.images`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from digits.errors import LoadImageError
from digits.utils.constants import RESIZE_MODE_TITLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESIZE_MODES = tuple(RESIZE_MODE_TITLES)
NOT_EIGHT_BITS = "Here a picture of 8 bits a channel is needed: scale its values to 0 to 255 and save it as PNG."
LARGEST_SCALED = 1 << 25  # pixels; beyond that a very long picture is cut before it is scaled

Picture = Image.Image


def resize_image(
    image: Picture | NDArray[Any],
    height: int,
    width: int,
    channels: int | None = None,
    resize_mode: str | None = None,
    fill: int | None = None,
) -> NDArray[np.uint8]:
    """Bring a picture to `height` × `width`: uint8 (H, W) for one channel, (H, W, 3) for three.

    `channels` None keeps those of the source. `resize_mode`: `squash` (default) scales both axes on their own, `crop` covers
    the target and cuts the centre, `fill` fits inside and pads, `half_crop` scales by the mean of both ratios, then cuts one
    axis and pads the other. What is padded holds `fill`, or noise (None), which depends on the size alone, so results repeat.
    Bilinear; a picture of the right size is returned untouched. Raises ValueError for arguments that make no sense.
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
    return cut_and_pad(np.asarray(scaled), height, width, fill)


def fitted(
    array: NDArray[Any],
    size: tuple[int, int],
    mode: str,
    fill: int | None = None,
    scale: Callable[[NDArray[Any], tuple[int, int]], NDArray[Any]] | None = None,
) -> NDArray[Any]:
    """(H, W, …) at `size` (width, height) by a mode, dtype kept: what `resize_image` does, for arrays of any kind.

    `scale` brings an array to a size: `scaled` by default, for (H, W, C).
    """
    if array.shape[:2] == (size[1], size[0]):
        return array
    box = centre_box((array.shape[1], array.shape[0]), size, mode)
    array = array if box is None else array[box[1] : box[3], box[0] : box[2]]
    array = (scale or scaled)(array, scaled_size((array.shape[1], array.shape[0]), size, mode))
    return cut_and_pad(array, size[1], size[0], fill)


UNUSED_ALPHA = frozenset({"TGA", "BMP", "DIB"})  # formats whose fourth byte many programs leave at 0, and mean no transparency


def eight_bits(image: Picture, name: str) -> Picture:
    """The picture in mode `L` or `RGB`, what is transparent on white. Raises LoadImageError where that loses its meaning."""
    mode = image.mode
    if mode in ("L", "RGB"):  # a PNG or GIF may say that one grey value or colour is transparent
        return _on_white(image.convert("RGBA")).convert(mode) if "transparency" in image.info else image
    if mode == "1":
        return image.convert("L")
    if mode in ("P", "PA"):
        return _on_white(image.convert("RGBA")).convert("RGB")
    if mode in ("LA", "La"):
        return _on_white(image.convert("RGBA")).convert("L")
    if mode == "RGBA" and image.format in UNUSED_ALPHA and image.getchannel("A").getextrema() == (0, 0):
        return image.convert("RGB")
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


def centre_start(spare: Any) -> Any:
    """Where the middle begins, `spare` places being more than it needs: a whole number or an array of them, from 0 on.

    Of an odd number the one too many is behind the middle.
    """
    return spare // 2


def centre_offset(have: int, want: int) -> int:
    """Where a row of `have` pixels begins in the middle of one of `want`; negative where so many are cut in front."""
    return int(centre_start(want - have) if have <= want else -centre_start(have - want))


def centre_part(array: Any, size: tuple[int, int]) -> Any | None:
    """The middle (…, h, w) of an array (…, H, W), NumPy's or a tensor; None where it is smaller than `size` (h, w)."""
    y, x = array.shape[-2] - size[0], array.shape[-1] - size[1]
    if min(y, x) < 0:
        return None
    y, x = centre_start(y), centre_start(x)
    return array[..., y : y + size[0], x : x + size[1]]


def centre_box(size: tuple[int, int], target: tuple[int, int], mode: str) -> tuple[int, int, int, int] | None:
    """The part (left, top, right, bottom) of a very long picture that `crop` needs; None where the whole may be scaled.

    A picture of 1×30,000 pixels that covers 256×256 would have two thousand million pixels before it is cut.
    """
    if mode != "crop" or math.prod(scaled_size(size, target, mode)) <= LARGEST_SCALED:
        return None
    ratio = min(size[0] / target[0], size[1] / target[1])
    kept = [min(side, math.ceil(goal * ratio) + 2) for side, goal in zip(size, target, strict=True)]
    left, top = (centre_start(have - want) for have, want in zip(size, kept, strict=True))
    return left, top, left + kept[0], top + kept[1]


def cut_and_pad(array: NDArray[Any], height: int, width: int, fill: int | None = None) -> NDArray[Any]:
    """The middle of (H, W, …) as (height, width, …), dtype kept; what lies around it holds `fill`, or noise (None)."""
    top, left = centre_offset(array.shape[0], height), centre_offset(array.shape[1], width)
    centre = array[max(0, -top) :, max(0, -left) :][:height, :width]
    if centre.shape[:2] == (height, width):
        return np.ascontiguousarray(centre)
    shape = (height, width, *array.shape[2:])
    result = _noise(array, shape) if fill is None else np.full(shape, fill, array.dtype)
    top, left = max(0, top), max(0, left)
    result[top : top + centre.shape[0], left : left + centre.shape[1]] = centre
    return result


def _noise(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Noise for a picture: of all values that 8-bit grey and RGB have, else between the smallest and largest of `array`."""
    if array.ndim == 2 or is_eight_bit(array):
        return _noise_bytes(*(shape[:2] if shape[2:] == (1,) else shape)).reshape(shape).copy()
    low, high = float(array.min()), float(array.max())
    parts = np.random.default_rng(shape[:2]).random(shape)
    return as_type(low + parts * (high - low), array.dtype)


@functools.lru_cache(maxsize=8)
def _noise_bytes(*shape: int) -> NDArray[np.uint8]:
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
