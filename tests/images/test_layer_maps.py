"""Arrays as pictures: every value can be read back from its colour, what is no number is red, what is not drawn says why."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from digits.images.layer_maps import FIRST_LEVEL, GAP, NO_NUMBER, RED, SIGNED, draw_array, draw_colour_filters, draw_map, palette


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def test_a_matrix_keeps_its_order_and_shows_what_is_no_number() -> None:
    drawing = draw_array(np.array([[0.0, 1.0], [2.0, np.nan]], np.float32))
    image = opened(drawing.png)
    levels = np.asarray(image)
    side = levels.shape[0] // 2
    assert [int(levels[y, x]) for y, x in ((0, 0), (0, side), (side, 0), (side, side))] == [FIRST_LEVEL, 128, 255, NO_NUMBER]
    assert image.convert("RGB").getpixel((side, side)) == RED
    assert image.convert("RGB").getpixel((0, 0)) == (68, 1, 84)  # viridis begins so
    assert (drawing.low, drawing.high) == (0.0, 2.0)


def test_tiles_come_in_pages_and_lie_apart() -> None:
    drawing = draw_array(np.arange(6 * 4, dtype=np.float32).reshape(6, 2, 2), first=4, most=64, low=0.0, high=100.0)
    levels = np.asarray(opened(drawing.png))
    assert (drawing.shown, drawing.total, drawing.high) == (2, 6, 100.0)
    assert (levels == GAP).any()
    assert levels.max() < 80  # far from the last colour, which stands for 100


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros((0, 3)), "empty"),
        (np.float32(2.5).reshape(()), "single number: 2.5"),
        (np.full((3, 3), np.nan), "None of its values"),
    ],
)
def test_what_is_not_drawn_says_why(array: np.ndarray, word: str) -> None:
    drawing = draw_array(array)
    assert not drawing.png
    assert word in drawing.reason


@pytest.mark.parametrize("shape", [(7,), (3, 1), (5, 4, 1, 1), (2, 3, 2, 3, 3), (1, 3000, 2600), (2, 90, 90)])
def test_any_shape_is_drawn_and_not_too_large(shape: tuple[int, ...]) -> None:
    drawing = draw_array(np.random.default_rng(0).normal(size=shape).astype(np.float32), "cividis")
    width, height = opened(drawing.png).size
    assert max(width, height) <= 2400
    assert bool(drawing.note) == (max(shape) > 2400)


def test_kernels_of_three_colours_and_signed_maps() -> None:
    kernels = np.zeros((1, 3, 2, 2), np.float32)
    kernels[0, 0] = 1.0
    red = opened(draw_colour_filters(kernels).png).getpixel((0, 0))
    assert isinstance(red, tuple)
    assert red[0] == 255
    assert max(red[1:3]) < 10
    drawing = draw_map(np.array([[-2.0, 0.0, 2.0]]), "viridis", signed=True)
    colours = np.asarray(opened(drawing.png).convert("RGB"))[0]
    assert colours[1].tolist() == pytest.approx([247, 247, 247], abs=2)
    assert colours[0][2] > colours[0][0]
    assert colours[2][0] > colours[2][2]
    assert len(palette(SIGNED)) == 768
