"""NIfTI volumes (1 and 2, either byte order, compressed or not): header, affine and values.

Holds: affines lead from voxels to millimetres in LPS, as DICOM gives them (NIfTI itself says RAS); every failure is a DataError
that does not name the file, which the caller does.
"""

from __future__ import annotations

import functools
import gzip
import math
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import DataError
from digits.utils.confinement import open_file

ENDINGS = (".nii", ".nii.gz")
TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
HEADER = 540  # bytes of the larger kind
LARGEST = 1 << 32  # bytes of values
PACKED = b"\x1f\x8b"
MOST_PACKED = 1032  # times that deflate makes something smaller at most
UNITS = {1: 1000.0, 3: 0.001}  # metres and micrometres in millimetres; everything else says millimetres
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
OPEN_VOLUMES = 2
PACKED = b"\x1f\x8b"  # how gzip begins

# Where fields lie: format and offset.
FIELDS_1 = {
    "dim": ("8h", 40), "datatype": ("h", 70), "pixdim": ("8f", 76), "vox_offset": ("f", 108), "scale": ("2f", 112),
    "units": ("B", 123), "codes": ("2h", 252), "quatern": ("6f", 256), "srow": ("12f", 280),
}  # fmt: skip
FIELDS_2 = {
    "dim": ("8q", 16), "datatype": ("h", 12), "pixdim": ("8d", 104), "vox_offset": ("q", 168), "scale": ("2d", 176),
    "units": ("i", 500), "codes": ("2i", 344), "quatern": ("6d", 352), "srow": ("12d", 400),
}  # fmt: skip


@dataclass(frozen=True)
class Header:
    """`shape` is (x, y, z, volumes); `affine` (4, 4) row by row, empty where the file says no position. `means_nothing`: it is
    what libraries write who know none."""

    shape: tuple[int, int, int, int]
    dtype: str
    start: int
    slope: float
    intercept: float
    affine: tuple[float, ...] = ()

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The affine as an array (4, 4), in millimetres."""
        return np.array(self.affine).reshape(4, 4)

    @property
    def length(self) -> int:
        """Bytes from the start of the file to the end of the values."""
        return self.start + math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def means_nothing(self) -> bool:
        """NiBabel's users write the identity, SimpleITK that of LPS."""
        return not self.affine or any(np.array_equal(self.matrix, one) for one in (np.eye(4), RAS_TO_LPS))


def read_header(path: str) -> Header:
    """The header of a NIfTI file. Raises DataError."""
    data = _bytes(path, HEADER)
    for order in "<>":
        for size, fields in ((348, FIELDS_1), (540, FIELDS_2)):
            if len(data) >= size and struct.unpack(f"{order}i", data[:4])[0] == size:
                return _header(data, order, size, fields)
    raise DataError("It is no NIfTI file.", advice="Save the mask as .nii or .nii.gz.")


def read_volume(path: str) -> NDArray[Any]:
    """Scaled values (X, Y, N) of the file's type or float64: the slices of all volumes after each other. The last few are kept.

    Raises DataError."""
    stat = os.stat(path)
    return _volume(path, stat.st_mtime_ns, stat.st_size)


def check_length(path: str, header: Header) -> None:
    """Raises DataError where a file ends before its values do. A packed file says at its end how much was packed: it is unpacked
    only where that is something else."""
    try:
        with open_file(path) as file:
            is_packed = file.read(2) == PACKED
            size = file.seek(0, os.SEEK_END)
            if is_packed:
                file.seek(max(size - 4, 0))
                size = int.from_bytes(file.read(4), "little")
    except OSError as error:
        raise DataError(f"It cannot be read: {type(error).__name__}.", advice="Save it again.") from error
    _check_room(os.path.getsize(path), header, is_packed)
    if is_packed and size != header.length % (1 << 32):
        size = len(_bytes(path, header.length + 1))
    elif is_packed:
        size = header.length
    _check_length(size, header)


def _check_room(size: int, header: Header, is_packed: bool) -> None:
    """Raises DataError where a file of `size` bytes has no room for its values, before any is read."""
    if is_packed and header.length > size * MOST_PACKED:
        raise DataError(f"It says that it holds {header.length:,} bytes, which its {size:,} packed bytes cannot.")
    if not is_packed:
        _check_length(size, header)


def _check_length(size: int, header: Header) -> None:
    if size < header.length:
        raise DataError(f"It ends after {size} of {header.length} bytes.", advice="Copy it again.")


@functools.lru_cache(maxsize=OPEN_VOLUMES)
def _volume(path: str, modified: int, size: int) -> NDArray[Any]:
    header = read_header(path)
    x, y, z, volumes = header.shape
    kind, count = np.dtype(header.dtype), x * y * z * volumes
    _check_room(size, header, _is_packed(path))
    data = _bytes(path, header.length + 1)  # one more, so that what is packed is held against its checksum
    _check_length(len(data), header)
    values = np.frombuffer(data, kind, count, header.start).reshape((x, y, z * volumes), order="F")
    if (header.slope, header.intercept) == (1.0, 0.0):
        return values
    return values.astype(np.float64) * header.slope + header.intercept


def _header(data: bytes, order: str, size: int, fields: Mapping[str, tuple[str, int]]) -> Header:
    found = {name: struct.unpack_from(order + form, data, offset) for name, (form, offset) in fields.items()}
    magic = data[344:348] if size == 348 else data[4:8]
    if magic.startswith((b"ni1", b"ni2")):
        raise DataError("Its values lie in another file (.img).", advice="Save the mask as one .nii file.")
    count, *sizes = found["dim"]
    kind = TYPES.get(found["datatype"][0])
    if not 1 <= count <= 7 or min(sizes[:count]) < 1:
        raise DataError(f"It has the dimensions {found['dim']}.")
    if kind is None:
        raise DataError("It holds values of a kind that is not read.", advice="Save the mask as whole numbers.")
    sizes = [*sizes[:count], 1, 1][: max(count, 3)]
    shape = (sizes[0], sizes[1], sizes[2], math.prod(sizes[3:]))
    if math.prod(shape) * np.dtype(kind).itemsize > LARGEST:
        raise DataError(f"It says that it has {' x '.join(map(str, shape))} voxels.")
    slope, intercept = found["scale"]
    scaled = slope != 0 and math.isfinite(slope) and math.isfinite(intercept)
    offset = found["vox_offset"][0]
    start = int(offset) if math.isfinite(offset) and size <= offset < LARGEST else size + 4
    affine = _affine(found) if magic.startswith((b"n+1", b"n+2")) else None
    return Header(
        shape,
        order + kind,
        start,
        float(slope) if scaled else 1.0,
        float(intercept) if scaled else 0.0,
        () if affine is None else tuple((RAS_TO_LPS @ affine).ravel().tolist()),
    )


def _affine(found: Mapping[str, tuple[Any, ...]]) -> NDArray[np.float64] | None:
    """From voxels to RAS, (4, 4): the sform, else the qform (nifti1.h, methods 3 and 2); None where both have the code 0."""
    qform_code, sform_code = found["codes"]
    scale = UNITS.get(found["units"][0] & 7, 1.0)
    if sform_code > 0:
        affine = np.vstack([np.array(found["srow"], np.float64).reshape(3, 4) * scale, [0, 0, 0, 1]])
        if np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > 1e-9:
            return affine
    if qform_code > 0:
        affine = _of_quaternion(found["quatern"], found["pixdim"], scale)
        if np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > 1e-9:
            return affine
    return None


def _of_quaternion(quatern: tuple[float, ...], pixdim: tuple[float, ...], scale: float) -> NDArray[np.float64]:
    b, c, d, *offset = quatern
    a = math.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    turn = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    sides = np.array(pixdim[1:4]) * (1, 1, -1 if pixdim[0] < 0 else 1)
    return np.vstack([np.column_stack([turn * sides, offset]) * scale, [0, 0, 0, 1]])


def _is_packed(path: str) -> bool:
    with open_file(path) as file:
        return file.read(2) == PACKED


def _bytes(path: str, most: int) -> bytes:
    """The first bytes of a file, unpacked where its contents say so. Raises DataError."""
    try:
        with open_file(path) as file:
            packed = file.read(2) == PACKED
            file.seek(0)
            if not packed:
                return file.read(most)
            with gzip.open(file) as unpacked:
                return unpacked.read(most)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"It cannot be read: {type(error).__name__}.", advice="Save it again.") from error
