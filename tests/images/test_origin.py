"""What a network finds is brought back into the given picture: the inverse of how the picture was prepared, for every door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.images.place import FILLS, Fit, Origin
from digits.images.prepare import Preparation
from digits.images.prepare_for_model import Fitting, Preparer, origin_of_output, origin_of_record
from digits.service.models.templates import predicting
from digits.tasks import Labels, of

SIZES = [(40, 30), (31, 47), (64, 64), (10, 90), (200, 20)]  # width, height
MODES = ("squash", "fill", "crop", "half_crop")
PADDINGS = [(0, 0), (256, 128), (50, 60)]


def preparation(mode: str, padding: tuple[int, int], keep: bool = False) -> Preparation:
    return Preparation(24, 20, 3, mode, keep, padding=padding, fill="zero")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", PADDINGS)
def test_boxes_come_back_to_where_they_were(size: tuple[int, int], mode: str, padding: tuple[int, int]) -> None:
    corners = np.array([[0, 0, *size], [1, 2, 7, 9]], np.float64)
    how = preparation(mode, padding)
    origin, shrunk = how.origin(*size), how._shrunk(*size)
    prepared = how._place(*shrunk).boxes(corners * np.tile(np.array(shrunk) / size, 2))
    assert origin.prepared == (24, 20)
    np.testing.assert_allclose(origin.boxes(prepared), corners, atol=1e-9)
    scores = np.concatenate([prepared, [[0.5, 1], [0.25, 0]]], axis=1).astype(np.float32)
    back = origin.boxes(scores)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back[:, 4:], scores[:, 4:])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", MODES)
def test_a_mask_comes_back_at_the_size_of_its_picture(size: tuple[int, int], mode: str) -> None:
    """Four quarters: what the network saw is right but for a pixel at their edges, what was cut off is void."""
    rows, columns = np.indices((size[1], size[0]))
    classes = ((rows >= size[1] // 2) * 2 + (columns >= size[0] // 2)).astype(np.uint8)
    fit = Fit(240, 200, mode)
    place = fit.place(*size)
    made = place.origin(*size).mask(place.mask(classes, 255), 255)
    assert made.shape == classes.shape
    away = (np.abs(rows - size[1] // 2 + 0.5) > 1.5) & (np.abs(columns - size[0] // 2 + 0.5) > 1.5)
    seen = made != 255
    np.testing.assert_array_equal(made[seen & away], classes[seen & away])
    assert seen.all() == (mode in ("squash", "fill"))
    assert seen.mean() > 0.05


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["squash", "fill"])
def test_a_smooth_picture_comes_back_nearly_as_it_was(size: tuple[int, int], mode: str) -> None:
    rows, columns = np.indices((size[1], size[0]))
    picture = np.stack([rows * (200 / size[1]), columns * (200 / size[0])]).astype(np.float32)
    place = Fit(160, 160, mode).place(*size)
    made = place.origin(*size).picture(place.picture(picture.transpose(1, 2, 0)).transpose(2, 0, 1))
    assert (made.shape, made.dtype) == (picture.shape, picture.dtype)
    assert np.abs(made - picture)[:, 2:-2, 2:-2].max() < 15


def test_what_was_cut_off_of_a_picture_is_0() -> None:
    place = Fit(20, 20, "crop").place(40, 20)
    made = place.origin(40, 20).picture(np.ones((1, 20, 20), np.uint8))
    np.testing.assert_array_equal(made[0].sum(axis=0) > 0, [False] * 10 + [True] * 20 + [False] * 10)


def test_a_picture_of_the_right_size_stays_as_it_is() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (3, 20, 24)).astype(np.uint8)
    origin = Fit(24, 20, "fill").place(24, 20).origin(24, 20)
    np.testing.assert_array_equal(origin.picture(picture), picture)
    np.testing.assert_array_equal(origin.mask(picture[0], 255), picture[0])
    assert (origin.scale, origin.offset) == ((1, 1), (0, 0))
    assert Origin.of_numbers(origin.numbers) == origin


def meta_of(task: str, how: dict[str, Any], crop: tuple[int, int] | None = None) -> dict[str, Any]:
    stored = [3, how.get("height", 20), how.get("width", 24)]
    shape = [3, *crop] if crop else stored
    preparation = {"dtype": "uint8", "label_scale": 1.0}
    return {"task": task, "class_labels": ["a", "b"], "label_kind": "map", "label_shape": [1, *shape[1:]],
            "input_shape": shape, "stored_shape": stored, "preparation": preparation, "image": how}  # fmt: skip


@pytest.mark.parametrize("mode", ["squash", "fill", "crop"])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("keep", [True, False])
def test_an_archive_brings_back_as_digits_does(tmp_path: Path, mode: str, padding: tuple[int, int], keep: bool) -> None:
    how = {"resize_mode": mode, "fill": "zero", "keep_size": keep, "padding": list(padding), "width": 24, "height": 20}
    how |= {"dtype": "8-bit", "channels": 3}
    meta = meta_of("segmentation", how)
    for number, size in enumerate(SIZES):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(path)
        prepared = Preparer(meta).prepared(path)
        feature, origin = prepared.feature, prepared.origin
        assert origin.prepared == (feature.shape[2], feature.shape[1])
        found = predicting.origin_of(path, meta)
        assert (tuple(found["size"]), tuple(found["prepared"])) == (origin.size, origin.prepared)
        np.testing.assert_allclose(found["scale"], origin.scale)
        np.testing.assert_allclose(found["offset"], origin.offset)
        values = np.random.default_rng(number).integers(0, 2, (1, *feature.shape[1:])).astype(np.uint8)
        np.testing.assert_array_equal(predicting.values_in_picture(values, found, meta)[0], origin.mask(values[0], 255))
        pictures, output = {**meta, "task": "processing"}, values.astype(np.float32)
        np.testing.assert_array_equal(predicting.values_in_picture(output, found, pictures), origin.picture(output))


def test_a_crop_is_the_middle_of_what_was_prepared() -> None:
    meta = meta_of("segmentation", {"resize_mode": "squash", "width": 24, "height": 20}, (10, 12))
    task = of("segmentation", Labels.of_snapshot(meta))
    origin = Origin.of_squashed((48, 40), (24, 20))
    found = origin_of_output(np.zeros((10, 12), np.uint8), origin, meta, task)
    assert found == Origin((48, 40), (12, 10), (2, 2), (-6, -5))
    assert origin_of_output(np.zeros((5, 6), np.uint8), origin, meta, task) is None
    mask = task.restored(np.ones((10, 12), np.uint8), found)
    assert (mask == 1).sum() == 20 * 24
    assert (mask[10:30, 12:36] == 1).all()


def test_records_know_their_pictures() -> None:
    fit = Fit(24, 20, "fill", 64, 64)
    place = fit.place(40, 30)
    found = origin_of_record(fit.to_json(), (40, 30), (24, 20))
    assert found == place.origin(40, 30)
    assert origin_of_record({}, (40, 30), (24, 20)) == Origin((24, 20), (24, 20))  # of a database nothing is known
    assert origin_of_record(fit.to_json(), (0, 0), (24, 20)) == Origin((24, 20), (24, 20))


def test_records_of_another_set_keep_their_size() -> None:
    meta = meta_of("detection", {"resize_mode": "fill", "width": 24, "height": 20})
    fitting = Fitting(meta, of("detection", Labels("boxes", None, class_labels=("a", "b"))))
    assert FILLS["zero"] == 0
    boxes = np.array([[1, 2, 12, 10, 0.5, 1]], np.float32)
    np.testing.assert_allclose(fitting.restored(boxes, (40, 48)), [[2, 4, 24, 20, 0.5, 1]])
