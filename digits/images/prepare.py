"""How a picture file becomes a feature. A model prepares new pictures with the same object, so they never differ."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import IO, Any

import numpy as np
from PIL import Image

from digits.errors import LoadImageError
from digits.images.arrays import widened, with_channels
from digits.images.place import FILLS, NOISE, Fit, Origin, Placement, fill_of
from digits.utils.confinement import open_file, read_file
from digits.utils.fetch import fetch_if_allowed
from digits.utils.image import image_to_array, load_image, resize_image
from digits.utils.names import is_address
from digits.utils.resizing import scaled, scaled_size
from digits.utils.stored import HEAD, deep_colour_channels, is_tiff, read_stored

EIGHT_BIT = "8-bit"
DIGEST_BYTES = 16
PROBES = 200  # files whose headers are looked at


def dtype_word(dtype: str, channels: int | None) -> str:
    """What a `Preparation` calls the type of records: uint8 grey and RGB are read as every picture can be."""
    return EIGHT_BIT if dtype == "uint8" and channels in (1, 3, None) else dtype


class NamedBytes(io.BytesIO):
    """The bytes of a file that still know its name, for error messages."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


@dataclass(frozen=True)
class Preparation:
    """Size, channels and type of a feature.

    `channels` is 1, 3, or any other number that the source has. `dtype` `8-bit` reads every picture as uint8 grey or RGB;
    a NumPy name (`uint16`, `float32`, …) keeps the values of the file. With `keep_size` nothing is resized. A picture
    whose shorter side is below `min_side` is refused. `fill` and `padding` (width, height) are those of `digits.images.place`;
    a picture that is larger than the padding is shrunk into it.
    """

    width: int = 256
    height: int = 256
    channels: int = 3
    resize_mode: str = "squash"
    keep_size: bool = False
    min_side: int = 0
    dtype: str = EIGHT_BIT
    fill: str = NOISE
    padding: tuple[int, int] = (0, 0)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Preparation:
        """From `DatasetInfo.extra`; other keys are ignored."""
        known = {f.name: value[f.name] for f in fields(cls) if f.name in value}
        width, height = known.get("padding") or (0, 0)
        return cls(**{**known, "fill": fill_of(value), "padding": (int(width), int(height))})

    def read(self, path: str) -> tuple[np.ndarray, tuple[int, int], bytes, str]:
        """Feature (C,H,W), original (width, height) and digest of a file, and what was converted. Raises LoadImageError."""
        data = _read_bytes(path)
        digest = hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()
        if not data:
            raise LoadImageError(f"{path} is an empty file (0 bytes).")
        if self.dtype == EIGHT_BIT:
            image = load_image(NamedBytes(data, path))
            return self.feature(image), image.size, digest, ""
        array, done = self.typed(read_stored(path).picture)
        return self.feature(array), (array.shape[1], array.shape[0]), digest, done

    def typed(self, picture: Any) -> tuple[Any, str]:
        """A loaded picture whose values are those of the file in the type of the data set, and what was converted in words.
        Raises LoadImageError."""
        return (picture, "") if self.dtype == EIGHT_BIT else widened(np.asarray(picture), np.dtype(self.dtype))

    def feature(self, picture: Image.Image | np.ndarray) -> np.ndarray:
        """A loaded picture (Pillow image, or array (H,W) or (H,W,C)) as a feature (C,H,W), a view that may not be contiguous."""
        height, width = picture.shape[:2] if isinstance(picture, np.ndarray) else (picture.height, picture.width)
        if min(height, width) < self.min_side:
            raise LoadImageError(f"It is {width}x{height} pixels; the shorter side must have at least {self.min_side}.")
        array = self._eight_bit(picture) if self.dtype == EIGHT_BIT else self._wide(np.asarray(picture))
        array = array[:, :, np.newaxis] if array.ndim == 2 else array
        return array.transpose(2, 0, 1)

    def _eight_bit(self, picture: Image.Image | np.ndarray) -> np.ndarray:
        channels = self.channels or None
        if not (self.keep_size or any(self.padding)):  # without an array of the whole picture in between
            return resize_image(picture, self.height, self.width, channels, self.resize_mode, FILLS[self.fill])
        array = image_to_array(picture, channels)
        return self._placed(array[:, :, np.newaxis] if array.ndim == 2 else array)

    def _wide(self, array: np.ndarray) -> np.ndarray:
        return self._placed(with_channels(self.typed(array)[0], self.channels))

    def _placed(self, array: np.ndarray) -> np.ndarray:
        """A picture (H, W, C) padded and resized."""
        size = self._shrunk(array.shape[1], array.shape[0])
        return self._place(*size).picture(scaled(array, size))

    def origin(self, width: int, height: int) -> Origin:
        """Where the feature of a picture of that size comes from in it."""
        shrunk = self._shrunk(width, height)
        return self._place(*shrunk).origin(*shrunk).after(Origin.of_squashed((width, height), shrunk))

    def _shrunk(self, width: int, height: int) -> tuple[int, int]:
        """The size of a picture that is larger than the padding, shrunk into it; else its own."""
        if any(self.padding) and (width > self.padding[0] or height > self.padding[1]):
            return scaled_size((width, height), self.padding, "fill")
        return width, height

    def _place(self, width: int, height: int) -> Placement:
        size = (0, 0) if self.keep_size else (self.width, self.height)
        return Fit(*size, self.resize_mode, *self.padding, self.fill).place(width, height)


def _read_bytes(path: str) -> bytes:
    """The bytes of a file or, where the setting allow_urls permits it, of an http(s) address. Raises LoadImageError."""
    if is_address(path):
        return fetch_if_allowed(path)
    try:
        return read_file(path)
    except OSError as error:
        raise LoadImageError(f"{path} cannot be opened: {error.strerror or error}.") from error


@dataclass(frozen=True)
class PictureHeader:
    """What the header of a picture file says: NumPy type and channels as `load_array` would give them. `pages`: of a TIFF whose
    first page alone is read."""

    dtype: str
    channels: int
    pages: int = 1

    @property
    def is_wide(self) -> bool:
        """Whether 8-bit grey or RGB would lose something."""
        return self.dtype not in ("uint8", "bool") or self.channels not in (1, 3, 4)


def read_format(path: str) -> PictureHeader | None:
    """The format of a file from its header; None when it cannot be read."""
    try:
        with open_file(path) as handle:
            head = handle.read(HEAD)
            handle.seek(0)
            if is_tiff(head):
                return _tiff_format(handle)
            if channels := deep_colour_channels(head):
                return PictureHeader("uint16", channels)
            with Image.open(handle) as image:
                return _pillow_format(image)
    except (OSError, ValueError, SyntaxError, TypeError, IndexError, Image.DecompressionBombError):
        return None


def some_headers(count: int, path_at: Callable[[int], str]) -> list[PictureHeader]:
    """The headers of some of `count` files, evenly spaced, which decide what all of them become; without those that cannot be
    read."""
    rows = np.unique(np.linspace(0, count - 1, min(PROBES, count)).astype(int)).tolist()
    return [header for row in rows if (header := read_format(path_at(row))) is not None]


def _tiff_format(file: IO[bytes]) -> PictureHeader:
    import tifffile

    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages[0]
        samples = int(getattr(page, "samplesperpixel", 1))
        found = PictureHeader(str(page.dtype), 3 if getattr(page, "photometric", None) == 3 else samples)
        return found if found.is_wide else replace(found, pages=len(tiff.pages))  # of wide ones pages are channels


def _pillow_format(image: Image.Image) -> PictureHeader:
    wide = {"I;16": "uint16", "I;16B": "uint16", "I;16L": "uint16", "I": "int32", "F": "float32"}
    if image.mode in wide:
        return PictureHeader(wide[image.mode], 1)
    channels = 1 if image.mode in ("1", "L", "LA") else 3
    return PictureHeader("uint8", channels)
