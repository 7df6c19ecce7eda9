"""Arrays of pictures: channels, sizes and types of what is no 8-bit grey or RGB, and which make one batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from digits.errors import LoadImageError
from digits.utils.resizing import as_type, fitted

FLOAT_BYTES = 4  # floating-point numbers of at least so many bytes hold what a picture or a measurement says
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as Pillow converts RGB to grey


def becomes(dtype: np.dtype, wanted: np.dtype) -> bool:
    """Whether values of one type keep their meaning in another: in a wider one, and in floating-point numbers of 32 bits or
    more."""
    floats = dtype.kind == wanted.kind == "f" and wanted.itemsize >= FLOAT_BYTES
    return floats or bool(np.can_cast(dtype, wanted, "safe"))


def widened(array: np.ndarray, wanted: np.dtype) -> tuple[np.ndarray, str]:
    """A picture (any shape) in a type that holds its values, unscaled, as a data set takes one that differs from most; and what
    was done, in words (empty: nothing). Raises LoadImageError where the type does not hold them."""
    if array.dtype == wanted:
        return array, ""
    with np.errstate(over="ignore"):
        found = array.astype(wanted) if becomes(array.dtype, wanted) else None
    if found is None or (wanted.kind == "f" and not np.array_equal(np.isfinite(found), np.isfinite(array))):
        raise LoadImageError(
            f"It holds {array.dtype} values, the data set {wanted}.",
            advice=f"Save it as {wanted} in the units of the data set: numpy.save('picture.npy', values.astype('{wanted}')).",
        )
    return found, f"It is of the type {array.dtype}, taken as {wanted} with its values unscaled."


def with_channels(array: np.ndarray, channels: int) -> np.ndarray:
    """A picture (H, W) or (H, W, C) as (H, W, channels), dtype kept; grey and RGB are converted into each other, 0 keeps what is
    there.

    Raises LoadImageError for any other difference.
    """
    array = array[:, :, np.newaxis] if array.ndim == 2 else array
    found = array.shape[2]
    if channels in (0, found):
        return array
    if found == 1 and channels == 3:
        return np.repeat(array, 3, axis=2)
    if found >= 3 and channels == 1 and found <= 4:
        return as_type(array[:, :, :3] @ LUMA, array.dtype)[:, :, np.newaxis]
    raise LoadImageError(f"It has {found} channels, {channels} are needed.", advice="Choose colour `as in the source`.")


def over_pictures(values: np.ndarray, pictures: int) -> np.ndarray:
    """Means, or sums, of channels (C, …) where `pictures` of one kind lie one after the other in the channels of a record: for
    each of them what is the mean over all."""
    if pictures == 1:
        return values
    parts = values.reshape(pictures, -1, *values.shape[1:])
    return np.tile(parts.mean(axis=0), (pictures, *[1] * (values.ndim - 1)))


def groups_of_shape(arrays: Iterable[np.ndarray]) -> list[list[int]]:
    """The numbers of the arrays that make one batch each: those of equal shape, (C, H, W) or another, and equal dtype, in
    their order."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for number, array in enumerate(arrays):
        groups.setdefault((array.shape, array.dtype.str), []).append(number)
    return list(groups.values())


def resize_array(array: np.ndarray, height: int, width: int, mode: str = "squash", fill: int | None = None) -> np.ndarray:
    """A picture (H, W, C) to (height, width, C), dtype kept, as `digits.utils.image.resize_image` does it for uint8 grey and RGB.

    What is padded holds `fill`; None: noise, between the smallest and largest value of other pictures.
    """
    return fitted(array, (width, height), mode, fill)
