"""Palette masks whose palettes differ: read by what the files have in common, or left out and said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits.errors import DataError
from digits.extensions.data.image_segmentation.label_sets import LABEL_SETS
from tests.extensions.data.test_image_segmentation import SQUARE, label, lines, make, palette_mask, skipped

BLACK, RED, GREEN = (0, 0, 0), (200, 0, 0), (0, 200, 0)


def in_order(*colours: tuple[int, int, int], of: np.ndarray = SQUARE) -> Image.Image:
    """A palette mask of the classes black, red and green, whose palette has these colours in this order."""
    places = np.array([colours.index(colour) if colour in colours else 0 for colour in (BLACK, RED, GREEN)], np.uint8)
    return palette_mask(places[of], [value for colour in colours for value in colour] + [7] * 9)


@pytest.mark.parametrize("names", [[], ["back", "red", "green"]])
def test_palettes_that_renumber_their_colours_are_read_by_colour(tmp_path: Path, names: list[str]) -> None:
    masks = {name: in_order(BLACK, RED, GREEN) for name in "abc"} | {"d": in_order(GREEN, BLACK, RED), "e": SQUARE}
    more = {"class_labels_file": lines(tmp_path / "l.txt", *names)} if names else {}
    run = make(tmp_path, masks, **more)
    assert run.info.class_labels == tuple(names or "012")
    assert all((label(run, index) == SQUARE).all() for index in range(5))
    (problem,) = run.problems()
    assert "1 palette mask gives numbers other colours than" in problem["reason"]
    assert "read by the colours of their palettes" in problem["reason"]


def test_palettes_in_any_order_make_classes_of_colours(tmp_path: Path) -> None:
    masks = {"a": in_order(BLACK, RED, GREEN), "b": in_order(RED, GREEN, BLACK), "c": in_order(GREEN, BLACK, RED)}
    run = make(tmp_path, masks)
    assert run.info.class_labels == ("0 0 0", "0 200 0", "200 0 0")
    assert all((label(run, index) == np.array([0, 2, 1])[SQUARE]).all() for index in range(3))
    assert run.info.extra["color_palette"][:9] == [0, 0, 0, 0, 200, 0, 200, 0, 0]
    with pytest.raises(DataError, match="which number has which name in .*, nothing tells"):
        make(tmp_path, masks, class_labels_file=lines(tmp_path / "l.txt", "x", "y", "z"))


def test_palettes_of_other_colours_are_left_out_unless_names_are_given(tmp_path: Path) -> None:
    masks = {"a": in_order(BLACK, RED, GREEN), "b": in_order(BLACK, RED, GREEN)}
    masks["c"] = palette_mask(SQUARE, [0, 0, 0, 1, 1, 1, 2, 2, 2])
    run = make(tmp_path, masks)
    assert run.entries()["train"] == 2
    assert ["gives the number 1 the colour 1 1 1" in reason for reason in skipped(run)] == [True]
    run = make(tmp_path, masks, class_labels_file=lines(tmp_path / "l.txt", "x", "y", "z"))
    assert all((label(run, index) == SQUARE).all() for index in range(3))
    assert ["differs from that of" in problem["reason"] for problem in run.problems()] == [True]


def test_a_known_label_set_is_read_by_its_colours_where_a_palette_has_them(tmp_path: Path) -> None:
    plane, bicycle = (128, 0, 0), (0, 128, 0)
    usual = palette_mask(SQUARE, [value for colour in (BLACK, plane, bicycle) for value in colour])
    small = palette_mask(np.array([1, 0, 2], np.uint8)[SQUARE], [*plane, *BLACK, *bicycle])
    grey = palette_mask(SQUARE, [0, 0, 0, 1, 1, 1, 2, 2, 2])
    run = make(tmp_path, {"a": usual, "b": small, "c": grey}, label_set="voc")
    assert all((label(run, index) == SQUARE).all() for index in range(3))


def test_one_colour_at_the_number_of_another_class(tmp_path: Path) -> None:
    plane, renumbered = (128, 0, 0), [128, 0, 0, *BLACK]
    masks = {"a": palette_mask(SQUARE % 2, renumbered), "b": palette_mask(SQUARE * 0, renumbered)}
    masks |= {"c": palette_mask(SQUARE * 0, [*BLACK, *plane]), "d": palette_mask(SQUARE * 0 + 1, [*BLACK, 9, 9, 9])}
    run = make(tmp_path, masks, label_set="voc")
    (reason,) = skipped(run)
    assert "b.png: its one number, 0, and the colour that its palette gives it, 128 0 0, are of different classes" in reason
    assert [np.unique(label(run, row)).tolist() for row in range(3)] == [[0, 1], [0], [1]]
    assert (label(run) == 1 - SQUARE % 2).all()


@pytest.mark.parametrize("colours", [LABEL_SETS["voc"].colours, [BLACK]])
def test_what_is_behind_the_end_of_a_palette_says_nothing(tmp_path: Path, colours: Sequence[tuple[int, int, int]]) -> None:
    """VOC's 21 colours with a border of 255, and a palette of black alone."""
    palette = [value for colour in colours for value in colour]
    masks = {"a": palette_mask(np.array([0, 15, 255], np.uint8)[SQUARE], palette), "b": palette_mask(SQUARE * 0 + 255, palette)}
    run = make(tmp_path, masks, label_set="voc")
    assert (label(run) == np.array([0, 15, 255])[SQUARE]).all()
    assert (label(run, 1) == 255).all()
