"""Pictures: load, resize, convert, show. Features elsewhere are C,H,W; everything here is H,W or H,W,C, colour in RGB.

Guarantees: a picture is turned as its EXIF tag says; a file that claims more than `MAX_PIXELS` pixels is refused before it
is decoded; every failure to read is a LoadImageError that names the file. Nothing here keeps state.
"""

from __future__ import annotations

import base64
import io
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from digits.errors import LoadImageError
from digits.utils.names import PICTURE_SUFFIXES, is_address, is_image_file
from digits.utils.resizing import RESIZE_MODES, Picture, as_picture, eight_bits, resize_image, with_channels
from digits.utils.show import COLOR_MAPS, display_image, get_color_map, upscale, vis_square

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
    "is_special",
    "load_array",
    "load_image",
    "resize_image",
    "upscale",
    "vis_square",
]

SUPPORTED_EXTENSIONS = PICTURE_SUFFIXES  # the name that plugins know
WITHOUT_EXIF = frozenset({"PNG", "PPM", "BMP", "GIF"})  # unless something in the file says otherwise
WHERE_EXIF_IS = frozenset({"exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp"})
MAX_PIXELS = 89_478_485  # a quarter of a GiB of RGB; Pillow warns from here on

Source = str | os.PathLike[str] | bytes | io.IOBase


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether something is there that is neither a file nor a folder: a pipe, a socket or a device, which must not be opened."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def load_image(source: Source, *, at_least: tuple[int, int] | None = None) -> Picture:
    """Read a picture as 8 bits a channel, mode `L` or `RGB`.

    `source` is a path, the bytes of a file, an open binary file or, where the setting allow_urls permits it, an http(s)
    address. Transparent parts become white, 16-bit values keep their upper 8 bits. `at_least` (width, height) permits a
    JPEG to be decoded at a half, quarter or eighth of its size as long as it stays at least that large.
    Raises LoadImageError.
    """
    name = _name(source)
    _check_regular(source)
    try:
        with _open(source, name) as image:
            if at_least is not None and image.format == "JPEG":
                image.draft(None, at_least)
            image.load()
            if _may_be_turned(image):
                ImageOps.exif_transpose(image, in_place=True)
            return eight_bits(image, name)
    except LoadImageError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _too_large(name, _claim(error)) from error
    except UnidentifiedImageError as error:
        advice = f"Known are files that end in {', '.join(SUPPORTED_EXTENSIONS)}."
        raise LoadImageError(f"{name} is no picture: its content is of no known format.", advice=advice) from error
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError) as error:
        raise LoadImageError(f"{name} cannot be read as a picture: {error}.") from error


def load_array(source: str | os.PathLike[str]) -> NDArray[Any]:
    """Read values as they are stored: (H, W) or (H, W, C), dtype kept (uint8, uint16, float32, ...), colour in RGB.

    Reads .npy, TIFF with any number of channels, 16-bit PNG and every picture that Pillow knows. A palette picture gives its
    indices and a picture of one bit 0 and 1, so label maps arrive unchanged. Raises LoadImageError.
    """
    path = Path(source)
    _check_regular(path)
    readers = {".npy": _load_npy, ".tif": _load_tiff, ".tiff": _load_tiff}
    reader = readers.get(path.suffix.lower(), _load_pillow)
    try:
        array = reader(path)
    except LoadImageError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError, Image.DecompressionBombError) as error:
        raise LoadImageError(f"{path} cannot be read: {error}.") from error
    if array.dtype.kind not in "uif" or array.ndim not in (2, 3) or 0 in array.shape:
        raise LoadImageError(
            f"{path} holds {array.dtype} values of shape {array.shape}; numbers of shape (H, W) or (H, W, C) are needed."
        )
    return array


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


def _check_regular(source: Any) -> None:
    """A pipe would be waited for until somebody writes into it, a device may never end."""
    if isinstance(source, str | os.PathLike) and is_special(source):
        raise LoadImageError(f"{os.fspath(source)} is a pipe, a socket or a device, not a file.")


def _open(source: Any, name: str) -> Picture:
    if isinstance(source, str) and is_address(source):
        from digits.utils.fetch import fetch_if_allowed

        source = fetch_if_allowed(source)
    image = Image.open(io.BytesIO(source) if isinstance(source, bytes | bytearray) else source)
    _check_size(image, name)
    return image


def _may_be_turned(image: Picture) -> bool:
    """Whether it is worth asking for the EXIF orientation, which takes longer than decoding a small PNG."""
    return image.format not in WITHOUT_EXIF or not WHERE_EXIF_IS.isdisjoint(image.info)


def _check_size(image: Picture, name: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise _too_large(name, f"{image.width}x{image.height} pixels")


def _claim(error: Exception) -> str:
    """How many pixels a file claims to have, out of Pillow's message."""
    found = re.search(r"(\d+) pixels", str(error))
    return f"{int(found[1]):,} pixels" if found else "more pixels than Pillow reads"


def _too_large(name: str, found: str) -> LoadImageError:
    return LoadImageError(
        f"{name} is too large ({found}); at most {MAX_PIXELS:,} pixels are read.", advice="Cut or shrink it first."
    )


def _load_npy(path: Path) -> NDArray[Any]:
    return np.load(path, allow_pickle=False)


def _load_tiff(path: Path) -> NDArray[Any]:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        if series.size > MAX_PIXELS * 4:
            raise _too_large(str(path), f"shape {series.shape}")
        array = series.asarray()
        return _channels_last(array, series.axes)


def _channels_last(array: NDArray[Any], axes: str) -> NDArray[Any]:
    if array.ndim == 3 and axes and axes[0] in "CSIQZ" and axes[1:] in ("YX",):
        return np.moveaxis(array, 0, -1)
    return array


def _load_pillow(path: Path) -> NDArray[Any]:
    if path.suffix.lower() == ".png" and _is_deep_colour_png(path):
        return _load_deep_png(path)
    try:
        with Image.open(path) as image:
            _check_size(image, str(path))
            image.load()
            picture = ImageOps.exif_transpose(image)
            if picture.mode in ("CMYK", "YCbCr", "PA", "LAB", "HSV"):
                picture = picture.convert("RGB")
            array = np.array(picture)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _too_large(str(path), _claim(error)) from error
    return array.astype(np.uint8) if array.dtype == bool else array


def _is_deep_colour_png(path: Path) -> bool:
    """16 bits in more than one channel: Pillow would drop the lower half. Bytes 24 and 25 are bit depth and colour type."""
    with open(path, "rb") as handle:
        header = handle.read(26)
    return len(header) == 26 and header[24] == 16 and header[25] in (2, 4, 6)


def _load_deep_png(path: Path) -> NDArray[Any]:
    import cv2

    with Image.open(path) as image:
        _check_size(image, str(path))
    array = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise LoadImageError(f"{path} cannot be read as a PNG of 16 bits a channel.")
    order = [2, 1, 0, 3][: array.shape[2]] if array.ndim == 3 and array.shape[2] >= 3 else slice(None)
    return np.ascontiguousarray(array[..., order])
