"""Records of other data sets are brought to what a model wants, and what it finds comes back to where it lies in them."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from digits.errors import DataError, LoadImageError, Misfit
from digits.images.prepare import Preparation
from digits.images.prepare_for_model import MADE_EIGHT_BIT, Fitting, Preparer, takes_arrays
from digits.ingest.conversion import ArrayForm
from digits.service.models.templates.predicting import read_feature
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


@pytest.mark.parametrize(("own", "wanted", "works"), [
    ("uint8", "uint16", True), ("uint8", "float32", True), ("uint16", "float32", True), ("float64", "float32", True),
    ("uint16", "int16", False), ("float32", "uint16", False), ("int16", "uint16", False),
])  # fmt: skip
def test_a_file_of_another_type_is_taken_as_a_data_set_takes_it(tmp_path: Path, own: str, wanted: str, works: bool) -> None:
    """As `ingest.conversion` does it: unscaled where the model's type holds the values, and said; in an archive too."""
    values = (np.arange(12).reshape(3, 4) * 20).astype(own)
    np.save(tmp_path / "a.npy", values)
    preparation = {"dtype": wanted, "label_scale": 1.0}
    image = {**Preparation(4, 3, 1, dtype=wanted).to_json(), "dtype": wanted}
    meta = {"input_shape": [1, 3, 4], "stored_shape": [1, 3, 4], "preparation": preparation, "image": image}
    form = ArrayForm((1, 3, 4), np.dtype(wanted), True)
    if not works:
        with pytest.raises(LoadImageError, match=rf"holds {own} values.*values.astype\('{wanted}'\)"):
            Preparer(meta)(tmp_path / "a.npy")
        with pytest.raises(Misfit):
            form.converted(values[None], "feature", "", "")
        with pytest.raises(SystemExit):
            read_feature(tmp_path / "a.npy", meta)
        return
    found = Preparer(meta).prepared(tmp_path / "a.npy")
    assert found.note == f"It is of the type {own}, taken as {wanted} with its values unscaled."
    stored, done = form.converted(values[None], "feature", "", "")
    assert done
    for one in (found.feature, read_feature(tmp_path / "a.npy", meta)):
        assert one.dtype == stored.dtype
        np.testing.assert_array_equal(one, stored)


@pytest.mark.parametrize(("dtype", "channels"), [("8-bit", 3), ("uint8", 4), ("uint16", 1), ("float32", 2)])
def test_npy_is_offered_where_it_is_read(tmp_path: Path, dtype: str, channels: int) -> None:
    shape = [channels, 3, 4]
    meta = {"input_shape": shape, "stored_shape": shape, "image": Preparation(4, 3, channels, dtype=dtype).to_json()}
    values = np.zeros((3, 4, channels) if channels > 1 else (3, 4), "uint8" if dtype == "8-bit" else dtype)
    np.save(tmp_path / "a.npy", values)
    assert takes_arrays(meta) == (dtype != "8-bit")
    with nullcontext() if takes_arrays(meta) else pytest.raises(LoadImageError, match="is a NumPy array"):
        assert list(Preparer(meta)(tmp_path / "a.npy").shape) == shape


@pytest.mark.parametrize("ending", [".png", ".tif", ".ppm"])
def test_of_a_file_with_more_than_eight_bits_it_is_said_that_eight_are_taken(tmp_path: Path, ending: str) -> None:
    meta = {"input_shape": [3, 3, 4], "stored_shape": [3, 3, 4], "image": Preparation(4, 3, 3).to_json()}
    values = np.arange(36, dtype=np.uint16).reshape(3, 4, 3) * 1800
    for stored, note in ((values, MADE_EIGHT_BIT), ((values >> 8).astype(np.uint8), "")):
        file = tmp_path / f"{stored.dtype}{ending}"
        cv2.imwrite(str(file), stored[:, :, ::-1])
        for source in (file, file.read_bytes()):
            found = Preparer(meta).prepared(source)
            assert found.note == note
            near = 1 if ending == ".ppm" else 0  # which Pillow rounds
            np.testing.assert_allclose(found.feature, (values >> 8).transpose(2, 0, 1).astype(int), atol=near)
