"""Opening DICOM files: with or without preamble, without remarks that quote a header, and what holds for one frame of many.

Holds: nothing here puts a value of a header into a message; a file that is DICOM and cannot be read is a DataError.
"""

from __future__ import annotations

import contextlib
import functools
import os
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import config
from pydicom.filereader import read_file_meta_info
from pydicom.pixels import pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from pydicom.valuerep import VR

from digits.errors import DataError
from digits.utils.confinement import OPENED
from digits.utils.confinement import open_file as open_within
from digits.utils.stored import MAX_PIXELS

PREAMBLE = 128  # bytes before the letters DICM
FIRST_VALUE = 1024  # bytes that the first value of a data set may have: a group length, a character set, an image type
OVERLAYS, OVERLAY_BIT = 0x6000, 0x0102  # the first group of overlays, and the element that says in which bit one lies
MOST_FRAMES = 1 << 20
BELIEVED = 1024  # frames that a file may claim whatever its size
LEAST_FRAME = 64  # bytes that each of more takes at least
CLAIMS = ("Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated")
HEAD = 4096  # bytes in which the transfer syntax stands
GROUP_LENGTH = 12  # bytes of the element that says how long the first group is
MOST_UNPACKED = 1 << 31
CHUNK = 1 << 20
OPEN_FILES = 4  # kept between frames: a picture and the segmentations of its series
VALUE_KINDS = frozenset(kind.value.encode() for kind in VR if len(kind.value) == 2)


@contextlib.contextmanager
def without_remarks() -> Iterator[None]:
    """pydicom's remarks on odd values quote them, so in logs they would name patients."""
    before = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        config.settings.reading_validation_mode = before


def is_dicom(path: str) -> bool:
    """Whether a file says so after its preamble, or begins like a data set without one."""
    head = _head(path)
    return _has_preamble(head) or _begins_like_a_data_set(head)


@without_remarks()
def read_header(path: str, tags: Sequence[str]) -> pydicom.Dataset | None:
    """Some tags of a DICOM file; None for a file that is none. Raises DataError."""
    head = _head(path)
    if not (_has_preamble(head) or _begins_like_a_data_set(head)):
        return None
    names = [*tags, "SOPClassUID", "Rows"]
    try:
        check_unpacked(path)
        with open_within(path) as file:
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=[*names, *CLAIMS], force=True)
        for name in names:
            header.get(name)  # pydicom makes out a value when it is asked for, here where it may fail
        if not _has_preamble(head) and not ("SOPClassUID" in header and "Rows" in header):
            return None  # it only began like a data set
        check_claims(header, os.path.getsize(path))
    except DataError:
        raise
    except Exception as error:  # damaged files make pydicom raise many kinds
        if _has_preamble(head):
            raise unreadable(error) from None
        return None
    return header


@without_remarks()
def open_file(path: str) -> pydicom.Dataset:
    """A whole file, with the transfer syntax of its values where it does not say one. The last few are kept. Raises DataError."""
    try:
        stat = os.stat(path)
        return _opened(path, stat.st_mtime_ns, stat.st_size)
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"The file cannot be opened: {error.strerror or type(error).__name__}.") from error
    except Exception as error:  # damaged files make pydicom raise many kinds
        raise unreadable(error) from None


def stored_frame(dataset: pydicom.Dataset, frame: int, *, raw: bool = False) -> NDArray[Any]:
    """The values of a frame as they are stored, (H, W) or (H, W, C); YBR becomes RGB unless `raw`. Raises what pydicom and the
    libraries it decodes with raise."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if dataset.get("BitsAllocated") == 1 and not syntax.is_compressed:
        return _unpacked(dataset, frame)
    index = None if frames_of(dataset) == 1 else frame
    if _is_shifted(dataset) and (not syntax.is_compressed or syntax == RLELossless):
        return _shifted(pixel_array(dataset, index=index, raw=raw, correct_unused_bits=False), dataset)
    return pixel_array(dataset, index=index, raw=raw)


def has_more_bits(dataset: pydicom.Dataset, frame: int) -> bool:
    """Whether values of an uncompressed frame have bits above those that are stored, which are cut off, and which are no overlay
    (of older files)."""
    allocated, stored, high = (dataset.get(name) for name in ("BitsAllocated", "BitsStored", "HighBit"))
    known = "PixelData" in dataset and all(isinstance(bits, int) for bits in (allocated, stored, high))
    is_plain = known and not dataset.file_meta.TransferSyntaxUID.is_compressed and allocated in (8, 16, 32) and high == stored - 1
    tags: Iterable[pydicom.tag.BaseTag] = dataset.keys()
    if not is_plain or allocated == stored or any(tag.group >= OVERLAYS and tag.element == OVERLAY_BIT for tag in tags):
        return False
    order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
    kind = np.dtype(f"{order}{'i' if dataset.get('PixelRepresentation') else 'u'}{allocated // 8}")
    count = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("SamplesPerPixel") or 1)
    data = dataset.PixelData[frame * count * kind.itemsize : (frame + 1) * count * kind.itemsize]
    words = np.frombuffer(data, kind, len(data) // kind.itemsize)
    return bool(((words << (allocated - stored)) >> (allocated - stored) != words).any())


def _is_shifted(dataset: pydicom.Dataset) -> bool:
    """Whether the header says that values do not begin with the lowest bit, as older files may (PS3.5 8.1.1 forbids it now)."""
    allocated, stored, high = (dataset.get(name) for name in ("BitsAllocated", "BitsStored", "HighBit"))
    known = all(isinstance(bits, int) for bits in (allocated, stored, high))
    return known and 0 < stored <= high < allocated


def _shifted(words: NDArray[Any], dataset: pydicom.Dataset) -> NDArray[Any]:
    """The values in words as they are allocated: their bits stored up to the high bit. A header that the words contradict is not
    believed: they use the lower bits, and hold whole values without them."""
    allocated, stored, high = int(dataset.BitsAllocated), int(dataset.BitsStored), int(dataset.HighBit)
    usual = (words << (allocated - stored)) >> (allocated - stored)
    if (usual == words).all() and (words & ((1 << (high + 1 - stored)) - 1)).any():
        return usual
    return (words << (allocated - 1 - high)) >> (allocated - stored)


def _unpacked(dataset: pydicom.Dataset, frame: int) -> NDArray[np.uint8]:
    """A frame (H, W) of one bit a pixel, which may begin and end within a byte (PS3.5 8.1.1), the lowest bit first."""
    shape = int(dataset.Rows), int(dataset.Columns)
    start, count = frame * shape[0] * shape[1], shape[0] * shape[1]
    data = np.frombuffer(dataset.PixelData, np.uint8)[start // 8 : -(-(start + count) // 8)]
    return np.unpackbits(data, bitorder="little")[start % 8 : start % 8 + count].reshape(shape)


def unreadable(error: Exception) -> DataError:
    """What is said of a damaged header: the kind of error alone, for its text may quote the header."""
    return DataError(f"The DICOM header cannot be read ({type(error).__name__}).", advice="Export the file again.")


def item(dataset: pydicom.Dataset, frame: int, macro: str) -> pydicom.Dataset | None:
    """The item of a functional group macro that holds for a frame: its own, else the shared one (PS3.3 C.7.6.16), else None."""
    own = dataset.get("PerFrameFunctionalGroupsSequence") or []
    groups = [*([own[frame]] if frame < len(own) else []), *(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]]
    found = (group.get(macro) for group in groups)
    return next((sequence[0] for sequence in found if sequence), None)


def check_claims(header: pydicom.Dataset, size: int) -> None:
    """Compare what a file of `size` bytes says of its frames with that: many are only believed where there is room for them.
    Raises DataError."""
    rows, columns, frames = int(header.get("Rows") or 0), int(header.get("Columns") or 0), frames_of(header)
    if rows * columns > MAX_PIXELS:
        raise DataError(f"It says that it has {columns}x{rows} pixels; at most {MAX_PIXELS:,} are read.")
    syntax = getattr(header.file_meta, "TransferSyntaxUID", None)
    is_packed = syntax is not None and (syntax.is_compressed or syntax == DeflatedExplicitVRLittleEndian)
    bits = int(header.get("SamplesPerPixel") or 1) * int(header.get("BitsAllocated") or 1)
    least = LEAST_FRAME if is_packed else max(LEAST_FRAME, rows * columns * bits // 16)  # 4:2:2 lacks a third of its samples
    if frames > MOST_FRAMES or (frames > BELIEVED and frames * least > size):
        raise DataError(f"It says that it has {frames:,} frames of {columns}x{rows} pixels in {size:,} bytes.")


def check_unpacked(path: str) -> None:
    """A file that is packed as a whole (PS3.5 A.5) is unpacked in memory before anything of it is known. Raises DataError for
    one that becomes larger than any picture."""
    with open_within(path) as file:
        if DeflatedExplicitVRLittleEndian.encode() not in file.read(HEAD):
            return
        file.seek(0)
        meta = read_file_meta_info(f"{OPENED}/{file.fileno()}")  # of this very file
        file.seek(PREAMBLE + 4 + GROUP_LENGTH + int(meta.get("FileMetaInformationGroupLength") or 0))
        inflating, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while packed := inflating.unconsumed_tail or file.read(CHUNK):
            total += len(inflating.decompress(packed, CHUNK))
            if total > MOST_UNPACKED:
                raise DataError(f"It unpacks to more than {MOST_UNPACKED >> 20:,} MiB.", advice="Save it without deflate.")


def frames_of(header: pydicom.Dataset) -> int:
    """How many frames a file has."""
    return max(1, int(header.get("NumberOfFrames") or 1))


def numbers(value: Any) -> tuple[float, ...]:
    """The numbers of an element with one or several values; empty for none."""
    if value is None or value == "":
        return ()
    values = [value] if isinstance(value, int | float | str) else list(value)
    return tuple(float(one) for one in values)


def _begins_like_a_data_set(head: bytes) -> bool:
    """PS3.10 asks for a preamble; files of older software begin with their first element, of the group 2 or 8.

    That is a tag, then the two letters of its kind of value, or (implicit) the length of its value.
    """
    order = {b"\x02\x00": "<", b"\x08\x00": "<", b"\x00\x02": ">", b"\x00\x08": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        return False
    length: int = struct.unpack("<I", head[4:8])[0]
    return head[4:6] in VALUE_KINDS or (order == "<" and length <= FIRST_VALUE)


def _head(path: str) -> bytes:
    """Preamble and letters of a file; less of a shorter one, nothing of one that cannot be opened."""
    try:
        with open_within(path) as file:
            return file.read(PREAMBLE + 4)
    except OSError:
        return b""


def _has_preamble(head: bytes) -> bool:
    return head[PREAMBLE:] == b"DICM"


@functools.lru_cache(maxsize=OPEN_FILES)
def _opened(path: str, modified: int, size: int) -> pydicom.Dataset:
    check_unpacked(path)
    with open_within(path) as file:
        dataset = pydicom.dcmread(file, force=True)
    check_claims(dataset, size)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset
