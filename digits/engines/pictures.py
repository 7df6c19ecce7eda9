"""From a picture file to the feature a network expects: the way the data set prepared its own pictures, taken from the snapshot.

`meta["image"]` is the data set's preparation (`channels`, `height`, `width`, `resize_mode`, `keep_size`), `meta["preparation"]`
what the network does to a feature. Features are (C, H, W) in the units and dtype of the records.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from digits.errors import DataError, LoadImageError
from digits.utils.image import load_array, load_image, resize_image


def prepare(source: Path | bytes, meta: Mapping[str, Any], *, dont_resize: bool = False) -> np.ndarray:
    """The feature (C, H, W) of a picture file. Raises LoadImageError for what cannot be read, DataError for what does not fit.

    With `dont_resize` the picture keeps its size; its channels are brought to those of the data set all the same.
    """
    channels = int(meta["input_shape"][0])
    if _dtype(meta) == np.uint8 and channels in (1, 3):
        return _prepare_picture(source, meta, channels, dont_resize)
    return check_feature(_load_values(source, meta), meta, dont_resize=dont_resize)


def check_feature(feature: np.ndarray, meta: Mapping[str, Any], *, dont_resize: bool = False) -> np.ndarray:
    """`feature` itself when the network can take it. Raises DataError saying what does not fit."""
    wanted = tuple(int(n) for n in meta["input_shape"])
    stored = tuple(int(n) for n in meta.get("stored_shape") or wanted)
    if feature.ndim != 3 or feature.shape[0] != wanted[0]:
        raise DataError(f"The picture has the shape {feature.shape}; (C, H, W) with {wanted[0]} channel(s) is needed.")
    fits = feature.shape[1] >= wanted[1] and feature.shape[2] >= wanted[2] if dont_resize or _keeps_size(meta) else False
    if not fits and feature.shape != stored:
        raise DataError(
            f"The picture is {feature.shape[2]}×{feature.shape[1]}; the network was trained on {stored[2]}×{stored[1]}.",
            advice="Resize it first, or choose a network that takes any size.",
        )
    return feature


def _prepare_picture(source: Path | bytes, meta: Mapping[str, Any], channels: int, dont_resize: bool) -> np.ndarray:
    image = load_image(source)
    width, height, mode = image.width, image.height, None
    if not dont_resize:
        width, height, mode = _target(image.width, image.height, meta)
    array = resize_image(image, height, width, channels, mode)
    return array[np.newaxis] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def _target(width: int, height: int, meta: Mapping[str, Any]) -> tuple[int, int, str | None]:
    """Width, height and resize mode for a picture of `width` × `height`; pictures smaller than the crop are enlarged."""
    how = meta.get("image") or {}
    if not _keeps_size(meta) and how.get("width") and how.get("height"):
        return int(how["width"]), int(how["height"]), how.get("resize_mode")
    _, least_height, least_width = (int(n) for n in meta["input_shape"])
    scale = max(1.0, least_width / width, least_height / height)
    return max(least_width, round(width * scale)), max(least_height, round(height * scale)), "squash"


def _load_values(source: Path | bytes, meta: Mapping[str, Any]) -> np.ndarray:
    """Values as the file holds them, (C, H, W), in the dtype of the records."""
    if isinstance(source, bytes):
        raise LoadImageError(
            f"The model works on {_dtype(meta)} values of {meta['input_shape'][0]} channel(s), not on ordinary pictures.",
            advice="Give the path of a TIFF, PNG or .npy file on the server instead of an upload.",
        )
    array = load_array(source)
    array = array[np.newaxis] if array.ndim == 2 else array.transpose(2, 0, 1)
    return np.ascontiguousarray(array, dtype=_dtype(meta))


def _keeps_size(meta: Mapping[str, Any]) -> bool:
    return bool((meta.get("image") or {}).get("keep_size"))


def _dtype(meta: Mapping[str, Any]) -> np.dtype:
    return np.dtype(str((meta.get("preparation") or {}).get("dtype", "uint8")))
