"""COCO's polygons and run lengths against pycocotools, pixel by pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as api

from digits.errors import LoadImageError
from digits.extensions.data.image_segmentation.coco_masks import draw
from digits.extensions.data.images.coco_shapes import mask_of, polygons_of, runs_of

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools with NumPy 2
WIDTH, HEIGHT = 37, 23
SQUARE = [10, 10, 30, 10, 30, 20, 10, 20]
COORDINATES = st.one_of(st.integers(-5, 45), st.floats(-5, 45).map(lambda value: round(value, 2)))
POLYGONS = st.lists(st.lists(COORDINATES, min_size=6, max_size=14).filter(lambda p: len(p) % 2 == 0), min_size=1, max_size=4)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(POLYGONS)
def test_polygons_as_pycocotools_draws_them(polygons: list[list[float]]) -> None:
    expected = api.decode(api.merge(api.frPyObjects(polygons, HEIGHT, WIDTH)))
    assert np.array_equal(mask_of(polygons, HEIGHT, WIDTH), expected.astype(bool))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.02, 0.5, 0.98]))
def test_run_lengths_as_pycocotools_reads_them(seed: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((HEIGHT, WIDTH)) < share
    compressed = api.encode(np.asfortranarray(mask.astype(np.uint8)))
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *([0] if flat[0] else []), *edges, flat.size]).tolist()
    for runs in ({"size": [HEIGHT, WIDTH], "counts": compressed["counts"].decode()}, {"size": [HEIGHT, WIDTH], "counts": counts}):
        assert np.array_equal(mask_of(runs, HEIGHT, WIDTH), mask)
        assert np.array_equal(runs_of(runs), mask)


def test_coco_polygon_sizes() -> None:
    assert mask_of([[10, 10, 20, 10, 20, 20, 10, 20]], HEIGHT, WIDTH).sum() == 100


@pytest.mark.parametrize(
    "bad", [[1, 1, 2, 2], [1, 1, 2, 2, 3], [], "abc", [1, 1, "x", 2, 3, 3], None, [1, 1, 5, 1, 5, float("nan")]]
)
def test_coco_one_bad_polygon(bad: Any) -> None:
    """The good part of an object stays, what is left out is said; an object without a good part is none."""
    mask, said = draw([[3, [bad, SQUARE]], [4, [[0, 0, 3, 0, 3, 3, 0, 3]]]], HEIGHT, WIDTH, "a.png")
    assert np.array_equal(mask == 3, mask_of([SQUARE], HEIGHT, WIDTH))
    assert len(said) == 1
    assert said[0].startswith("A part of an object is left out: a polygon")
    with pytest.raises(LoadImageError, match=r"a.png: An object is left out: a polygon"):
        draw([[3, [bad]]], HEIGHT, WIDTH, "a.png")


def test_coordinates_that_mean_nothing_take_no_time() -> None:
    assert polygons_of([[0, 0, 1e12, 0, 1e12, 1e12]]) == ([], ["a polygon has a coordinate that is no number of a picture"])
    assert polygons_of(SQUARE)[0] == [SQUARE]  # without the list around it
    for runs in ({"size": [10**9, 10**9], "counts": []}, {"size": [2, 2], "counts": [9]}, {"size": [2, 2], "counts": ["x"]}):
        with pytest.raises(ValueError, match="run lengths"):
            runs_of(runs)
