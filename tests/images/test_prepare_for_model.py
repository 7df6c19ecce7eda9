"""Records of other data sets are brought to what a model wants, and what it finds comes back to where it lies in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from digits.errors import DataError, LoadImageError
from digits.images.prepare_for_model import Fitting
from digits.tasks import Labels, of
from digits.utils.resizing import nearest

BOXES: dict[str, Any] = {
    "task": "detection",
    "class_labels": ["cell"],
    "label_kind": "boxes",
    "input_shape": [3, 30, 40],
    "stored_shape": [3, 30, 40],
    "preparation": {"dtype": "uint8"},
    "image": {"resize_mode": "fill"},
}
PICTURES = {**BOXES, "task": "processing", "label_kind": "array", "label_shape": [3, 30, 40], "class_labels": []}
CLASSES = {**BOXES, "task": "classification", "label_kind": "index"}


def fitting_of(meta: dict[str, Any]) -> Fitting:
    return Fitting(meta, of(meta["task"], Labels.of_snapshot(meta)))


def bright(size: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    picture = np.zeros((3, *size), np.uint8)
    picture[:, box[1] : box[3], box[0] : box[2]] = 250
    return picture


def found(picture: np.ndarray) -> list[int]:
    ys, xs = np.nonzero(picture[0] > 125)
    return [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


@pytest.mark.parametrize("size", [(90, 80), (15, 20), (30, 120)])
def test_boxes_come_back_to_where_they_lie(size: tuple[int, int]) -> None:
    box = (size[1] // 4, size[0] // 5, size[1] // 2, size[0] // 5 * 3)
    fitting = fitting_of(BOXES)
    seen = fitting.fitted(bright(size, box))
    assert seen.shape == (3, 30, 40)
    rows = np.array([[*found(seen), 0.9, 0]], np.float32)
    assert fitting.restored(rows, size)[0].tolist() == pytest.approx([*box, 0.9, 0], abs=size[1] / 40 + 0.01)


def test_what_fits_is_untouched() -> None:
    picture = bright((30, 40), (3, 3, 9, 9))
    assert fitting_of(BOXES).fitted(picture) is picture
    several = fitting_of({**BOXES, "one_size": False, "input_shape": [3, 16, 16]})
    larger = bright((50, 70), (3, 3, 9, 9))
    assert several.fitted(larger) is larger
    assert several.fitted(bright((8, 40), (1, 1, 4, 4))).shape == (3, 16, 80)


def test_pictures_come_back_at_their_size_and_classes_keep_their_way_of_resizing() -> None:
    assert fitting_of(PICTURES).restored(np.zeros((3, 30, 40), np.float32), (60, 20)).shape == (3, 60, 20)
    wide = np.full((3, 30, 120), 200, np.uint8)
    assert fitting_of(PICTURES).fitted(wide).min() == 200
    filled = fitting_of(CLASSES).fitted(np.concatenate([wide, wide // 2], axis=1)[:, :30])
    assert filled.shape == (3, 30, 40)


def test_channels_and_types() -> None:
    grey = np.full((1, 8, 8), 7, np.uint8)
    assert fitting_of(BOXES).fitted(grey).shape == (3, 30, 40)
    with pytest.raises(LoadImageError, match="5 channels"):
        fitting_of(BOXES).fitted(grey.repeat(5, axis=0))
    with pytest.raises(DataError, match="float32 values, the model was trained on uint8"):
        fitting_of(BOXES).fitted(grey.astype(np.float32))


def test_the_nearest_place_is_that_of_the_middle() -> None:
    assert nearest(4, 2).tolist() == [1, 3]
    assert nearest(2, 4).tolist() == [0, 0, 1, 1]
    assert nearest(3, 3).tolist() == [0, 1, 2]
