"""What a picture file stores, pixel by pixel: numbers keep their type and are not scaled, a palette gives its indices.

Holds: the content decides how a file is read, not its ending; what is stored with an orientation is turned upright; a file that
claims more than `MAX_PIXELS` pixels is refused before it is decoded. TIFF is read by tifffile and, where that lacks a codec
(LZW, CCITT, JPEG …), by the libtiff in Pillow and OpenCV.
"""

from __future__ import annotations

import io
import math
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps

from digits.errors import LoadImageError
from digits.utils.confinement import open_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

Picture = Image.Image

MAX_PIXELS = 89_478_485  # a quarter of a GiB of RGB; Pillow warns from here on
WITHOUT_EXIF = frozenset({"PNG", "PPM", "BMP", "GIF"})  # unless something in the file says otherwise
WHERE_EXIF_IS = frozenset({"exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp"})
ORIENTATION = 274  # the tag, in TIFF and EXIF alike
PHOTOMETRIC = 262
UPRIGHT = 1
DIAGONAL = 5  # from this orientation on height and width change places
HEAD = 4096  # bytes that tell the format, with the header of a PGM and of a JPEG 2000 codestream behind a small profile
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
JPEG = b"\xff\xd8\xff"
JPEG_2000 = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")  # a file of boxes, a bare codestream
CODESTREAM = JPEG_2000[1]  # its marker, and that of its size
PNM = rb"\s+(?:#[^\n]*\n\s*)*(\d+)"
LOSSY_TIFF = (6, 7, 34892)  # JPEG of three kinds
WHITE_IS_ZERO = 0
UNCOMPRESSED = 1
SPARSE = 1 << 26  # bytes of which parts of a TIFF may be missing, which count as 0
PROGRAMS = frozenset({"EPS"})  # Pillow hands it to Ghostscript
MOST_BYTES = 8 * MAX_PIXELS  # of what a TIFF unpacks to: four channels of 16 bits
NPY_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True)
class Stored:
    """`values` is (H, W) or (H, W, C), dtype kept, colour in RGB, already turned as `orientation` (1 to 8, as EXIF counts) says.

    `palette` has 768 numbers where `values` are indices, else none. `pages` are those of a TIFF. `black` is the number
    for it of a TIFF that counts its grey from white (0) on; None where 0 is black.
    """

    values: NDArray[Any]
    orientation: int = UPRIGHT
    palette: list[int] = field(default_factory=list)
    is_lossy: bool = False
    pages: int = 1
    black: int | None = None

    @property
    def picture(self) -> NDArray[Any]:
        """The values (H, W) or (H, W, C), dtype kept, as a picture means them: 0 is black. As numbers of classes `values` mean
        themselves."""
        return self.values if self.black is None else (self.black - self.values).astype(self.values.dtype)


def read_stored(source: str | os.PathLike[str]) -> Stored:
    """Read .npy, TIFF with any number of channels, 16-bit PNG and every picture that Pillow knows. Raises LoadImageError."""
    path = Path(source)
    try:
        with open_file(path) as file:
            head = file.read(HEAD)
            file.seek(0)
            found = _reader(head)(path, file, head)
    except LoadImageError:
        raise
    except Exception as error:  # a torn file makes the decoders raise anything, from zlib.error to TokenError
        raise LoadImageError(f"{path} cannot be read: {words(error)}.") from error
    array = found.values
    if array.dtype.kind not in "uif" or array.ndim not in (2, 3) or 0 in array.shape:
        raise LoadImageError(
            f"{path} holds {array.dtype} values of shape {array.shape}; numbers of shape (H, W) or (H, W, C) are needed."
        )
    return found


def read_deep(data: bytes, name: str) -> NDArray[Any] | None:
    """The picture (H, W) or (H, W, C), dtype kept, in the bytes of a PNG, PGM, PPM or JPEG 2000 file of more than 8 bits a
    channel; None of every other file, which `load_image` reads without a loss. Raises LoadImageError, which has the `name`."""
    head = data[:HEAD]
    deep_grey = head.startswith(b"\x89PNG") and head[24:25] == b"\x10"
    deepest = max(pnm_maximum(head, b"P[2356]"), *((1 << bits) - 1 for bits in jpeg_2000_depths(head)), 0)
    if not deep_grey and deepest <= 255:
        return None
    try:
        return _reader(head)(Path(name), io.BytesIO(data), head).picture
    except LoadImageError:
        raise
    except Exception as error:
        raise LoadImageError(f"{name} cannot be read: {words(error)}.") from error


def is_tiff(head: bytes) -> bool:
    """Whether a file with these first bytes is a TIFF."""
    return head.startswith(TIFF)


def loses_something(head: bytes) -> bool:
    """Whether a file with these first bytes (16) is a JPEG or a WebP that does not keep every pixel."""
    return head.startswith(JPEG) or (head.startswith(b"RIFF") and head[8:16] == b"WEBPVP8 ")


def deep_colour_channels(head: bytes) -> int:
    """Channels of a file, which begins with `head` (`HEAD` bytes), that has several of more than 8 bits, of which Pillow would
    drop the lower ones: PNG, PPM, JPEG 2000; 0 for every other file.

    Bytes 24 and 25 of a PNG are bit depth and colour type.
    """
    if head.startswith(b"\x89PNG") and len(head) >= 26:
        return {2: 3, 4: 2, 6: 4}.get(head[25], 0) if head[24] == 16 else 0
    if most := pnm_maximum(head, b"P[36]"):
        return 3 if most > 255 else 0
    depths = jpeg_2000_depths(head)
    return len(depths) if len(depths) > 1 and max(depths) > 8 else 0


def pnm_maximum(head: bytes, kinds: bytes) -> int:
    """The number for white of a PGM (`P[25]`) or PPM (`P[36]`) that begins so; 0 for other files."""
    header = re.match(kinds + 3 * PNM, head)
    return int(header[3]) if header else 0


def jpeg_2000_depths(data: bytes) -> tuple[int, ...]:
    """The bits of each channel of a JPEG 2000 file that begins so (ISO/IEC 15444-1, A.5.1); none of other files, and where its
    codestream begins later."""
    at = data.find(CODESTREAM) if data.startswith(JPEG_2000) else -1
    count = int.from_bytes(data[at + 40 : at + 42], "big") if at >= 0 else 0
    sizes = data[at + 42 : at + 42 + 3 * count : 3]
    return tuple((size & 0x7F) + 1 for size in sizes) if len(sizes) == count else ()


def turned(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """(H, W, …) as it is stored, turned upright as an orientation says."""
    if orientation >= DIAGONAL:  # mirrored along the diagonal first; 5 is that alone
        array = array.swapaxes(0, 1)
    rows = slice(None, None, -1) if orientation in (3, 4, 7, 8) else slice(None)
    columns = slice(None, None, -1) if orientation in (2, 3, 6, 7) else slice(None)
    return np.ascontiguousarray(array[rows, columns])


def turn_upright(image: Picture) -> int:
    """Turn a loaded picture, in place, as it says; gives the orientation that it had."""
    if not may_be_turned(image):
        return UPRIGHT
    orientation = known_orientation(image.getexif().get(ORIENTATION))
    ImageOps.exif_transpose(image, in_place=True)
    return orientation


def may_be_turned(image: Picture) -> bool:
    """Whether it is worth asking for the EXIF orientation, which takes longer than decoding a small PNG."""
    return image.format not in WITHOUT_EXIF or not WHERE_EXIF_IS.isdisjoint(image.info)


def tiff_orientation(image: Picture) -> int:
    """The orientation of a TIFF, which Pillow forgets when it loads it; 1 for other pictures."""
    return known_orientation(image.getexif().get(ORIENTATION)) if image.format == "TIFF" else UPRIGHT


def known_orientation(found: Any) -> int:
    """What a file has for its orientation, None for nothing; 1 for what is no orientation."""
    return found if found in range(1, 9) else UPRIGHT


def counts_from_white(image: Picture) -> bool:
    """Whether 0 is white in a TIFF of 16 bits; of less bits Pillow turns the values round itself."""
    return image.format == "TIFF" and image.mode.startswith("I;16") and image.getexif().get(PHOTOMETRIC) == WHITE_IS_ZERO


def check_size(image: Picture, name: str) -> None:
    """Close a picture that is too large, or whose decoder would run another program. Raises LoadImageError."""
    if image.format in PROGRAMS:
        image.close()
        raise LoadImageError(f"{name} is {image.format}, which is a program and not read.", advice="Save it as PNG.")
    if image.width * image.height > MAX_PIXELS:
        image.close()
        raise too_large(name, f"{image.width}x{image.height} pixels")


def words(error: Exception) -> str:
    """What an error says; of the system's without number and path."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def claimed(error: Exception) -> str:
    """How many pixels a file claims to have, out of Pillow's message."""
    found = re.search(r"(\d+) pixels", str(error))
    return f"{int(found[1]):,} pixels" if found else "more pixels than Pillow reads"


def too_large(name: str, found: str) -> LoadImageError:
    """The error for a picture with too many pixels."""
    return LoadImageError(
        f"{name} is too large ({found}); at most {MAX_PIXELS:,} pixels are read.", advice="Cut or shrink it first."
    )


# -- formats --------------------------------------------------------------------------------------------------------


def _reader(head: bytes) -> Any:
    if head.startswith(b"\x93NUMPY"):
        return _npy
    if is_tiff(head):
        return _tiff
    if head.startswith(JPEG_2000):
        return _jpeg_2000
    return _deep_colour if deep_colour_channels(head) else _by_pillow


def _npy(path: Path, file: IO[bytes], head: bytes) -> Stored:
    read_header = NPY_HEADERS.get(np.lib.format.read_magic(file))
    shape, by_columns, dtype = read_header(file) if read_header is not None else ((), False, np.dtype(object))
    if not dtype.hasobject:
        count = math.prod(shape)
        check_claim(path, count * dtype.itemsize, file.tell(), f"shape {shape} of {dtype}")
        return Stored(np.fromfile(file, dtype, count).reshape(shape, order="F" if by_columns else "C"))
    file.seek(0)
    return Stored(np.load(file, allow_pickle=False))  # which refuses objects, and knows headers of other versions


def check_claim(path: Path, size: int, start: int, found: str) -> None:
    """What a header claims of `size` bytes lies in the file. Raises LoadImageError."""
    if size < 0 or start + size > (whole := path.stat().st_size):
        raise LoadImageError(f"{path} claims {found}, {size:,} bytes; the file has {whole:,} bytes.")


def _by_pillow(path: Path, file: IO[bytes], head: bytes) -> Stored:
    try:
        with Image.open(file) as image:
            check_size(image, str(path))
            orientation = tiff_orientation(image)
            image.load()
            orientation = max(orientation, turn_upright(image))
            palette = _palette_of(image)
            picture = image.convert("RGB") if image.mode in ("CMYK", "YCbCr", "PA", "LAB", "HSV") else image
            array = np.array(picture)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise too_large(str(path), claimed(error)) from error
    array = array.astype(np.uint8) if array.dtype == bool else array
    return Stored(_as_stored(array, head), orientation, palette, loses_something(head))


def _deep_colour(path: Path, file: IO[bytes], head: bytes) -> Stored:
    import cv2

    with Image.open(file) as image:
        check_size(image, str(path))
        image.load()
        orientation = known_orientation(image.getexif().get(ORIENTATION)) if may_be_turned(image) else UPRIGHT
    data = _all_of(file)
    data = (
        np.append(data, np.uint8(ord("\n"))) if head.startswith(b"P3") else data
    )  # OpenCV wants something behind the last number
    array = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if array is None:
        raise LoadImageError(f"{path} cannot be read with 16 bits a channel.")
    return Stored(turned(_rgb(array), orientation), orientation)


def _jpeg_2000(path: Path, file: IO[bytes], head: bytes) -> Stored:
    """Pillow moves values of other depths than 8 and 16 bits to the upper end of those."""
    depths = jpeg_2000_depths(head) or jpeg_2000_depths(bytes(_all_of(file)))
    file.seek(0)
    if len(depths) > 1 and max(depths) > 8:
        return _deep_colour(path, file, head)
    found = _by_pillow(path, file, head)
    if len(depths) != 1 or found.values.ndim != 2:
        return found
    return replace(found, values=found.values >> (8 * found.values.dtype.itemsize - depths[0]))


def _all_of(file: IO[bytes]) -> NDArray[np.uint8]:
    file.seek(0)
    return np.frombuffer(file.read(), np.uint8)


def _tiff(path: Path, file: IO[bytes], head: bytes) -> Stored:
    import tifffile

    with tifffile.TiffFile(file) as tiff:
        series, page, pages = tiff.series[0], tiff.pages.first, len(tiff.pages)
        size = series.size * page.bitspersample // 8
        if series.size > MAX_PIXELS * 4 or size > MOST_BYTES:
            raise too_large(str(path), f"shape {series.shape} of {page.bitspersample} bits")
        if page.compression == UNCOMPRESSED and not page.is_tiled and size > SPARSE:
            check_claim(path, size, 0, f"shape {series.shape}")
        orientation = known_orientation(getattr(page.tags.get(ORIENTATION), "value", None))
        try:
            array = turned(_channels_last(series.asarray(), series.axes), orientation)
        except (ValueError, NotImplementedError) as error:  # a codec or a number of bits that tifffile alone cannot read
            array = _by_libtiff(path, file, page, orientation, error)
        if array.dtype == bool:
            array = (array ^ (page.photometric == WHITE_IS_ZERO)).astype(np.uint8)
        palette = [] if page.colormap is None else list(map(int, (page.colormap >> 8).T.reshape(-1)))
        is_lossy = page.compression in LOSSY_TIFF
        counts_from_white = page.photometric == WHITE_IS_ZERO and array.dtype.kind == "u" and page.bitspersample > 1
        black = (1 << page.bitspersample) - 1 if counts_from_white else None
    return Stored(array, orientation, (palette + [0] * 768)[:768] if palette else [], is_lossy, pages, black)


def _by_libtiff(path: Path, file: IO[bytes], page: Any, orientation: int, reason: Exception) -> NDArray[Any]:
    """The first page, upright, as its numbers are stored (a picture of one bit as uint8: 0 is black)."""
    deep_colour = page.bitspersample > 8 and page.samplesperpixel > 1
    if deep_colour:
        import cv2

        found = cv2.imdecode(_all_of(file), cv2.IMREAD_UNCHANGED)
        if found is None:
            raise LoadImageError(f"{path} cannot be read: {reason}.", advice="Save it without compression.") from reason
        return turned(_rgb(found).astype(page.dtype), orientation)
    file.seek(0)
    found = _by_pillow(path, file, b"").values
    if page.bitspersample == 1 or page.samplesperpixel > 1:
        return found
    if page.bitspersample <= 8 and page.photometric == WHITE_IS_ZERO:  # which Pillow turned round
        found = 255 - found
    return _unscaled(found, page.bitspersample).astype(page.dtype) if page.colormap is None else found


def _channels_last(array: NDArray[Any], axes: str) -> NDArray[Any]:
    if array.ndim == 3 and axes and axes[0] in "CSIQZ" and axes[1:] in ("YX",):
        return np.moveaxis(array, 0, -1)
    return array


def _rgb(array: NDArray[Any]) -> NDArray[Any]:
    """What OpenCV reads, in the order of our colours."""
    order = [2, 1, 0, 3][: array.shape[2]] if array.ndim == 3 and array.shape[2] >= 3 else slice(None)
    return np.ascontiguousarray(array[..., order])


def _palette_of(image: Picture) -> list[int]:
    found = image.getpalette("RGB") if image.mode == "P" else None
    return (list(found) + [0] * 768)[:768] if found else []


def _as_stored(array: NDArray[Any], head: bytes) -> NDArray[Any]:
    """Undo that Pillow scales grey of less than 8 bits (PNG), or with another maximum than 255 (PGM), to the whole range."""
    if head.startswith(b"\x89PNG") and len(head) >= 26 and head[25] == 0:
        return _unscaled(array, head[24])
    most = pnm_maximum(head, b"P[25]")
    if most in (0, 255, 65535) or array.ndim != 2:
        return array
    whole = 255 if most < 256 else 65535
    return np.rint(array * (most / whole)).astype(array.dtype)


def _unscaled(array: NDArray[Any], bits: int) -> NDArray[Any]:
    return array // {2: 85, 4: 17}[bits] if bits in (2, 4) and array.dtype == np.uint8 else array
