"""What picture files store is what is read: every format, depth, compression and orientation."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from digits.errors import LoadImageError
from digits.images.prepare import read_format
from digits.utils.image import load_array, load_image
from digits.utils.stored import read_stored, turned

GREY = np.random.default_rng(0).integers(0, 200, (7, 11), np.uint8)
DEEP = GREY.astype(np.uint16) * 300
BITS = GREY > 100


def grey_png(samples: np.ndarray, bits: int) -> bytes:
    """A PNG of one channel with so many bits a sample; `samples` (H, W)."""
    height, width = samples.shape
    planes = np.unpackbits(samples.astype(">u2").view(np.uint8).reshape(height, width, 2), axis=2)[:, :, 16 - bits :]
    rows = np.packbits(planes.reshape(height, -1), axis=1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def fault_of(path: Path) -> str:
    try:
        read_stored(path)
    except LoadImageError as error:
        return error.message
    return ""


@settings(derandomize=True, deadline=None, max_examples=40)
@given(data=st.data(), bits=st.sampled_from([1, 2, 4, 8, 16]))
def test_grey_png_is_its_samples(data: st.DataObject, bits: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    shape = st.tuples(st.integers(1, 9), st.integers(1, 9))
    samples = data.draw(hnp.arrays(np.uint16, shape, elements=st.integers(0, (1 << bits) - 1)))
    path = tmp_path_factory.mktemp("png") / "x.png"
    path.write_bytes(grey_png(samples, bits))
    assert (load_array(path) == samples).all()


@pytest.mark.parametrize("most", [1, 3, 100, 300, 4095, 65535])
def test_grey_pgm_is_its_numbers(tmp_path: Path, most: int) -> None:
    samples = np.random.default_rng(most).integers(0, most + 1, (5, 6))
    header = f"P5\n# made by hand\n6 5\n{most}\n".encode()
    (tmp_path / "x.pgm").write_bytes(header + samples.astype(">u1" if most < 256 else ">u2").tobytes())
    (tmp_path / "y.pgm").write_text(f"P2 6 5 {most}\n" + " ".join(map(str, samples.reshape(-1))))
    for name in ("x.pgm", "y.pgm"):
        found = load_array(tmp_path / name)
        assert (found == samples).all()
        assert str(found.dtype) == read_format(str(tmp_path / name)).dtype  # type: ignore[union-attr]


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "packbits", "group3", "group4"])
def test_tiff_of_every_compression(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "x.tif"
    options: dict[str, Any] = {"compression": compression} if compression else {}
    for array in (BITS,) if compression in ("group3", "group4") else (BITS, GREY, DEEP):
        Image.fromarray(array).save(path, **options)
        found = read_stored(path)
        assert (found.values == array).all()
        assert found.values.dtype == (np.uint8 if array is BITS else array.dtype)
        assert not found.is_lossy


def test_tiff_of_deep_colours_and_floats_with_lzw(tmp_path: Path) -> None:
    colours = np.random.default_rng(1).integers(0, 60000, (7, 11, 3)).astype(np.uint16)
    floats = np.random.default_rng(1).random((7, 11)).astype(np.float32)
    lzw = [cv2.IMWRITE_TIFF_COMPRESSION, 5]
    cv2.imwrite(str(tmp_path / "c.tif"), colours[:, :, ::-1], lzw)
    cv2.imwrite(str(tmp_path / "f.tif"), floats, lzw)
    assert (load_array(tmp_path / "c.tif") == colours).all()
    assert (load_array(tmp_path / "f.tif") == floats).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_is_stored_turned_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "x.tif"
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(GREY).save(tmp_path / "x.png", exif=exif)
    upright = np.asarray(load_image(tmp_path / "x.png"))  # as Pillow turns it
    assert (turned(GREY, orientation) == upright).all()
    assert (load_array(tmp_path / "x.png") == upright).all()
    for array in (GREY, DEEP):
        tifffile.imwrite(path, array, extratags=[(274, "H", 1, orientation, True)])
        assert (read_stored(path).values == turned(array, orientation)).all()
        Image.fromarray(array).save(path, compression="tiff_lzw", tiffinfo={274: orientation})
        assert (read_stored(path).values == turned(array, orientation)).all()
        assert read_stored(path).orientation == orientation


def test_the_content_decides_and_not_the_ending(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png", format="TIFF")
    Image.fromarray(GREY).save(tmp_path / "a.tif", format="PNG")
    Image.fromarray(DEEP).save(tmp_path / "b.jpg", format="TIFF")
    assert (load_array(tmp_path / "a.png") == GREY).all()
    assert (load_array(tmp_path / "a.tif") == GREY).all()
    assert (load_array(tmp_path / "b.jpg") == DEEP).all()
    assert read_format(str(tmp_path / "b.jpg")).dtype == "uint16"  # type: ignore[union-attr]


def test_files_that_lose_something_say_so(tmp_path: Path) -> None:
    picture = Image.fromarray(GREY)
    picture.save(tmp_path / "j.png", format="JPEG")
    picture.save(tmp_path / "j.tif", compression="jpeg")
    picture.save(tmp_path / "w.webp")
    picture.save(tmp_path / "l.webp", lossless=True)
    assert [read_stored(tmp_path / name).is_lossy for name in ("j.png", "j.tif", "w.webp", "l.webp")] == [True, True, True, False]


def test_white_is_zero_in_one_bit_and_a_number_otherwise(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "b.tif", BITS, photometric="miniswhite")
    tifffile.imwrite(tmp_path / "g.tif", GREY, photometric="miniswhite")
    assert (load_array(tmp_path / "b.tif") == ~BITS).all()
    assert (load_array(tmp_path / "g.tif") == GREY).all()


@pytest.mark.filterwarnings("ignore")  # Pillow's, of what is torn
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate"])
def test_torn_files_are_named(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "x.tif"
    Image.fromarray(GREY).save(path, **({"compression": compression} if compression else {}))
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(40):
        torn = bytearray(data[: rng.integers(4, len(data))] if rng.random() < 0.5 else data)
        torn[rng.integers(4, len(torn))] ^= 1 << rng.integers(8)
        path.write_bytes(torn)
        message = fault_of(path)
        assert not message or str(path) in message
