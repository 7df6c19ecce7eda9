"""What a file says of its size is compared with its size before anything is built of it: a few kilobytes cost neither time nor
memory, whatever they claim."""

from __future__ import annotations

import gzip
import io
import json
import struct
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless

from digits.errors import DataError, DigitsError, LoadImageError
from digits.extensions.data.dicom import nifti, scan
from digits.extensions.data.dicom.segmentation import read_segmentation
from digits.extensions.data.files.yaml_files import read_yaml
from digits.extensions.data.images.coco_shapes import mask_of, runs_of
from digits.storage.records.caffe_datum import DatumDatabase, parse_datum
from digits.storage.records.caffe_writer import write_lmdb
from digits.utils.confinement import Confinement
from digits.utils.image import load_array, load_image
from tests.extensions.data import test_dicom

EVERYTHING = Confinement(["/"])


@contextmanager
def cheap(seconds: float = 2.0, megabytes: int = 64) -> Iterator[None]:
    """The block takes little time and memory."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        yield
        assert time.monotonic() - began < seconds
        assert tracemalloc.get_traced_memory()[1] < megabytes << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("frames", [30_000_000, 2**31 - 1, 2000])
def test_a_dicom_file_of_frames_that_it_cannot_hold(tmp_path: Path, frames: int) -> None:
    dataset = test_dicom.write(tmp_path / "a.dcm", np.ones((4, 4), np.uint16))
    dataset.NumberOfFrames = frames
    dataset.save_as(tmp_path / "a.dcm")
    dataset.SOPClassUID = scan.SEGMENTATION
    dataset.save_as(tmp_path / "seg.dcm")
    with cheap():
        found = scan.find_slices(tmp_path, EVERYTHING)
        with pytest.raises(DataError, match="frames of 4x4 pixels"):
            read_segmentation(str(tmp_path / "seg.dcm"), "seg")
    assert found.slices == []
    assert [name for name, reason in found.damaged if f"{frames:,} frames of 4x4 pixels in" in reason] == ["a.dcm", "seg.dcm"]


def test_a_dicom_file_with_many_small_frames_is_read(tmp_path: Path) -> None:
    test_dicom.write(tmp_path / "a.dcm", np.ones((1500, 8, 8), np.uint16))
    assert len(scan.find_slices(tmp_path, EVERYTHING).slices) == 1500


def test_a_dicom_picture_of_more_pixels_than_any(tmp_path: Path) -> None:
    dataset = test_dicom.write(tmp_path / "a.dcm", np.ones((4, 4), np.uint16))
    dataset.Rows = dataset.Columns = 65535
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(60)])
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with cheap():
        (damaged,) = scan.find_slices(tmp_path, EVERYTHING).damaged
    assert "65535x65535 pixels" in damaged[1]


def test_a_deflated_dicom_file_that_becomes_huge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.extensions.data.dicom.reading.MOST_UNPACKED", 1 << 24)
    dataset = test_dicom.write(tmp_path / "a.dcm", np.ones((4, 4), np.uint16))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert len(scan.find_slices(tmp_path, EVERYTHING).slices) == 1
    data = (tmp_path / "a.dcm").read_bytes()
    start = 128 + 4 + 12 + struct.unpack("<I", data[140:144])[0]
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    inner = zlib.decompress(data[start:], -zlib.MAX_WBITS)
    body = packing.compress(inner) + b"".join(packing.compress(bytes(1 << 20)) for _ in range(40)) + packing.flush()
    (tmp_path / "a.dcm").write_bytes(data[:start] + body)
    with cheap():
        (damaged,) = scan.find_slices(tmp_path, EVERYTHING).damaged
    assert "unpacks to more than 16 MiB" in damaged[1]


def nested_aliases(levels: int, width: int = 9) -> str:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, levels + 1)]
    return "\n".join([*lines, f"names: *a{levels}", f"kpt_shape: *a{levels}"])


@pytest.mark.parametrize(
    "text",
    [nested_aliases(9), nested_aliases(40, 2), "names: &a [*a]\n", "a: &a {b: *a}\nnames: *a\n", "&a ? *a : 1", "[" * 20_000],
)
def test_yaml_that_stands_for_more_than_it_holds(tmp_path: Path, text: str) -> None:
    (tmp_path / "data.yaml").write_text(text)
    with cheap(10.0), pytest.raises(DataError):
        read_yaml(tmp_path / "data.yaml")


def test_yaml_with_aliases_as_people_use_them(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("base: &names [cat, 'no', 1.0]\nnames: *names\nnc: 3\n")
    assert read_yaml(tmp_path / "data.yaml")["names"] == ["cat", "no", "1.0"]
    (tmp_path / "data.yaml").write_text("")
    assert read_yaml(tmp_path / "data.yaml") is None


def nifti_header(shape: tuple[int, ...], kind: int = 16) -> bytearray:
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into(f"<h{len(shape)}h", header, 40, len(shape), *shape)
    struct.pack_into("<h", header, 70, kind)
    struct.pack_into("<f", header, 108, 352)
    header[344:348] = b"n+1\0"
    return header


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [(1000, 1000, 900), (32767, 32767, 32767), (32767,) * 7])
def test_a_nifti_volume_that_is_not_there(tmp_path: Path, packed: bool, shape: tuple[int, ...]) -> None:
    header = bytes(nifti_header(shape))
    (tmp_path / "a.nii").write_bytes(gzip.compress(header) if packed else header)
    with cheap(), pytest.raises(DataError, match=r"It says that it h|It ends after"):
        nifti.read_volume(str(tmp_path / "a.nii"))


def npy(shape: tuple[int, ...], kind: str = "<f8") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    return file.getvalue() + bytes(64)


@pytest.mark.parametrize("shape", [(100_000, 100_000), (2**40, 2**40), (2**62, 4), (5,), (0, 2**50)])
def test_a_npy_file_of_values_that_are_not_there(tmp_path: Path, shape: tuple[int, ...]) -> None:
    (tmp_path / "a.npy").write_bytes(npy(shape))
    with cheap(), pytest.raises(LoadImageError):
        load_array(tmp_path / "a.npy")


def test_a_npy_file_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(LoadImageError, match="allow_pickle=False"):
        load_array(tmp_path / "a.npy")


def tiff(width: int, height: int, compression: int = 1) -> bytes:
    tags = ((256, 4, width), (257, 4, height), (258, 3, 16), (259, 3, compression), (262, 3, 1), (273, 4, 8), (277, 3, 1))
    tags += ((278, 4, height), (279, 4, 16))
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return struct.pack("<2sHI", b"II", 42, 24) + bytes(16) + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)


@pytest.mark.parametrize(("width", "height"), [(9000, 9000), (65000, 65000), (2**32 - 1, 2**32 - 1)])
def test_a_tiff_of_values_that_are_not_there(tmp_path: Path, width: int, height: int) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(width, height))
    with cheap(), pytest.raises(LoadImageError):
        load_array(tmp_path / "a.tif")


def test_a_png_that_claims_a_hundred_thousand_pixels_a_side(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(file, "png")
    data = bytearray(file.getvalue())
    struct.pack_into(">II", data, 16, 100_000, 100_000)
    struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    (tmp_path / "a.png").write_bytes(data)
    for read in (load_image, load_array):
        with cheap(), pytest.raises(LoadImageError, match="too large"):
            read(str(tmp_path / "a.png"))


def test_a_picture_that_is_a_program_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) print\nshowpage\n%%EOF\n"
    )
    for read in (load_image, load_array):
        with pytest.raises(LoadImageError, match="EPS, which is a program"):
            read(str(tmp_path / "a.png"))


@pytest.mark.parametrize(
    "runs",
    [
        {"size": [100_000, 100_000], "counts": [10_000_000_000]},
        {"size": [10**9, 10**9], "counts": []},
        {"size": [10, 10], "counts": "o" * 1_000_000},
        {"size": [10, 10], "counts": [10**4000, -(10**4000) + 100]},
        {"size": [10, 10], "counts": [10**400]},
        {"size": [10, 10], "counts": [-(10**400), 9]},
        {"size": [[[]]] * 9, "counts": "x"},
    ],
)
def test_run_lengths_of_more_pixels_than_a_picture_has(runs: dict[str, Any]) -> None:
    with cheap(), pytest.raises(ValueError):
        runs_of(runs)


def test_polygons_of_numbers_beyond_all_pictures() -> None:
    for points in ([1, 2, 3, 10**400, 5, 6], [1e999] * 6, [0, 0, 9, 0, 9, float("nan")]):
        with pytest.raises(ValueError):
            mask_of([points], 10, 10)
    with cheap(), pytest.raises(ValueError, match="more than a picture may have"):
        mask_of([[0, 0, 9, 0, 9, 9]], 100_000, 100_000)


def test_json_that_is_deep_or_has_endless_numbers(tmp_path: Path) -> None:
    from digits.extensions.data.files.text import read_json

    for text in ("[" * 100_000 + "]" * 100_000, '{"a":' * 100_000, "[" + "9" * 5000 + "]"):
        (tmp_path / "a.json").write_text(text)
        with cheap(), pytest.raises(DataError, match="cannot be read as JSON"):
            read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text(json.dumps([1]))
    assert read_json(tmp_path / "a.json") == [1]


def test_a_datum_of_values_that_are_not_there() -> None:
    sizes = b"\x08\xff\xff\x3f\x10\xff\xff\x3f\x18\xff\xff\x3f"
    for message in (sizes, sizes + b"\x22\x04abcd", b"\x22\xff\xff\xff\xff\x0fab", b"\x08" + b"\xff" * 20):
        with cheap(), pytest.raises((ValueError, IndexError)):
            parse_datum(message)


def test_an_lmdb_that_was_cut_off(tmp_path: Path) -> None:
    records = [(np.full((1, 64, 64), n, np.uint8), n) for n in range(200)]
    write_lmdb(tmp_path / "db", records)
    with DatumDatabase(tmp_path / "db") as database:
        assert len(database) == 200
    file = tmp_path / "db" / "data.mdb"
    data = file.read_bytes()
    for cut, words in ((len(data) // 2, "has .* bytes"), (5000, "bytes"), (10, "cannot be opened"), (0, "cannot be opened")):
        file.write_bytes(data[:cut])
        with pytest.raises(DataError, match=words):
            DatumDatabase(tmp_path / "db")
    for garbage in (b"\xff" * 20_000, bytes(20_000)):
        file.write_bytes(garbage)
        with pytest.raises(DigitsError):
            DatumDatabase(tmp_path / "db")
