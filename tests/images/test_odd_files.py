"""An archive's scripts read files of rare kinds as digits does: by their content, turned as they say, with the numbers that are
stored; and they refuse what digits refuses."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from digits.errors import LoadImageError
from digits.images.prepare import PictureHeader, Preparation, read_format
from digits.images.prepare_for_model import Preparer, prepare
from digits.service.models.templates.predicting import UNUSABLE, load_picture, load_values, origin_of, read_feature
from digits.utils.image import load_array, load_described, load_image

HEIGHT, WIDTH = 5, 7
COLOUR = np.random.default_rng(2).integers(300, 65_000, (HEIGHT, WIDTH, 3)).astype(np.uint16)
GREY = COLOUR[:, :, 0]
ORIENTATION = 274
WHITE_IS_ZERO = {262: 0}
TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # EXIF 2.32, 4.6.4: where the first row and column of the file are
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: lambda x: np.rot90(x),
    9: lambda x: x,  # which is none
}


def meta_of(dtype: str, channels: int, **how: Any) -> dict[str, Any]:
    shape = [channels, HEIGHT, WIDTH]
    image = Preparation(WIDTH, HEIGHT, channels, dtype=dtype, **how).to_json()
    stored = "uint8" if dtype == "8-bit" else dtype
    return {"input_shape": [channels, 1, 1], "stored_shape": shape, "preparation": {"dtype": stored}, "image": image}


def check(path: Path, meta: dict[str, Any], expected: np.ndarray) -> None:
    """Digits and the archive make a feature of `expected` (H, W) or (H, W, C)."""
    expected = expected.reshape(*expected.shape[:2], -1).transpose(2, 0, 1)
    np.testing.assert_array_equal(prepare(path, meta), expected)
    np.testing.assert_array_equal(read_feature(path, meta), expected)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize("name", ["a.tif", "a.dat", "picture"])
@pytest.mark.parametrize("write", [lambda f: tifffile.imwrite(f, COLOUR, photometric="rgb"), lambda f: np.save(f, COLOUR)])
def test_the_content_of_a_file_decides_how_it_is_read(tmp_path: Path, name: str, write: Callable[[Any], None]) -> None:
    data = io.BytesIO()
    write(data)
    (tmp_path / name).write_bytes(data.getvalue())
    check(tmp_path / name, meta_of("uint16", 3), COLOUR)


def test_values_of_a_plugins_records_are_read_by_their_content(tmp_path: Path) -> None:
    """Nobody knows how the plugin read its files: an array is taken as it is, not as a picture."""
    meta = {**meta_of("uint16", 3), "image": {}}
    np.save(tmp_path / "a.npy", COLOUR >> 8)
    small = (COLOUR >> 8).astype(np.uint8)
    np.save(tmp_path / "small.npy", small)
    for name in ("a", "small"):
        file = (tmp_path / f"{name}.npy").rename(tmp_path / f"{name}.bin")
        check(file, meta, COLOUR >> 8)


@pytest.mark.parametrize(
    ("kind", "orientation"),
    [(kind, turn) for kind in ("tif", "lzw.tif", "png", "late.png") for turn in TURNS if (kind, turn) != ("lzw.tif", 9)],
)  # libtiff writes no 9
def test_pictures_of_sixteen_bits_are_turned_as_they_say(tmp_path: Path, kind: str, orientation: int) -> None:
    path = tmp_path / f"turned.{kind}"
    if kind == "tif":
        tifffile.imwrite(path, COLOUR, photometric="rgb", extratags=[(ORIENTATION, "H", 1, orientation, True)])
        expected = COLOUR
    elif kind == "lzw.tif":  # of which tifffile alone knows nothing
        Image.fromarray(GREY).save(path, compression="tiff_lzw", tiffinfo={ORIENTATION: orientation})
        expected = GREY
    else:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        data = cv2.imencode(".png", COLOUR[:, :, ::-1])[1].tobytes()
        place = len(data) - 12 if kind == "late.png" else 33  # in front of IEND, or behind IHDR
        path.write_bytes(data[:place] + chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + data[place:])
        expected = COLOUR
    expected = TURNS[orientation](expected)
    meta = meta_of("uint16", 1 if expected.ndim == 2 else 3, keep_size=True)
    check(path, meta, expected)
    assert tuple(origin_of(path, meta)["size"]) == Preparer(meta).prepared(path).origin.size == expected.shape[1::-1]


@pytest.mark.parametrize("channels", [1, 3])
def test_one_transparent_colour_is_white(tmp_path: Path, channels: int) -> None:
    values = (COLOUR >> 8).astype(np.uint8) if channels == 3 else (GREY % 4).astype(np.uint8)
    clear = values[2, 3].copy()
    Image.fromarray(values).save(tmp_path / "a.png", transparency=tuple(clear.tolist()) if channels == 3 else int(clear))
    is_clear = (values == clear).reshape(HEIGHT, WIDTH, -1).all(axis=2)
    expected = values.copy()
    expected[is_clear] = 255
    check(tmp_path / "a.png", meta_of("8-bit", channels), expected)


@pytest.mark.parametrize(
    ("value", "dtype"), [(-5, "int32"), (70_000, "int32"), (0.5, "float32")], ids=["negative", "17 bits", "floating point"]
)
def test_what_eight_bits_do_not_hold_is_refused(tmp_path: Path, value: float, dtype: str) -> None:
    Image.fromarray(np.full((HEIGHT, WIDTH), value, dtype)).save(tmp_path / "a.tif")
    refused(tmp_path / "a.tif", meta_of("8-bit", 1), "8 bits a channel is needed")


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.full((HEIGHT, WIDTH), 1e300), "float32"),
        (np.ones((HEIGHT, WIDTH), bool), "uint16"),
        (np.ones((2, HEIGHT, WIDTH, 1), np.uint16), "uint16"),
        (np.ones(HEIGHT, np.uint16), "uint16"),
    ],
    ids=["too large", "truth", "four axes", "one axis"],
)
def test_values_that_are_no_picture_of_the_models_type_are_refused(tmp_path: Path, values: np.ndarray, dtype: str) -> None:
    np.save(tmp_path / "a.npy", values)
    refused(tmp_path / "a.npy", meta_of(dtype, 1), str(values.dtype))


def test_values_that_are_infinite_in_the_file_are_those_of_the_file(tmp_path: Path) -> None:
    values = np.where(GREY > 30_000, np.inf, np.where(GREY > 10_000, np.nan, 0.25))
    np.save(tmp_path / "a.npy", values)
    check(tmp_path / "a.npy", meta_of("float32", 1), values.astype(np.float32))


@pytest.mark.parametrize("kind", ["tif", "zlib.tif", "png", "npy"])
def test_a_torn_file_is_refused_and_the_others_go_on(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    if kind == "npy":
        np.save(path, COLOUR)
    elif kind == "png":
        cv2.imwrite(str(path), COLOUR)
    else:
        tifffile.imwrite(path, COLOUR, photometric="rgb", compression="zlib" if kind == "zlib.tif" else None)
    path.write_bytes(path.read_bytes()[: 10 if kind == "tif" else -80])
    refused(path, meta_of("uint16", 3))


def test_a_file_that_claims_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", COLOUR, photometric="rgb")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as tiff:
        for name in ("ImageWidth", "ImageLength"):
            tiff.pages[0].tags[name].overwrite(30_000)
    refused(tmp_path / "a.tif", meta_of("uint16", 3), "is too large")


def test_a_program_is_no_picture(tmp_path: Path) -> None:
    Image.fromarray((GREY >> 8).astype(np.uint8)).save(tmp_path / "a.eps")
    for dtype in ("8-bit", "uint16"):
        refused(tmp_path / "a.eps", meta_of(dtype, 1), "is EPS, which is a program")


def refused(path: Path, meta: dict[str, Any], words: str | None = None) -> None:
    with pytest.raises(LoadImageError, match=words):
        prepare(path, meta)
    with pytest.raises(UNUSABLE, match=words):
        read_feature(path, meta)


@pytest.mark.parametrize("compression", ["raw", "group4"])
@pytest.mark.parametrize("counts_from_white", [False, True])
def test_of_one_bit_0_is_black(tmp_path: Path, compression: str, counts_from_white: bool) -> None:
    bits = GREY % 2 == 1
    tags = {262: 0 if counts_from_white else 1}
    Image.fromarray(bits).save(tmp_path / "a.tif", compression=compression, tiffinfo=tags)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.pages.first.photometric == tags[262]
    black_is_0 = np.asarray(Image.open(tmp_path / "a.tif"))
    check(tmp_path / "a.tif", meta_of("uint16", 1), black_is_0)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
@pytest.mark.parametrize("values", [GREY, (GREY >> 8).astype(np.uint8)], ids=["16 bits", "8 bits"])
def test_grey_that_counts_from_white_is_turned_round(tmp_path: Path, compression: str, values: np.ndarray) -> None:
    Image.fromarray(values).save(tmp_path / "a.tif", compression=compression, tiffinfo=WHITE_IS_ZERO)
    shown = np.asarray(Image.open(tmp_path / "a.tif"))
    expected = shown if values.dtype == np.uint8 else 65535 - shown  # Pillow turns round 8 bits itself
    check(tmp_path / "a.tif", meta_of("uint16", 1), expected)


def test_grey_has_the_numbers_of_the_file_not_those_that_pillow_scales_to_the_whole_range(tmp_path: Path) -> None:
    for bits in (2, 4):
        values = (GREY % 2**bits).astype(np.uint8)
        rows = [b"\0" + packed(row, bits) for row in values]
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, 0, 0, 0, 0))
        body = header + chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b"")
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
        check(tmp_path / "a.png", meta_of("uint16", 1), values)
    for most, dtype in ((100, "u1"), (4095, ">u2")):
        values = GREY % (most + 1)
        (tmp_path / "a.pgm").write_bytes(
            b"P5\n# a camera's\n%d %d\n%d\n" % (WIDTH, HEIGHT, most) + values.astype(dtype).tobytes()
        )
        check(tmp_path / "a.pgm", meta_of("int32", 1), values)


def packed(row: np.ndarray, bits: int) -> bytes:
    """Numbers of so many bits, the first in the highest."""
    return np.packbits(np.unpackbits(row[:, None], axis=1)[:, -bits:]).tobytes()


def jpeg_2000(values: np.ndarray, bits: int, *, boxes: bool = False) -> bytes:
    """A lossless file of values of so many bits: one of 8 or 16 whose header (ISO/IEC 15444-1, A.5.1) says another depth; values
    are counted from the middle of the range."""
    whole = 16 if bits > 8 else 8
    moved = (values.astype(int) + 2 ** (whole - 1) - 2 ** (bits - 1)).astype(f"u{whole // 8}")
    if moved.ndim == 3 and whole == 16:
        data = bytearray(cv2.imencode(".jp2", moved[..., ::-1], [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])[1].tobytes())
    else:
        file = io.BytesIO()
        Image.fromarray(moved).save(file, "JPEG2000", no_jp2=not boxes, irreversible=False, num_resolutions=1)
        data = bytearray(file.getvalue())
    at = data.find(b"\xff\x4f\xff\x51")
    for channel in range(int.from_bytes(data[at + 40 : at + 42], "big")):
        data[at + 42 + 3 * channel] = bits - 1
    return bytes(data)


@pytest.mark.parametrize("bits", [1, 4, 8, 10, 12, 15, 16])
@pytest.mark.parametrize("boxes", [False, True])
def test_grey_of_jpeg_2000_has_the_numbers_of_the_file(tmp_path: Path, bits: int, boxes: bool) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, (HEIGHT, WIDTH)).astype(np.uint8 if bits <= 8 else np.uint16)
    file = tmp_path / "a.dat"
    file.write_bytes(jpeg_2000(values, bits, boxes=boxes))
    np.testing.assert_array_equal(load_array(file), values)
    if bits > 8:
        check(file, meta_of("uint16", 1), values)


@pytest.mark.parametrize("bits", [10, 16])
def test_colours_of_jpeg_2000_keep_their_bits(tmp_path: Path, bits: int) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, (64, 96, 3)).astype(np.uint16)
    file = tmp_path / "a.jp2"
    file.write_bytes(jpeg_2000(values, bits))
    assert read_format(str(file)) == PictureHeader("uint16", 3)
    assert load_described(file).was_deep
    np.testing.assert_array_equal(load_array(file), values)
    np.testing.assert_array_equal(load_values(file), values)


@pytest.mark.parametrize("most", [1023, 4095, 65535])
@pytest.mark.parametrize("plain", [False, True])
def test_colours_of_a_deep_ppm_keep_their_bits(tmp_path: Path, most: int, plain: bool) -> None:
    values = (COLOUR.astype(int) * most // 65535).astype(np.uint16)
    head = f"P{3 if plain else 6}\n# a remark\n{WIDTH} {HEIGHT}\n{most}\n".encode()
    file = tmp_path / "a.ppm"
    file.write_bytes(head + (" ".join(map(str, values.ravel())).encode() if plain else values.astype(">u2").tobytes()))
    assert read_format(str(file)) == PictureHeader("uint16", 3)
    check(file, meta_of("uint16", 3), values)


@pytest.mark.parametrize("kind", ["TGA", "BMP"])
@pytest.mark.parametrize("alpha", [0, 255, 60])
def test_a_fourth_byte_that_is_always_0_is_no_transparency(tmp_path: Path, kind: str, alpha: int) -> None:
    """As programs write it that have no use for it; else what is transparent is white."""
    colour = (COLOUR >> 8).astype(np.uint8)
    four = np.concatenate([colour, np.full((HEIGHT, WIDTH, 1), alpha, np.uint8)], axis=2)
    file = tmp_path / f"a.{kind.lower()}"
    Image.fromarray(four).save(file, kind)
    if kind == "BMP":  # Pillow writes the header of 40 bytes, in which it reads no transparency: one of 108 bytes has masks
        data = file.read_bytes()
        masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + bytes(52)
        header = struct.pack("<I", 108) + data[18:30] + struct.pack("<I", 3) + data[34:54] + masks
        file.write_bytes(data[:2] + struct.pack("<IHHI", 122 + len(data) - 54, 0, 0, 122) + header + data[54:])
        with Image.open(file) as image:
            assert image.mode == "RGBA"
    seen = np.asarray(load_image(file))
    np.testing.assert_array_equal(seen, np.asarray(load_picture(file)))
    expected = colour if alpha in (0, 255) else colour.astype(float) * alpha / 255 + 255 - alpha
    assert np.abs(seen - expected).max() <= 1
