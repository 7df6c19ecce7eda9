"""Pixel modes: whatever Pillow reads as 8 bits, grey or RGB. Reached through `digits.utils.image`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from digits.errors import LoadImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NOT_EIGHT_BITS = "Here a picture of 8 bits a channel is needed: scale its values to 0 to 255 and save it as PNG."

Picture = Image.Image


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


def _on_white(image: Picture) -> Picture:
    canvas = Image.new("RGBA", image.size, (255, 255, 255, 255))
    canvas.alpha_composite(image)
    return canvas


def _upper_bits(image: Picture, name: str) -> Picture:
    values = np.asarray(image)
    if values.size and (values.min() < 0 or values.max() > 0xFFFF):
        raise LoadImageError(f"{name} has whole numbers from {values.min()} to {values.max()}.", advice=NOT_EIGHT_BITS)
    return Image.fromarray((values.astype(np.uint16) >> 8).astype(np.uint8))
