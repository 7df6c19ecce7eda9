"""Odd pictures: each is read as documented, or skipped with a reason; nothing wraps."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from digits.errors import PluginError
from tests.ingest.making import class_folder, make, picture, png


def bomb(width: int, height: int) -> bytes:
    """A small PNG that claims to be enormous."""

    def part(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(b"\0" * 10_000)) + part(b"IEND", b"")


def half_jpeg(path: Path) -> None:
    picture(1, (64, 64)).save(path, "JPEG")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


BAD: dict[str, Callable[[Path], object]] = {
    "truncated.jpg": half_jpeg,
    "empty.png": lambda path: path.write_bytes(b""),
    "text.png": lambda path: path.write_text("this is no picture"),
    "bomb.png": lambda path: path.write_bytes(bomb(20_000, 20_000)),
}


def test_unreadable_files_are_skipped_counted_and_listed(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "in", {"a": 4, "b": 4})
    for name, write in BAD.items():
        write(root / "a" / name)
    run = make(tmp_path, folder_train=str(root), folder_pct_val=0)
    split = run.info.splits["train_db"]
    assert (split.entries, split.skipped, split.class_counts) == (8, 4, (4, 4))
    assert len(run.reader()) == 8
    reasons = {Path(p["entry"]).name: p["reason"] for p in run.problems()}
    assert set(reasons) == set(BAD)
    assert "0 bytes" in reasons["empty.png"]
    assert "400,000,000 pixels" in reasons["bomb.png"]
    assert "at most" in reasons["bomb.png"]
    assert run.info.problems == 4


def test_odd_modes_become_rgb(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "in", {"a": 4, "b": 4})
    Image.new("CMYK", (10, 8), (0, 255, 255, 0)).save(root / "a" / "cmyk.jpg")
    palette = Image.new("RGBA", (10, 8), (0, 0, 255, 0)).convert("P")
    palette.save(root / "a" / "palette.png", transparency=palette.getpixel((0, 0)))
    frames = [Image.new("P", (10, 8), colour) for colour in (0, 1)]
    for frame in frames:
        frame.putpalette([9, 8, 7, 200, 200, 200])
    frames[0].save(root / "b" / "moving.gif", save_all=True, append_images=frames[1:])
    picture(5, (10, 8)).save(root / "b" / "web.webp", lossless=True)
    run = make(tmp_path, folder_train=str(root), folder_pct_val=0)
    reader = run.reader()
    found = {Path(s).name: i for i, s in enumerate(reader.column("source", range(len(reader))))}
    assert run.info.problems == 0
    assert reader.feature(found["cmyk.jpg"]).mean(axis=(1, 2)) == pytest.approx([255, 0, 0], abs=6)
    assert (reader.feature(found["palette.png"]) == 255).all()
    assert (reader.feature(found["moving.gif"]).reshape(3, -1).T == [9, 8, 7]).all()
    np.testing.assert_array_equal(reader.feature(found["web.webp"]), np.asarray(picture(5, (10, 8))).transpose(2, 0, 1))


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "in", {"a": 2, "b": 2})
    image = Image.new("RGB", (20, 10))
    image.paste((255, 255, 255), (0, 0, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    image.save(root / "a" / "turned.jpg", exif=exif, quality=95)
    run = make(tmp_path, folder_train=str(root), folder_pct_val=0, resize_channels=1, resize_width=10, resize_height=20)
    reader = run.reader()
    index = next(i for i, s in enumerate(reader.column("source", range(5))) if s.endswith("turned.jpg"))
    assert reader.column("original_size", [index]) == [[10, 20]]
    assert reader.feature(index)[0, :8].min() > 240
    assert reader.feature(index)[0, 12:].max() < 15


@pytest.mark.parametrize("encoding", ["auto", "none"])
def test_sixteen_bits_are_kept(tmp_path: Path, encoding: str) -> None:
    root = tmp_path / "in"
    for label in "ab":
        (root / label).mkdir(parents=True)
        for number in range(3):
            values = np.random.default_rng(number).integers(0, 65536, (8, 10), np.uint16)
            (root / label / f"{number}.png").write_bytes(png(values))
    run = make(tmp_path, folder_train=str(root), folder_pct_val=0, resize_channels=1, spec={"feature_encoding": encoding})
    reader = run.reader()
    assert (reader.meta.feature_dtype, reader.meta.feature_encoding) == ("uint16", "none")
    number = int(Path(reader.column("source", [0])[0]).stem)
    np.testing.assert_array_equal(reader.feature(0)[0], np.random.default_rng(number).integers(0, 65536, (8, 10), np.uint16))


@pytest.mark.parametrize(("dtype", "channels"), [("float32", 1), ("uint8", 5), ("uint16", 4)])
def test_many_channels_and_floats_are_kept(tmp_path: Path, dtype: str, channels: int) -> None:
    root = tmp_path / "in"
    shape = (8, 10, channels) if channels > 1 else (8, 10)
    values = (np.random.default_rng(0).random(shape) * 200).astype(dtype)
    for label in "ab":
        (root / label).mkdir(parents=True)
        for number in range(3):
            tifffile.imwrite(
                root / label / f"{number}.tif", values, photometric="minisblack", planarconfig="contig" if channels > 1 else None
            )
    run = make(tmp_path, folder_train=str(root), folder_pct_val=0, resize_channels=0)
    found = run.reader().feature(0)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, values.transpose(2, 0, 1) if channels > 1 else values[np.newaxis])
    assert run.info.extra["channels"] == channels


def test_png_of_wider_data_is_refused_with_advice(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for label in "ab":
        (root / label).mkdir(parents=True)
        for number in range(3):
            tifffile.imwrite(root / label / f"{number}.tif", np.full((8, 10), number, np.float32))
    with pytest.raises(PluginError, match="do not fit into png") as caught:
        make(tmp_path, folder_train=str(root), spec={"feature_encoding": "png"}, resize_channels=1)
    assert "auto" in caught.value.advice
    run = make(tmp_path / "open", folder_train=str(root), spec={"feature_encoding": "png_or_none"}, resize_channels=1)
    assert run.reader().meta.feature_encoding == "none"


def test_a_few_wide_pictures_among_others_are_named(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "in", {"a": 4, "b": 4})
    (root / "a" / "deep.png").write_bytes(png(np.full((8, 10), 0x80FF, np.uint16)))
    run = make(tmp_path, folder_train=str(root), folder_pct_val=0)
    assert [p["kind"] for p in run.problems()] == ["depth"]
    reader = run.reader()
    index = next(i for i, s in enumerate(reader.column("source", range(9))) if s.endswith("deep.png"))
    assert (reader.feature(index) == 0x80).all()


def test_original_sizes_can_be_kept(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "in", {"a": 2, "b": 2})
    picture(77, (30, 20)).save(root / "a" / "large.png")
    run = make(tmp_path, folder_train=str(root), folder_pct_val=0, keep_size=True, spec={"force_same_shape": False})
    assert run.info.feature_shape is None
    assert run.reader().meta.feature_encoding == "png"
    shapes = sorted(tuple(run.reader().feature(i).shape) for i in range(5))
    assert shapes == [(3, 10, 12)] * 4 + [(3, 20, 30)]
    assert not run.info.mean_image


def test_small_pictures_are_skipped(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "in", {"a": 3, "b": 3})
    picture(77, (40, 9)).save(root / "a" / "flat.png")
    run = make(tmp_path, folder_train=str(root), folder_pct_val=0, min_side=10)
    assert run.entries() == {"train": 6}
    assert "40x9" in run.problems()[0]["reason"]


@pytest.mark.parametrize(
    ("encoding", "side", "expected"),
    [("auto", 32, "none"), ("auto", 512, "png"), ("png", 32, "png"), ("png_or_none", 32, "png"), ("jpg", 32, "jpg")],
)
def test_encodings(tmp_path: Path, encoding: str, side: int, expected: str) -> None:
    root = class_folder(tmp_path / "in", {"a": 2, "b": 2})
    run = make(tmp_path, folder_train=str(root), resize_width=side, resize_height=side, spec={"feature_encoding": encoding})
    assert run.reader().meta.feature_encoding == expected
    assert run.reader().features([0, 1]).shape == (2, 3, side, side)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["squash", "crop", "fill", "half_crop"])
def test_every_resize_mode_gives_the_size_asked_for(tmp_path: Path, channels: int, mode: str) -> None:
    root = class_folder(tmp_path / "in", {"a": 2, "b": 2})
    run = make(tmp_path, folder_train=str(root), resize_mode=mode, resize_channels=channels, resize_width=20, resize_height=6)
    assert run.info.feature_shape == (channels, 6, 20)
