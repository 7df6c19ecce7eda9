"""Reading a picture for a task: type kept where it is wider than 8 bits, channels converted as the form says."""

from __future__ import annotations

import hashlib

import numpy as np

from digits.errors import LoadImageError
from digits.images.arrays import with_channels
from digits.images.prepare import DIGEST_BYTES, NamedBytes, read_format
from digits.utils.confinement import read_file
from digits.utils.image import load_described
from digits.utils.stored import read_stored

Notes = list[tuple[str, str]]  # kind and reason of what is said of a record
TIFF_ENDINGS = (".tif", ".tiff")
CONVERSIONS = {"none": 0, "RGB": 3, "L": 1}


def read_picture(path: str, conversion: str) -> np.ndarray:
    """A file as (H, W, C): uint8 grey or RGB, or the stored type where that is wider. Raises LoadImageError naming the file."""
    return read_turned(path, conversion)[0]


def read_turned(path: str, conversion: str) -> tuple[np.ndarray, int]:
    """A file as (H, W, C), of the type that `read_picture` says, and the orientation (1 to 8, as EXIF counts) that it was turned
    from."""
    wanted = CONVERSIONS[conversion]
    found = read_format(path)
    if found is not None and found.is_wide:
        try:
            stored = read_stored(path)
            return with_channels(stored.picture, wanted), stored.orientation
        except LoadImageError as error:
            raise LoadImageError(f"{path}: {error.message}", advice=error.advice) from error
    image, orientation, _ = load_described(NamedBytes(read_bytes(path), path))
    if wanted:
        image = image.convert("RGB" if wanted == 3 else "L")
    array = np.asarray(image)
    return (array[:, :, np.newaxis] if array.ndim == 2 else array), orientation


def remarks(path: str) -> Notes:
    """What there is to say of a picture that was read: a TIFF has more pages than the one that is read."""
    if not path.lower().endswith(TIFF_ENDINGS):
        return []
    header = read_format(path)
    if header is None or header.pages == 1:
        return []
    return [("note", f"It has {header.pages} pages, of which the first is read. Save each as a file of its own to have all.")]


def read_bytes(path: str) -> bytes:
    """The bytes of a file that is not empty. Raises LoadImageError."""
    try:
        data = read_file(path)
    except OSError as error:
        raise LoadImageError(f"{path} cannot be opened: {error.strerror or error}.") from error
    if not data:
        raise LoadImageError(f"{path} is an empty file (0 bytes).")
    return data


def digest_of(path: str) -> bytes:
    """16 bytes that are equal for exact copies of a file."""
    return hashlib.blake2b(read_bytes(path), digest_size=DIGEST_BYTES).digest()


def feature_of(array: np.ndarray) -> np.ndarray:
    """A picture (H, W, C) as a feature (C, H, W), dtype kept."""
    return np.ascontiguousarray(array.transpose(2, 0, 1))
