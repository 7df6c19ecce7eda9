"""Heat maps of weights and activations: whatever the shape, a picture that can be looked at, or none."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from digits.images import tiles


def size_of(png: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(png)).size


@pytest.mark.parametrize(
    "shape", [(20, 24, 24), (2048, 7, 7), (3, 30, 40), (1, 2000, 1500), (197, 768), (1000,), (1, 1, 1), (5,)]
)
def test_activations_of_any_shape_are_drawn_between_100_and_1200_pixels(shape):
    data = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert 100 <= max(size_of(tiles.activations_png(data))) <= 1200


@pytest.mark.parametrize("shape", [(64, 3, 7, 7), (20, 1, 5, 5), (512, 512, 3, 3), (64,)])
def test_weights_of_convolutions_are_drawn(shape):
    assert 100 <= max(size_of(tiles.weights_png(np.ones(shape, np.float32)))) <= 1200


@pytest.mark.parametrize("shape", [(10, 500), (0, 3, 3, 3)])
def test_weights_of_fully_connected_layers_are_not(shape):
    assert tiles.weights_png(np.ones(shape, np.float32)) == b""


def test_values_that_are_not_finite_do_no_harm():
    data = np.array([[[np.nan, np.inf], [-np.inf, 1.0]]], np.float32)
    assert tiles.activations_png(data)
    assert tiles.picture_png(data)


def test_the_smallest_value_is_blue_and_the_largest_red():
    drawn = np.asarray(Image.open(io.BytesIO(tiles.activations_png(np.array([[[0.0, 1.0]]])))).convert("RGB"))
    left, right = drawn[0, 0], drawn[0, -1]
    assert left[2] > 0
    assert left[0] == 0
    assert right[0] > 0
    assert right[2] == 0


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_a_prepared_picture_of_any_type_is_shown(dtype, channels):
    feature = (np.arange(channels * 12) * 5).reshape(channels, 3, 4).astype(dtype)
    assert size_of(tiles.picture_png(feature)) == (4, 3)
