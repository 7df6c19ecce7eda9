"""Writing databases as Caffe reads them: an LMDB folder of `Datum` messages, HDF5 files listed in `list.txt`, mean files.

Unencoded colour is stored BGR, as Caffe expects it; arrays come and go here as RGB.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.errors import BadRequest
from digits.storage.records.caffe_datum import make_datum, make_encoded, make_mean
from digits.storage.records.codec import encode

MAP_SIZE = 1 << 24
BATCH = 100  # records of one transaction
HDF5_LIMIT = 2**31  # elements of one data set in an HDF5 file
Record = tuple[NDArray[np.uint8], int]  # (C, H, W) RGB, number of the class


def write_lmdb(folder: Path, records: Iterable[Record], encoding: str = "none", map_size: int = 0) -> int:
    """Write records under the keys `%08d_LABEL`; how many. The map grows when it is full, unless `map_size` bytes are given."""
    count, size = 0, map_size or MAP_SIZE
    with lmdb.open(str(folder), map_size=size) as environment:
        remaining = iter(records)
        while batch := list(itertools.islice(remaining, BATCH)):
            items = [_item(count + place, array, label, encoding) for place, (array, label) in enumerate(batch)]
            while not _put(environment, items):
                if map_size:
                    raise BadRequest(f"{map_size:,} bytes are full after {count:,} records.", advice="Give a larger map size.")
                size *= 2
                environment.set_mapsize(size)
            count += len(items)
    return count


def _item(number: int, array: NDArray[np.uint8], label: int, encoding: str) -> tuple[bytes, bytes]:
    value = make_datum(array, label) if encoding == "none" else make_encoded(encode(array, encoding), array.shape, label)
    return f"{number:08d}_{label}".encode(), value


def _put(environment: Any, items: list[tuple[bytes, bytes]]) -> bool:
    """Put all of them in one transaction, or none where the map is full."""
    try:
        with environment.begin(write=True) as transaction:
            for key, value in items:
                transaction.put(key, value)
    except lmdb.MapFullError:
        return False
    return True


def write_hdf5(folder: Path, records: Iterable[Record], compression: str = "none", limit: int = HDF5_LIMIT) -> int:
    """Write `data` float32 (n, C, H, W), colour BGR, and `label` (n,) float32 into files of at most `limit` elements, named in
    `list.txt`; how many records."""
    import h5py

    folder.mkdir(parents=True, exist_ok=True)
    names, count = list[str](), 0
    for part in _parts(records, limit):
        names.append(f"{len(names)}.h5")
        with h5py.File(folder / names[-1], "w") as file:
            options = {"compression": "gzip"} if compression == "gzip" else {}
            arrays = np.stack([array[::-1] if len(array) == 3 else array for array, _ in part]).astype(np.float32)
            file.create_dataset("data", data=arrays, **options)
            file.create_dataset("label", data=np.array([label for _, label in part], np.float32), **options)
        count += len(part)
    (folder / "list.txt").write_text("".join(f"{(folder / name).absolute()}\n" for name in names))
    return count


def _parts(records: Iterable[Record], limit: int) -> Iterator[list[Record]]:
    """Records in lists of at most `limit` elements, and of one record at least."""
    part: list[Record] = []
    for record in records:
        if part and (len(part) + 1) * record[0].size > limit:
            yield part
            part = []
        part.append(record)
    if part:
        yield part


def write_mean(file: Path, mean: NDArray[np.float64]) -> None:
    """Write a mean (C, H, W), RGB, rounded to whole numbers, in the form of the file's ending: .binaryproto, .npy (C, H, W), or a
    picture's. BadRequest for another ending."""
    rounded = np.rint(mean).clip(0, 255).astype(np.uint8)
    if file.suffix == ".binaryproto":
        file.write_bytes(make_mean(rounded.astype(np.float32)))
    elif file.suffix == ".npy":
        np.save(file, rounded)
    else:
        plane = rounded[0] if len(rounded) == 1 else np.ascontiguousarray(rounded.transpose(1, 2, 0))
        buffer = io.BytesIO()
        try:
            Image.fromarray(plane).save(buffer, Image.registered_extensions()[file.suffix.lower()])
        except KeyError as error:
            raise BadRequest(
                f"{file.name} is no mean file.", advice="Its name ends in .binaryproto, .npy, .jpg or .png."
            ) from error
        file.write_bytes(buffer.getvalue())
