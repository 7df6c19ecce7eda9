"""Frames that annotations mean, against Pillow's own turning of pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from digits.extensions.data.images.frames import frame_of, size_in

WIDTH, HEIGHT = 24, 10
BOX = (3, 2, 9, 4)


def drawn(box: tuple[int, ...], size: tuple[int, int]) -> np.ndarray:
    """A mask (height, width) of a box's pixels."""
    mask = np.zeros(size[::-1], np.uint8)
    mask[box[1] : box[3], box[0] : box[2]] = 1
    return mask


def turned_by_pillow(mask: np.ndarray, orientation: int) -> np.ndarray:
    """The mask (height, width) as Pillow turns a picture of this orientation."""
    image = Image.fromarray(mask)
    image.getexif()[0x0112] = orientation
    return np.asarray(ImageOps.exif_transpose(image))


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("scale", [1, 3])
def test_boxes_and_masks_are_turned_as_the_picture_is(orientation: int, scale: int) -> None:
    expected = turned_by_pillow(drawn(BOX, (WIDTH, HEIGHT)), orientation).repeat(scale, 0).repeat(scale, 1)
    frame = frame_of((WIDTH, HEIGHT), expected.shape[::-1], orientation)
    assert frame.drawn_in == (WIDTH, HEIGHT)
    assert np.array_equal(frame.mask(drawn(BOX, (WIDTH, HEIGHT))), expected)
    (x0, y0, x1, y1) = frame.boxes(np.array([BOX], float))[0].astype(int)
    assert np.array_equal(drawn((x0, y0, x1, y1), expected.shape[::-1]), expected)
    assert f"orientation {orientation}" in frame.note


def test_what_agrees_or_says_nothing_stays() -> None:
    boxes = np.array([BOX], float)
    for stated in ((WIDTH, HEIGHT), (0, 0)):
        frame = frame_of(stated, (WIDTH, HEIGHT), 6)
        assert frame.boxes(boxes) is boxes
        assert not frame.note
    other = frame_of((WIDTH, 3 * HEIGHT), (WIDTH, HEIGHT), 1)
    assert (other.fits, other.drawn_in) == (False, (WIDTH, HEIGHT))
    assert other.boxes(boxes) is boxes


@pytest.mark.parametrize(
    "given", [(None, 5), ("x", 5), (float("nan"), 5), (float("inf"), 5), (0, 5), (-5, 5), ([], {}), (10**9, 10**9)]
)
def test_sizes_that_are_none(given: tuple[object, object]) -> None:
    assert size_in(*given) == (0, 0)


def test_sizes_as_texts() -> None:
    assert size_in("640", 480.0) == (640, 480)
