"""Answers in tiles and over turned pictures, of networks whose answers are known: by NumPy, whatever the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from digits.domain.inference import TTA, Answering
from digits.engines.answering import MOST_TILES, Turned, answering
from digits.engines.merging import across_seams, fused
from digits.errors import BadRequest, DataError

MAP = {"task": "segmentation", "label_kind": "map", "label_shape": (1, 16, 16), "class_labels": ["a", "b"]}
BOX = {"task": "detection", "label_kind": "boxes", "label_shape": None, "class_labels": ["a", "b"]}
CLASS = {"task": "classification", "label_kind": "index", "class_labels": ["a", "b"]}
ALL = tuple(name for name in TTA if name != "scales")


class Known:
    """Answers with a function of pictures (N, C, H, W)."""

    def __init__(self, kind: dict[str, Any], work: Callable[[np.ndarray], dict[str, np.ndarray]], **meta: Any) -> None:
        self.meta = {**kind, "input_shape": (1, 16, 16), "stored_shape": (1, 16, 16), "one_size": True, **meta}
        self.work = work
        self.seen: list[tuple[int, ...]] = []

    def predict(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        self.seen.append(batch.shape)
        return self.work(batch)


def blurred(batch: np.ndarray) -> dict[str, np.ndarray]:
    """A map that looks one pixel far, with zeros around the picture as convolutions have it."""
    wide = np.pad(batch.astype(np.float32), ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = batch.shape[2:]
    parts = [wide[..., y : y + height, x : x + width] for y in range(3) for x in range(3)]
    share = np.sum(parts, axis=0) / (9 * 255)
    return {"output": np.concatenate([share, 1 - share], axis=1)}


def bright(batch: np.ndarray) -> dict[str, np.ndarray]:
    """A box around each bright rectangle, whose brightness is its score in percent and its class by whether it is even."""
    found = []
    for picture in batch[:, 0]:
        rows = []
        for value in np.unique(picture[picture > 0]):
            y, x = np.nonzero(picture == value)
            rows.append([x.min(), y.min(), x.max() + 1, y.max() + 1, value / 100, value % 2])
        found.append(np.array([*sorted(rows, key=lambda row: -row[4]), *[[0] * 6] * (3 - len(rows))], np.float32)[:3])
    return {"boxes": np.stack(found)}


def share(batch: np.ndarray) -> dict[str, np.ndarray]:
    left = batch[..., :8].mean(axis=(1, 2, 3)) / 255
    return {"output": np.stack([left, 1 - left], axis=1).astype(np.float32)}


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("size", [(16, 16), (16, 40), (33, 50)])
def test_a_map_that_looks_one_pixel_far_is_the_same_in_tiles(size: tuple[int, int]) -> None:
    pictures = noise(2, 1, *size)
    model = Known(MAP, blurred)
    found = answering(model, Answering(0.25)).predict(pictures)["output"]
    assert found.shape == (2, 2, *size)
    assert np.allclose(found, blurred(pictures)["output"], atol=1e-6), "everywhere, at the seams too"
    assert {shape[2:] for shape in model.seen} == {(16, 16)}, "the network sees its own size only"


def test_classes_are_the_mean_over_tiles_and_each_tile_is_told() -> None:
    pictures = np.zeros((1, 1, 16, 32), np.uint8)
    pictures[..., 16:] = 255
    found = answering(Known(CLASS, share), Answering(0.0)).predict(pictures)
    assert found["output"].tolist() == [[0.5, 0.5]]
    assert found["tiles"].tolist() == [[[[0.0, 1.0]], [[1.0, 0.0]]]]


def test_boxes_at_seams_are_found_once_and_whole() -> None:
    picture = np.zeros((1, 1, 40, 40), np.uint8)
    picture[..., 2:6, 9:15] = 60  # in the overlap of two tiles: whole in one, cut in the other
    picture[..., 20:24, 22:27] = 80
    found = answering(Known(BOX, bright), Answering(0.5)).predict(picture)["boxes"]
    kept = found[0][found[0][:, 4] > 0]
    assert np.allclose(kept, [[22, 20, 27, 24, 0.8, 0], [9, 2, 15, 6, 0.6, 0]])


def test_boxes_of_other_classes_and_cut_parts() -> None:
    rows = np.array([[0, 0, 10, 10, 0.9, 0], [0, 0, 10, 10, 0.8, 1], [6, 2, 10, 8, 0.95, 0], [0, 1, 10, 10, 0.5, 0]], np.float32)
    found = across_seams(rows, np.array([False, False, True, False]))
    assert found[:, 4].tolist() == pytest.approx([0.9, 0.8]), "the part goes although its score is higher"
    assert across_seams(np.zeros((3, 6), np.float32), np.zeros(3, bool)).shape == (0, 6)


def test_tiles_of_labels_take_the_highest() -> None:
    labels = {"task": "multi_label", "label_kind": "vector", "label_shape": (2,), "class_labels": ["a", "b"]}
    pictures = np.zeros((1, 1, 16, 32), np.uint8)
    pictures[..., 16:] = 255
    assert answering(Known(labels, share), Answering(0.0)).predict(pictures)["output"].tolist() == [[1.0, 1.0]]


def test_ten_thousand_tiles_are_answered_and_no_more() -> None:
    def predict(height: int) -> np.ndarray:  # tiles of 16 begin every 8 pixels
        picture = np.zeros((1, 1, height, 16 + 99 * 8), np.uint8)
        return answering(Known(CLASS, share), Answering(0.5)).predict(picture)["tiles"]

    assert predict(16 + 99 * 8).shape == (1, 2, 100, 100)
    with pytest.raises(
        DataError, match=r"picture of 808×816 pixels would need 10,100 tiles of 16×16; at most 10,000 are answered"
    ):
        predict(16 + 100 * 8)


def test_answers_of_more_numbers_than_fit_into_a_gibibyte_are_refused() -> None:
    def flat(batch: np.ndarray) -> dict[str, np.ndarray]:
        return {"output": np.broadcast_to(np.float32(0), (len(batch), 2**14 + 1, 16, 16))}

    with pytest.raises(DataError, match=r"picture of 128×128 pixels would have 268,451,840 numbers .*; at most 268,435,456 are"):
        answering(Known(MAP, flat), Answering(0.0)).predict(np.zeros((1, 1, 128, 128), np.uint8))


@pytest.mark.parametrize("tta", [("hflip",), ("vflip",), ("hflip", "vflip"), ("turns",), ALL])
def test_what_turns_with_the_picture_is_not_changed(tta: tuple[str, ...]) -> None:
    pictures = noise(2, 1, 16, 16)
    found = answering(Known(MAP, blurred), Answering(None, tta)).predict(pictures)["output"]
    assert np.allclose(found, blurred(pictures)["output"], atol=1e-6)
    picture = np.zeros((1, 1, 16, 16), np.uint8)
    picture[..., 2:6, 9:15] = 60
    boxes = answering(Known(BOX, bright), Answering(None, tta)).predict(picture)["boxes"]
    assert np.allclose(boxes[0][boxes[0][:, 4] > 0], [[9, 2, 15, 6, 0.6, 0]])


def test_classes_are_averaged_and_the_plain_answer_is_known() -> None:
    pictures = np.zeros((1, 1, 16, 16), np.uint8)
    pictures[..., :8] = 255
    model = answering(Known(CLASS, share), Answering(None, ("hflip",)))
    assert isinstance(model, Turned)
    mean, plain = model.both(pictures)
    assert mean["output"].tolist() == [[0.5, 0.5]]
    assert plain["output"].tolist() == [[1.0, 0.0]]


def test_tiles_and_turns_together_take_any_size() -> None:
    pictures = noise(1, 1, 20, 37)
    found = answering(Known(MAP, blurred), Answering(0.25, (*ALL, "scales"))).predict(pictures)["output"]
    assert found.shape == (1, 2, 20, 37)
    assert np.abs(found - blurred(pictures)["output"]).mean() < 0.1


@pytest.mark.parametrize("kind", [MAP, BOX])
def test_crops_are_turned_around_what_the_network_sees(kind: dict[str, Any]) -> None:
    """Stored 17×17, of which the network sees 16×16 from 0 on, so that a mirrored picture would be seen shifted by a pixel."""

    def cropped(batch: np.ndarray) -> dict[str, np.ndarray]:
        return (blurred if kind is MAP else bright)(batch[..., :16, :16])

    pictures = np.zeros((1, 1, 17, 17), np.uint8)
    pictures[..., 2:6, 0:4] = 60
    model = Known(kind, cropped, stored_shape=(1, 17, 17))
    name = "output" if kind is MAP else "boxes"
    plain, found = cropped(pictures)[name], answering(model, Answering(None, ("hflip",))).predict(pictures)[name]
    assert np.allclose(found[:, :1], plain[:, :1], atol=1e-6)


def test_boxes_that_one_view_alone_saw_count_less() -> None:
    same, other = [0, 0, 10, 10, 0.8, 0], [50, 50, 60, 60, 0.9, 0]
    found = fused([np.array([same, other], np.float32), np.array([[2, 0, 12, 10, 0.8, 0]], np.float32)])
    assert np.allclose(found, [[1, 0, 11, 10, 0.8, 0], [50, 50, 60, 60, 0.45, 0]])
    assert fused([np.zeros((2, 6)), np.zeros((1, 6))]).shape == (0, 6)


@pytest.mark.parametrize("how", [Answering(0.25), Answering(None, ("hflip",))])
def test_numbers_are_refused(how: Answering) -> None:
    with pytest.raises(BadRequest, match="numbers"):
        answering(Known({"task": "regression", "label_kind": "vector", "label_shape": (2,)}, share), how)


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(BadRequest, match="one size"):
        answering(Known(MAP, blurred), Answering(None, ("scales",)))
    with pytest.raises(BadRequest, match="cannot be turned"):
        answering(Known(MAP, blurred), Answering(None, ("turns",))).predict(noise(1, 1, 16, 20))
    with pytest.raises(DataError, match="do not lie over"):
        answering(Known(MAP, share), Answering(0.25)).predict(noise(1, 1, 20, 20))
    with pytest.raises(DataError, match=f"at most {MOST_TILES:,}"):
        answering(Known(MAP, blurred), Answering(0.5)).predict(np.zeros((1, 1, 1600, 1600), np.uint8))
