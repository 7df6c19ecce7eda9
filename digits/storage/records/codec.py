"""Pictures as bytes: how a C,H,W array becomes png or jpg and back. Pillow only, because the web server reads records too."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from digits.errors import StorageError

ENCODINGS = ("none", "png", "jpg")
JPEG_QUALITY = 90  # where a data set does not say another
# Of photos, run lengths alone take a fifth less time and a tenth fewer bytes than zlib's quickest search for repetitions;
# larger levels cost several times the time for a few percent of the bytes.
PNG_OPTIONS = {"compress_level": 1, "compress_type": zlib.Z_RLE}


def can_encode(dtype: np.dtype, channels: int, encoding: str) -> bool:
    """Whether `encoding` keeps the depth: png and jpg take uint8 of 1 or 3 channels, png also uint16 of 1."""
    if encoding == "none":
        return True
    if dtype == np.uint8:
        return channels in (1, 3)
    return encoding == "png" and dtype == np.uint16 and channels == 1


def encode(array: np.ndarray, encoding: str, quality: int = JPEG_QUALITY) -> bytes:
    """The bytes of a (C, H, W) array as `png` (lossless) or `jpg`. Raises StorageError for what they cannot hold."""
    if array.ndim != 3 or not can_encode(array.dtype, array.shape[0], encoding) or encoding == "none":
        raise StorageError(f"An array of shape {array.shape} and type {array.dtype} cannot be stored as {encoding}.")
    picture = Image.fromarray(array[0] if array.shape[0] == 1 else np.ascontiguousarray(array.transpose(1, 2, 0)))
    out = io.BytesIO()
    if encoding == "png":
        picture.save(out, "PNG", **PNG_OPTIONS)
    else:
        picture.save(out, "JPEG", quality=quality, subsampling=0)
    return out.getvalue()


def decode(data: bytes | memoryview) -> np.ndarray:
    """The (C, H, W) array behind png or jpg bytes: uint8, or uint16 for a 16-bit png."""
    with Image.open(io.BytesIO(data)) as picture:
        array = np.asarray(picture)
    if array.dtype == np.int32:
        array = array.astype(np.uint16)
    return array[np.newaxis] if array.ndim == 2 else np.ascontiguousarray(array.transpose(2, 0, 1))


def encoding_of(described: Mapping[str, Any]) -> tuple[str, int]:
    """How the features of a data set are encoded, by its `DatasetInfo.extra`, and the quality of `jpg`."""
    return str(described.get("feature_encoding") or "none"), int(described.get("jpeg_quality") or JPEG_QUALITY)


def as_stored(array: np.ndarray, encoding: str, quality: int = JPEG_QUALITY) -> np.ndarray:
    """What records of an encoding give back of a feature (C, H, W): what `jpg` leaves of it, otherwise the feature itself."""
    compressed = encoding == "jpg" and can_encode(array.dtype, array.shape[0], encoding)
    return decode(encode(array, encoding, quality)) if compressed else array
