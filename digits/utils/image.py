"""Pictures: load, resize, convert, show. Features elsewhere are C,H,W; everything here is H,W or H,W,C, colour in RGB.

Guarantees: a picture is turned as its EXIF tag says; a file that claims more than `MAX_PIXELS` pixels is refused before it
is decoded; every failure to read is a LoadImageError that names the file. Nothing here keeps state.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import io
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from digits.errors import LoadImageError
from digits.utils.confinement import open_file, read_file
from digits.utils.names import PICTURE_SUFFIXES, is_address, is_image_file
from digits.utils.resizing import RESIZE_MODES, Picture, as_picture, eight_bits, resize_image, with_channels
from digits.utils.show import COLOR_MAPS, display_image, get_color_map, upscale, vis_square
from digits.utils.stored import (
    HEAD,
    MAX_PIXELS,
    check_size,
    claimed,
    counts_from_white,
    jpeg_2000_depths,
    read_stored,
    tiff_orientation,
    too_large,
    turn_upright,
    words,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "COLOR_MAPS",
    "MAX_PIXELS",
    "RESIZE_MODES",
    "SUPPORTED_EXTENSIONS",
    "Picture",
    "Source",
    "display_image",
    "embed_image_html",
    "get_color_map",
    "image_to_array",
    "is_image_file",
    "load_array",
    "load_described",
    "load_image",
    "resize_image",
    "upscale",
    "vis_square",
]

with contextlib.suppress(ImportError):  # Pillow's plugin for HEIC enters itself, where it is installed
    importlib.import_module("pillow_heif.HeifImagePlugin")

SUPPORTED_EXTENSIONS = PICTURE_SUFFIXES  # the name that plugins know

NPY = b"\x93NUMPY"
Source = str | os.PathLike[str] | bytes | io.IOBase


def load_image(source: Source, *, at_least: tuple[int, int] | None = None) -> Picture:
    """Read a picture as 8 bits a channel, mode `L` or `RGB`.

    `source` is a path, the bytes of a file, an open binary file or, where the setting allow_urls permits it, an http(s)
    address. Transparent parts become white, 16-bit values keep their upper 8 bits. `at_least` (width, height) permits a
    JPEG to be decoded at a half, quarter or eighth of its size as long as it stays at least that large.
    Raises LoadImageError.
    """
    return load_described(source, at_least=at_least).picture


class LoadedPicture(NamedTuple):
    """What `load_image` gives, the EXIF orientation (1 to 8) that it was turned from (1: it was not), and whether its values
    had more than 8 bits."""

    picture: Picture
    orientation: int
    was_deep: bool


def load_described(source: Source, *, at_least: tuple[int, int] | None = None) -> LoadedPicture:
    """As `load_image`, with what was done to the picture on the way."""
    name = _name(source)
    try:
        with _open(source, name) as image:
            if at_least is not None and image.format == "JPEG":
                image.draft(None, at_least)
            orientation, is_inverted, was_deep = tiff_orientation(image), counts_from_white(image), _is_deep(image)
            image.load()
            orientation = max(orientation, turn_upright(image))
            picture = eight_bits(image, name)
            return LoadedPicture(ImageOps.invert(picture) if is_inverted else picture, orientation, was_deep)
    except LoadImageError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise too_large(name, claimed(error)) from error
    except UnidentifiedImageError as error:
        if is_array_file(source):
            scaled = "Save it as PNG, with its values scaled to 0 to 255."
            raise LoadImageError(f"{name} is a NumPy array, where a picture of 8 bits is needed.", advice=scaled) from error
        advice = f"Known are files that end in {', '.join(SUPPORTED_EXTENSIONS)}."
        raise LoadImageError(f"{name} is no picture: its content is of no known format.", advice=advice) from error
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError) as error:
        raise LoadImageError(f"{name} cannot be read as a picture: {words(error)}.") from error


def is_array_file(source: Source) -> bool:
    """Whether the bytes of a file, or a file at a path that may be read, are those of a `.npy`."""
    if isinstance(source, bytes | bytearray):
        return source.startswith(NPY)
    if not isinstance(source, str | os.PathLike):
        return False
    with contextlib.suppress(OSError), open_file(source) as file:
        return file.read(len(NPY)) == NPY
    return False


def load_array(source: str | os.PathLike[str]) -> NDArray[Any]:
    """Read values as they are stored: (H, W) or (H, W, C), dtype kept (uint8, uint16, float32, ...), colour in RGB.

    Reads .npy, TIFF with any number of channels, 16-bit PNG and every picture that Pillow knows. A palette picture gives its
    indices, a picture of one bit 0 and 1, grey of 2 or 4 bits its samples, so label maps arrive unchanged. Raises
    LoadImageError.
    """
    return read_stored(source).values


def image_to_array(image: Picture | NDArray[Any], channels: int | None = None) -> NDArray[np.uint8]:
    """A picture as uint8 (H, W) or (H, W, 3); `channels` 1 or 3 converts, None keeps."""
    return np.array(with_channels(as_picture(image), channels))


def embed_image_html(image: Picture | NDArray[Any]) -> str:
    """A `data:` address holding the picture as PNG, for the `src` of an `<img>`. Arrays: uint8 (H, W) or (H, W, 3)."""
    buffer = io.BytesIO()
    as_picture(image).save(buffer, format="png", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


# -- reading --------------------------------------------------------------------------------------------------------


def _name(source: Any) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    return str(getattr(source, "name", "") or getattr(source, "filename", "") or "The uploaded file")


def _open(source: Any, name: str) -> Picture:
    if isinstance(source, str) and is_address(source):
        from digits.utils.fetch import fetch_if_allowed

        source = fetch_if_allowed(source)
    if isinstance(source, str | os.PathLike):
        source = read_file(source)
    image = Image.open(io.BytesIO(source) if isinstance(source, bytes | bytearray) else source)
    check_size(image, name)
    return image


def _is_deep(image: Picture) -> bool:
    """Whether a file, opened and not yet decoded, has more than 8 bits a channel: Pillow decodes colours of 16 bits as 8."""
    if image.mode.startswith("I"):
        return True
    file = getattr(image, "fp", None)
    if image.format == "JPEG2000" and file is not None:
        at = file.tell()
        file.seek(0)
        depths = jpeg_2000_depths(file.read(HEAD))
        file.seek(at)
        return max(depths, default=8) > 8
    for codec, _, _, given in getattr(image, "tile", []):
        args = given if isinstance(given, tuple) else (given,)
        if any(";16" in str(mode) for mode in args[:1]):
            return True
        if codec.startswith("ppm") and any(isinstance(largest, int) and largest > 0xFF for largest in args[1:]):
            return True
    return False
