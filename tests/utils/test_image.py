"""Pictures as plugins and ingest read them: every mode of R 2.0, odd files, every way to resize."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits import utils
from digits.errors import LoadImageError
from digits.utils import fetch
from digits.utils.image import (
    RESIZE_MODES,
    display_image,
    embed_image_html,
    get_color_map,
    load_array,
    load_image,
    resize_image,
    upscale,
    vis_square,
)


@pytest.mark.parametrize(
    ("mode", "colour", "expected_mode", "pixel"),
    [
        ("1", 1, "L", 255),
        ("L", 77, "L", 77),
        ("LA", (0, 0), "L", 255),  # fully transparent: white
        ("P", 0, "RGB", (0, 0, 0)),
        ("RGB", (1, 2, 3), "RGB", (1, 2, 3)),
        ("RGBA", (255, 0, 0, 0), "RGB", (255, 255, 255)),
        ("CMYK", (0, 0, 0, 255), "RGB", (0, 0, 0)),
        ("YCbCr", (255, 128, 128), "RGB", (255, 255, 255)),
        ("I;16", 0xAB12, "L", 0xAB),
    ],
)
def test_every_mode_becomes_grey_or_colour(tmp_path: Path, mode: str, colour: Any, expected_mode: str, pixel: Any) -> None:
    path = tmp_path / ("x.tif" if mode in ("CMYK", "YCbCr") else "x.png")
    Image.new(mode, (4, 3), colour).save(path)
    image = load_image(path)
    assert image.mode == expected_mode
    assert image.getpixel((1, 1)) == pixel
    assert load_image(path.read_bytes()).size == (4, 3)


@pytest.mark.parametrize(("mode", "see_through"), [("L", 9), ("RGB", (9, 8, 7)), ("P", 9)])
def test_one_colour_may_be_transparent(tmp_path: Path, mode: str, see_through: Any) -> None:
    image = Image.new(mode, (4, 3), see_through)
    image.putpixel((1, 1), 5 if mode != "RGB" else (5, 5, 5))
    if mode == "P":
        image.putpalette([value for value in range(256) for _ in range(3)])
    image.save(tmp_path / "x.png", transparency=see_through)
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(Image.open(tmp_path / "x.png").convert("RGBA"))
    assert (np.asarray(load_image(tmp_path / "x.png").convert("RGB")) == np.asarray(white)[:, :, :3]).all()
    assert white.getpixel((0, 0)) == (255, 255, 255, 255)


def test_a_picture_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "x.jpg", exif=exif)
    assert load_image(tmp_path / "x.jpg").size == (4, 8)
    assert load_array(tmp_path / "x.jpg").shape == (8, 4, 3)


@pytest.mark.parametrize("name", ["missing.png", "text.png", "half.jpg", "http://localhost/x.png"])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.png").write_text("no picture")
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(buffer, "JPEG")
    (tmp_path / "half.jpg").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    source = name if name.startswith("http") else str(tmp_path / name)
    with pytest.raises(LoadImageError, match=name.replace("/", "/")):
        load_image(source)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (20000, 20000)).save(tmp_path / "bomb.png")
    for read in (load_image, load_array):
        with pytest.raises(LoadImageError, match=r"too large|cannot be read"):
            read(tmp_path / "bomb.png")


@pytest.mark.parametrize(
    ("dtype", "shape", "name"),
    [
        (np.uint16, (5, 4), "x.png"),
        (np.uint16, (5, 4, 3), "x.png"),
        (np.uint16, (5, 4, 7), "x.tif"),
        (np.float32, (5, 4), "x.tif"),
        (np.float64, (5, 4, 2), "x.npy"),
        (np.uint8, (5, 4, 3), "x.png"),
    ],
)
def test_arrays_keep_depth_and_channels(tmp_path: Path, dtype: Any, shape: tuple[int, ...], name: str) -> None:
    values = (
        np.random.default_rng(1).random(shape) * 60000 % 256
        if dtype == np.uint8
        else np.random.default_rng(1).random(shape) * 60000
    )
    values = values.astype(dtype)
    path = tmp_path / name
    if name.endswith(".npy"):
        np.save(path, values)
    elif name.endswith(".tif"):
        import tifffile

        tifffile.imwrite(path, values, planarconfig="contig" if values.ndim == 3 else None)
    elif dtype == np.uint16 and values.ndim == 3:
        import cv2

        cv2.imwrite(str(path), values[:, :, ::-1])
    else:
        Image.fromarray(values).save(path)
    found = load_array(path)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, values)


def test_a_palette_picture_keeps_its_indices(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [2, 255]], np.uint8)).convert("P")
    image.putpalette([9, 9, 9] * 256)
    image.save(tmp_path / "x.png")
    assert load_array(tmp_path / "x.png").tolist() == [[0, 1], [2, 255]]


def test_objects_in_a_npy_file_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(LoadImageError):
        load_array(tmp_path / "x.npy")


@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize("size", [(10, 10), (7, 24), (31, 5), (1, 1)])
@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("kind", ["L", "RGB", "array"])
def test_resizing_gives_the_size_and_channels_asked_for(
    mode: str, size: tuple[int, int], channels: int | None, kind: str
) -> None:
    source = np.zeros((12, 17, 3), np.uint8) if kind == "array" else Image.new(kind, (17, 12))
    found = resize_image(source, *size, channels=channels, resize_mode=mode)
    grey = channels == 1 or (channels is None and kind == "L")
    assert found.shape == (size if grey else (*size, 3))
    assert found.dtype == np.uint8


def test_a_picture_of_the_right_size_is_untouched() -> None:
    values = np.random.default_rng(2).integers(0, 256, (9, 8, 3), np.uint8)
    for mode in RESIZE_MODES:
        np.testing.assert_array_equal(resize_image(values, 9, 8, resize_mode=mode), values)


def test_modes_keep_what_they_promise() -> None:
    wide = np.zeros((10, 40), np.uint8)
    wide[:, 15:25] = 255  # the middle square is 10 to 30
    assert resize_image(wide, 10, 20, resize_mode="crop").tolist() == wide[:, 10:30].tolist()
    filled = resize_image(wide, 40, 40, resize_mode="fill")
    assert filled[15:25].tolist() == wide.tolist()
    np.testing.assert_array_equal(filled, resize_image(wide, 40, 40, resize_mode="fill"))  # the noise repeats
    half = resize_image(wide, 20, 20, resize_mode="half_crop")  # ratios 2 and 0.5, mean 1.25: 32×8, cut to 20, padded to 20
    assert half[6:14].max(axis=0)[10] == 255


def test_wrong_arguments_are_named() -> None:
    for values in ({"resize_mode": "stretch"}, {"channels": 2}):
        with pytest.raises(ValueError, match=next(iter(values))):
            resize_image(Image.new("L", (2, 2)), 3, 3, **values)  # type: ignore[arg-type]


def test_showing() -> None:
    assert vis_square(np.zeros((5, 3, 4)), padsize=1).shape == (2 * 4 - 1, 3 * 5 - 1, 3)
    assert embed_image_html(np.zeros((2, 2), np.uint8)).startswith("data:image/png;base64,")
    assert upscale(np.array([[1, 2]]), 2).tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]
    red, green, blue = get_color_map("jet")
    assert (red[0], green[0], blue[0]) == (0, 0, 127.5)
    assert (red[-1], green[-1], blue[-1]) == (127.5, 0, 0)
    assert display_image(np.array([[0, 500], [1000, 1000]], np.uint16)).max() == 255


def test_submodules_need_no_import() -> None:
    assert utils.image.resize_image is resize_image
    assert utils.forms.IntegerField.__name__ == "IntegerField"
    assert utils.constants.TRAIN_DB == "train_db"
    with pytest.raises(AttributeError):
        _ = utils.nothing


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]", "192.168.1.1"])
def test_addresses_inside_are_never_fetched(host: str) -> None:
    with pytest.raises(LoadImageError, match=r"not a public address|unknown"):
        fetch.fetch(f"http://{host}/x.png")


def test_addresses_are_off_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIGITS_ALLOW_URLS", raising=False)
    with pytest.raises(LoadImageError, match="allow_urls"):
        load_image("https://example.org/x.png")


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 2)])
def test_a_very_long_picture_covers_a_square_without_becoming_huge(size: tuple[int, int]) -> None:
    long = max(size)
    array = np.where(np.abs(np.arange(long) - long / 2) < 4, 200, 0).astype(np.uint8)
    array = np.broadcast_to(array if size[0] == long else array[:, None], (size[1], size[0]))
    scaled = resize_image(array, 512, 512, resize_mode="crop")
    assert scaled.shape == (512, 512)
    assert scaled.min() == scaled.max() == 200


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for read in (load_image, load_array):
        with pytest.raises(LoadImageError, match="a pipe"):
            read(tmp_path / "pipe.png")
