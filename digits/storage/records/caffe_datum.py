"""LMDB folders of Caffe `Datum` messages, read in place without protobuf's generated code.

A Datum is a protocol-buffer message: channels (1), height (2), width (3), data (4, bytes, C,H,W), label (5), float_data (6),
encoded (7). Unencoded colour is stored BGR and leaves here as RGB; encoded data is a PNG or JPEG file. Three numbers of one place
(3, 1, 1), such as a label of a regression, are no colour: they stay in the order in which they are stored.
"""

from __future__ import annotations

import io
import os
import struct
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import lmdb
import numpy as np
from numpy.typing import NDArray

from digits.errors import DataError
from digits.utils.confinement import Confinement
from digits.utils.image import image_to_array, load_image
from digits.utils.stored import read_deep

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_SIDE = 1 << 20
DATA = "data.mdb"
# The head of a page and of what LMDB keeps of a database in it (mdb.c, MDB_meta), as 64-bit machines write it: magic, version,
# the size of its map, the size of a page, the last page, the number of the transaction.
META = struct.Struct("<16x I I 8x Q I 44x 48x Q Q")
MAGIC = 0xBEEFC0DE
PAGE_SIZES = frozenset(1 << bits for bits in range(9, 17))
NEVER_WRITTEN = 16  # pages at the end that were freed again before they were written are missing in whole files too
FIRST_PAGE = 4096  # where the second one lies when the first is torn


class _Shared:
    """One opened environment; closed when its last user is gone."""

    def __init__(self, path: str) -> None:
        self.environment = lmdb.open(path, subdir=False, readonly=True, lock=False, max_readers=256, map_size=1)

    def __del__(self) -> None:
        environment = getattr(self, "environment", None)
        if environment is not None:
            environment.close()


_LOCK = threading.Lock()
_OPEN: weakref.WeakValueDictionary[str, _Shared] = weakref.WeakValueDictionary()  # LMDB allows one opening per process


def _open(key: str, path: str) -> _Shared:
    with _LOCK:
        shared = _OPEN.get(key)
        if shared is None:
            shared = _OPEN[key] = _Shared(path)
        return shared


@dataclass(frozen=True)
class Datum:
    """One record. `array` is (C, H, W), RGB, uint8, uint16 of an encoded picture of more bits, or float32; `label` the number in
    the record; `file` the PNG or JPEG that the array was decoded from, empty of one that was not encoded."""

    array: NDArray[Any]
    label: int
    file: bytes = b""

    def in_type(self, dtype: str) -> NDArray[Any]:
        """The array (C, H, W) for records of a type: those of older versions are uint8 also where the files have more bits."""
        narrower = dtype == "uint8" and bool(self.file) and self.array.dtype != np.uint8
        return _eight_bits(self.file) if narrower else self.array


class DatumDatabase:
    """A read-only LMDB folder; records in the order of their keys. Its file lies in the folder itself, or behind a link to where
    `allowed` lets it be. Raises DataError when the folder holds none, Forbidden for a link that leads elsewhere.
    """

    def __init__(self, path: Path, allowed: Confinement | None = None) -> None:
        self.path = path
        if not (path / DATA).is_file():
            raise DataError(f"{path} is no LMDB: it has no {DATA}.", advice=f"Name the folder that holds {DATA}.")
        allowed = allowed or Confinement([path])
        check_lmdb(path, allowed)
        try:
            with allowed.opened(path / DATA) as opened:
                self._shared: _Shared | None = _open(os.path.realpath(opened), opened)
            self._environment = self._shared.environment
        except lmdb.Error as error:
            raise DataError(f"{path} cannot be opened as an LMDB: {error}.") from error

    def __len__(self) -> int:
        with self._environment.begin() as transaction:
            return int(transaction.stat()["entries"])

    def iterate_keys(self) -> Iterator[bytes]:
        """All keys, ascending."""
        with self._environment.begin() as transaction:
            yield from transaction.cursor().iternext(keys=True, values=False)

    def get(self, key: bytes) -> Datum:
        """One record. Raises DataError when it is missing or no Datum."""
        with self._environment.begin(buffers=True) as transaction:
            value = transaction.get(key)
            if value is None:
                raise DataError(f"{self.path} has no record {key!r}.")
            return self._parse(key, value)

    def items(self, limit: int = 0) -> Iterator[tuple[str, Datum]]:
        """Key and record of the first `limit` records (0: all)."""
        with self._environment.begin(buffers=True) as transaction:
            for number, (key, value) in enumerate(transaction.cursor()):
                if limit and number >= limit:
                    return
                yield bytes(key).decode("utf-8", "replace"), self._parse(bytes(key), value)

    def close(self) -> None:
        """Release the folder; another reader of the same folder goes on."""
        self._shared = None
        del self._environment

    def __enter__(self) -> DatumDatabase:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _parse(self, key: bytes, value: memoryview) -> Datum:
        try:
            return parse_datum(value)
        except (ValueError, IndexError, struct.error) as error:
            raise DataError(f"Record {key!r} of {self.path} is no Datum: {error}.") from error


def check_lmdb(path: Path, allowed: Confinement) -> None:
    """Compare what an LMDB says of its size with its file: pages that are not there would end the process that reads them. Raises
    DataError, Forbidden."""
    try:
        with allowed.open(path / DATA) as file:
            size, page = os.fstat(file.fileno()).st_size, FIRST_PAGE
            metas = []
            for _ in range(2):  # two take turns
                found = META.unpack(file.read(META.size))
                magic, _, _, page_size, last_page, number = found
                metas.append((number, magic, page_size, last_page))
                page = page_size if magic == MAGIC and page_size in PAGE_SIZES else page
                file.seek(page)
    except (OSError, struct.error) as error:
        raise DataError(f"{path} cannot be opened as an LMDB: {error}.") from error
    known = [meta for meta in metas if meta[1] == MAGIC and meta[2] in PAGE_SIZES]
    if not known:
        raise DataError(f"{path} cannot be opened as an LMDB: its {DATA} begins in another way.")
    _, _, page_size, last_page = max(known)
    missing = last_page + 1 - size // page_size
    if missing > max(NEVER_WRITTEN, last_page // 100):
        raise DataError(
            f"{path} says that it has {last_page + 1} pages of {page_size} bytes, its {DATA} has {size} bytes.",
            advice="Copy it once more, whole.",
        )


def parse_datum(message: bytes | memoryview) -> Datum:
    """The record in a message. Raises ValueError when it is none."""
    view = memoryview(message)
    numbers = {1: 0, 2: 0, 3: 0, 5: 0, 7: 0}
    data: memoryview = memoryview(b"")
    floats: list[NDArray[np.float32]] = []
    for field, _, value in _fields(view):
        if field in numbers and isinstance(value, int):
            numbers[field] = value
        elif field == 4 and isinstance(value, memoryview):
            data = value
        elif field == 6 and isinstance(value, memoryview):
            floats.append(np.frombuffer(value, "<f4"))
    label = numbers[5] - (1 << 64) if numbers[5] >= 1 << 63 else numbers[5]
    if numbers[7]:
        file = bytes(data)
        return Datum(_decoded(file), label, file)
    shape = (numbers[1], numbers[2], numbers[3])
    array = _raw(data, floats, shape)
    return Datum(array if _is_number_list(shape) else _rgb(array), label)


def make_datum(array: NDArray[Any], label: int = 0) -> bytes:
    """The message of an array (C, H, W), RGB: uint8 as bytes, anything else as floats."""
    ordered = np.ascontiguousarray(array if _is_number_list(array.shape) else _rgb(array))
    head = b"".join(_varint(number << 3) + _varint(size) for number, size in zip((1, 2, 3), array.shape, strict=True))
    if array.dtype == np.uint8:
        body = _varint(4 << 3 | BYTES) + _varint(ordered.nbytes) + ordered.tobytes()
    else:
        values = ordered.astype("<f4").tobytes()
        body = _varint(6 << 3 | BYTES) + _varint(len(values)) + values
    return head + body + _varint(5 << 3) + _varint(label & (1 << 64) - 1)


def make_encoded(data: bytes, shape: tuple[int, ...], label: int = 0) -> bytes:
    """The message of a PNG or JPEG file with a picture of (C, H, W)."""
    head = b"".join(_varint(number << 3) + _varint(size) for number, size in zip((1, 2, 3), shape, strict=True))
    body = _varint(4 << 3 | BYTES) + _varint(len(data)) + data
    return head + body + _varint(5 << 3) + _varint(label & (1 << 64) - 1) + _varint(7 << 3) + _varint(1)


def make_mean(array: NDArray[np.float32]) -> bytes:
    """The `.binaryproto` of a mean (C, H, W), RGB."""
    values = np.ascontiguousarray(_rgb(array)).astype("<f4").tobytes()
    sizes = zip((1, 2, 3, 4), (1, *array.shape), strict=True)
    head = b"".join(_varint(number << 3) + _varint(size) for number, size in sizes)
    return head + _varint(5 << 3 | BYTES) + _varint(len(values)) + values


def parse_mean(message: bytes, feature_shape: tuple[int, ...] | None = None) -> NDArray[np.float32]:
    """The array (C, H, W), RGB, of a `.binaryproto` (a BlobProto: num, channels, height, width, data), in whose place one colour
    may stand; in the order of features of `feature_shape`. Raises ValueError."""
    sizes = {1: 1, 2: 0, 3: 0, 4: 0}
    floats: list[NDArray[np.float32]] = []
    dims: list[int] = []
    for field, _, value in _fields(memoryview(message)):
        if field in sizes and isinstance(value, int):
            sizes[field] = value
        elif field == 5 and isinstance(value, memoryview):
            floats.append(np.frombuffer(value, "<f4"))
        elif field == 7 and isinstance(value, memoryview):
            dims = [size for _, _, part in _fields(value) for size in _packed(part)]
    shape = tuple(dims[-3:]) if len(dims) >= 3 else (sizes[2], sizes[3], sizes[4])
    values = np.concatenate(floats) if floats else np.empty(0, np.float32)
    mean = _shaped(values, shape)
    return mean if _is_number_list(feature_shape) else _rgb(mean)


def _fields(view: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Number, wire type and value of each field of a message. Raises ValueError for bytes that are none."""
    at = 0
    while at < len(view):
        tag, at = _read_varint(view, at)
        kind = tag & 7
        value: int | memoryview
        if kind == VARINT:
            value, at = _read_varint(view, at)
        elif kind in (FIXED32, FIXED64, BYTES):
            size, at = _read_varint(view, at) if kind == BYTES else (4 if kind == FIXED32 else 8, at)
            value, at = view[at : at + size], at + size
            if at > len(view):
                raise ValueError("it ends in the middle of a field")
        else:
            raise ValueError(f"wire type {kind} is unknown")
        yield tag >> 3, kind, value


def _read_varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _packed(part: int | memoryview) -> list[int]:
    if isinstance(part, int):
        return [part]
    values, at = [], 0
    while at < len(part):
        value, at = _read_varint(part, at)
        values.append(value)
    return values


def _raw(data: memoryview, floats: list[NDArray[np.float32]], shape: tuple[int, int, int]) -> NDArray[Any]:
    if len(data):
        return _shaped(np.frombuffer(data, np.uint8), shape).copy()
    return _shaped(np.concatenate(floats) if floats else np.empty(0, np.float32), shape).copy()


def _shaped(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if min(shape) < 1 or max(shape) > MAX_SIDE or values.size != int(np.prod(shape)):
        raise ValueError(f"it has {values.size} values for a shape of {shape}")
    return values.reshape(shape)


def _decoded(file: bytes) -> NDArray[Any]:
    """The picture of a file, (C, H, W); of more than 8 bits a channel in the numbers of the file."""
    deep = read_deep(file, "The encoded picture")
    return _eight_bits(file) if deep is None else _channels_first(deep)


def _eight_bits(file: bytes) -> NDArray[np.uint8]:
    return _channels_first(image_to_array(load_image(io.BytesIO(file))))


def _channels_first(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array[np.newaxis] if array.ndim == 2 else array.transpose(2, 0, 1))


def _rgb(array: NDArray[Any]) -> NDArray[Any]:
    """BGR to RGB and back for three channels; anything else unchanged."""
    return array[::-1] if array.shape[0] == 3 else array


def _is_number_list(shape: tuple[int, ...] | None) -> bool:
    """Whether it is the shape of numbers of one place, which are no picture."""
    return shape is not None and shape[1:] == (1, 1)
