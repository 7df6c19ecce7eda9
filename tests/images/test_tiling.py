"""Tiles cover every pixel, their weights add up, and turned pictures come back exactly."""

from __future__ import annotations

import numpy as np
import pytest

from digits.images.tiling import Blend, Grid, Side
from digits.images.turns import Turn, all_turns

EVERY_TURN = all_turns(horizontal=True, vertical=True, quarters=True)


@pytest.mark.parametrize("length", [16, 17, 23, 40, 100])
@pytest.mark.parametrize("overlap", [0, 1, 3, 4, 8])
def test_tiles_cover_every_pixel_and_weights_add_up(length: int, overlap: int) -> None:
    side = Side(length, 16, overlap)
    total, covered = np.zeros(length), np.zeros(length, int)
    for start, weights in zip(side.starts, side.weights, strict=True):
        total[start : start + 16] += weights
        covered[start : start + 16] += 1
    assert covered.min() >= 1
    assert np.allclose(total, 1)
    assert side.starts[0] == 0
    assert side.starts[-1] + 16 == length
    assert all(later - earlier <= 16 - overlap for earlier, later in zip(side.starts, side.starts[1:], strict=False))


def test_a_constant_stays_constant_and_a_picture_itself() -> None:
    picture = np.random.default_rng(0).random((3, 50, 37)).astype(np.float32)
    grid = Grid.of((50, 37), (16, 12), 0.25)
    constant, same = Blend(grid), Blend(grid)
    for tile in grid:
        constant.add(tile, np.full((2, 16, 12), 0.3, np.float32))
        same.add(tile, grid.part(picture, tile))
    assert np.allclose(constant.whole(), 0.3, rtol=1e-6)
    assert constant.whole().shape == (2, 50, 37)
    assert np.allclose(same.whole(), picture, rtol=1e-5)


def test_at_an_inner_seam_the_outer_quarter_counts_nothing() -> None:
    grid = Grid.of((40, 40), (16, 16), 0.5)
    first, second, *_ = grid
    assert (grid.weights(first)[:, -2:] == 0).all()
    assert (grid.weights(second)[:, :2] == 0).all()
    assert (grid.weights(first)[:2, :2] > 0).all(), "the edge of the picture is no seam"
    assert grid.seams(first) == (False, False, True, True)


@pytest.mark.parametrize("turn", EVERY_TURN, ids=lambda turn: turn.words)
def test_turned_pictures_and_boxes_come_back_exactly(turn: Turn) -> None:
    pictures = np.random.default_rng(1).random((2, 3, 5, 7)).astype(np.float32)
    turned = turn.of(pictures)
    assert turned.shape[2:] == turn.size(5, 7)
    assert np.array_equal(turn.undone(turned, (5, 7)), pictures)
    marked = np.zeros((1, 1, 5, 7))
    marked[..., 1:3, 2:6] = 1
    rows, columns = np.nonzero(turn.of(marked)[0, 0])
    box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1, 0.5, 1]])
    assert turn.undone_boxes(box, (5, 7)).tolist() == [[2, 1, 6, 3, 0.5, 1]]


def test_scaled_pictures_keep_size_and_boxes_come_back() -> None:
    turn = Turn(1, True, 1.5)
    smooth = np.broadcast_to(np.linspace(0, 1, 20, dtype=np.float32), (1, 1, 10, 20))
    turned = turn.of(smooth)
    assert turned.shape == (1, 1, 30, 15)
    assert np.abs(turn.undone(turned, (10, 20)) - smooth).max() < 0.05
    assert turn.undone_boxes(np.array([[0.0, 0, 15, 30, 1, 0]]), (10, 20)).tolist() == [[0, 0, 20, 10, 1, 0]]


def test_flips_make_a_group_and_begin_with_the_picture() -> None:
    assert [
        len(all_turns(horizontal=h, vertical=v, quarters=q))
        for h, v, q in [(1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 1), (1, 0, 1)]
    ] == [2, 2, 4, 4, 8]
    assert EVERY_TURN[0] == Turn()
    assert len(set(EVERY_TURN)) == 8
