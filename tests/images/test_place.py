"""Whatever brings a picture to a size does it by one rule: data sets of each source, requests, records of other sets."""

from __future__ import annotations

import ast
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import digits
from digits.extensions.data.dicom import pixels
from digits.images.arrays import resize_array
from digits.images.place import FILLS, NOISE, Fit
from digits.images.prepare import Preparation
from digits.images.prepare_for_model import Fitting, Preparer
from digits.service.models.templates.predicting import resize as in_an_archive
from digits.tasks import Labels, of
from digits.utils.image import resize_image
from digits.utils.resizing import nearest, scaled

SIZES = [(31, 47), (47, 31), (64, 64), (10, 90), (7, 5)]
TARGET = (20, 24)  # height, width


def picture(height: int, width: int, channels: int, dtype: Any = np.uint8) -> np.ndarray:
    high = np.iinfo(dtype).max if np.dtype(dtype).kind in "ui" else 1000
    return np.random.default_rng((height, width, channels)).integers(0, high, (height, width, channels)).astype(dtype)


def by_pillow(array: np.ndarray, height: int, width: int) -> np.ndarray:
    """8-bit grey or RGB as Pillow scales it: the reference."""
    image = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR)).reshape(height, width, -1)


def meta(channels: int, mode: str) -> dict[str, Any]:
    shape = [channels, *TARGET]
    base = {"task": "classification", "class_labels": ["a"], "label_kind": "index", "input_shape": shape, "stored_shape": shape}
    return {
        **base,
        "preparation": {"dtype": "uint8"},
        "image": {"resize_mode": mode, "width": TARGET[1], "height": TARGET[0], "fill": NOISE},
    }


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_all_squash_an_eight_bit_picture_as_pillow_does(size: tuple[int, int], channels: int) -> None:
    array = picture(*size, channels)
    expected = by_pillow(array, *TARGET)
    of_set = Preparation(TARGET[1], TARGET[0], channels).feature(array if channels == 3 else array[:, :, 0])
    described = meta(channels, "squash")
    fitting = Fitting(described, of("classification", Labels.of_snapshot(described)))
    for found in (
        resize_image(array if channels == 3 else array[:, :, 0], *TARGET).reshape(*TARGET, -1),
        resize_array(array, *TARGET),
        Fit(TARGET[1], TARGET[0]).place(size[1], size[0]).picture(array),
        of_set.transpose(1, 2, 0),
        fitting.fitted(array.transpose(2, 0, 1)).transpose(1, 2, 0),
        pixels.resize(array.transpose(2, 0, 1), *TARGET).transpose(1, 2, 0),
        scaled(array, (TARGET[1], TARGET[0])),
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", ["crop", "fill", "half_crop", "squash"])
def test_a_record_is_fitted_as_the_models_own_data_set_would_have_resized_it(
    tmp_path: Path, size: tuple[int, int], mode: str
) -> None:
    array, described = picture(*size, 3), meta(3, mode)
    Image.fromarray(array).save(tmp_path / "a.png")
    stored = Preparation(TARGET[1], TARGET[0], 3, mode).read(str(tmp_path / "a.png"))[0]
    fitting = Fitting(described, of("classification", Labels.of_snapshot(described)))
    np.testing.assert_array_equal(fitting.fitted(array.transpose(2, 0, 1)), stored)
    np.testing.assert_array_equal(Preparer(described)(tmp_path / "a.png"), stored)
    np.testing.assert_array_equal(in_an_archive(Image.fromarray(array), TARGET[1], TARGET[0], mode).transpose(2, 0, 1), stored)


@pytest.mark.parametrize("size", SIZES)
def test_covering_and_filling_scale_to_the_same_size_everywhere(size: tuple[int, int]) -> None:
    array = picture(*size, 3)
    cropped = Fit(TARGET[1], TARGET[0], "crop").place(size[1], size[0]).picture(array)
    np.testing.assert_array_equal(cropped, resize_image(array, *TARGET, resize_mode="crop"))
    place = Fit(TARGET[1], TARGET[0], "fill").place(size[1], size[0])
    (left, top), (width, height) = place.corner, place.inner
    inside = slice(top, top + height), slice(left, left + width)
    np.testing.assert_array_equal(place.picture(array)[inside], resize_image(array, *TARGET, resize_mode="fill")[inside])
    for mode in ("crop", "fill", "half_crop", "squash"):
        for fill, value in FILLS.items():
            placed = Fit(TARGET[1], TARGET[0], mode, fill=fill).place(size[1], size[0]).picture(array)
            np.testing.assert_array_equal(placed, resize_image(array, *TARGET, resize_mode=mode, fill=value))
            np.testing.assert_array_equal(placed, in_an_archive(Image.fromarray(array), TARGET[1], TARGET[0], mode, fill))


@pytest.mark.parametrize("size", [(375, 500), (500, 375), (355, 500), (256, 301)])
def test_of_an_odd_excess_pictures_masks_and_boxes_lose_the_same_pixels(size: tuple[int, int]) -> None:
    """375×500 covers 256×256 as 256×341: 42 columns are cut at the left, 43 at the right."""
    array, place = picture(*size, 3), Fit(256, 256, "crop").place(size[1], size[0])
    assert (sum(place.inner) - 512) % 2 == 1
    left, top = place.corner
    assert (-left, -top) == ((place.inner[0] - 256) // 2, (place.inner[1] - 256) // 2)
    np.testing.assert_array_equal(place.picture(array), resize_image(array, 256, 256, resize_mode="crop"))
    whole = Fit(*place.inner).place(size[1], size[0])
    cut = slice(-top, 256 - top), slice(-left, 256 - left)
    np.testing.assert_array_equal(place.mask(array[:, :, 0], 255), whole.mask(array[:, :, 0], 255)[cut])
    corners = np.array([[10.0, 20.0, 200.0, 300.0]])
    np.testing.assert_allclose(place.boxes(corners), whole.boxes(corners) + [left, top] * 2)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32, np.uint32])
def test_wide_pictures_are_scaled_alike_and_keep_their_type(dtype: Any) -> None:
    array = picture(31, 47, 2, dtype)
    expected = np.stack(
        [
            np.asarray(Image.fromarray(array[:, :, c].astype(np.float32)).resize((24, 20), Image.Resampling.BILINEAR))
            for c in range(2)
        ],
        axis=2,
    )
    expected = expected if dtype == np.float32 else np.clip(np.rint(expected.astype(np.float64)), 0, np.iinfo(dtype).max)
    for found in (
        resize_array(array, *TARGET),
        Fit(24, 20).place(47, 31).picture(array),
        pixels.resize(array.transpose(2, 0, 1), *TARGET).transpose(1, 2, 0),
        Preparation(24, 20, 2, dtype=np.dtype(dtype).name).feature(array).transpose(1, 2, 0),
    ):
        assert found.dtype == dtype
        np.testing.assert_allclose(found.astype(np.float64), expected.astype(np.float64), rtol=1e-6)


def test_the_nearest_pixel_is_exact() -> None:
    """Where the middle of a pixel falls on a border, the rounding of w / 7 must not decide."""
    for used in range(1, 80):
        for wanted in range(1, 80):
            exact = [int((Fraction(2 * i + 1, 2) * used) / wanted) for i in range(wanted)]
            assert nearest(used, wanted).tolist() == exact


@pytest.mark.parametrize("size", [(31, 47), (50, 98), (9, 9)])
def test_masks_of_all_sources_take_the_same_pixels(size: tuple[int, int]) -> None:
    mask = np.random.default_rng(3).integers(0, 9, size).astype(np.uint8)
    expected = mask[nearest(size[0], 20)][:, nearest(size[1], 24)]
    np.testing.assert_array_equal(Fit(24, 20).place(size[1], size[0]).mask(mask, 255), expected)
    np.testing.assert_array_equal(pixels.resize(mask[np.newaxis], 20, 24, nearest=True)[0], expected)


@pytest.mark.parametrize("size", [(1, 30_000), (30_000, 2)])
def test_a_very_long_picture_covers_a_square_without_becoming_huge(size: tuple[int, int]) -> None:
    array = picture(*size, 3)
    place = Fit(512, 512, "crop").place(size[1], size[0])
    np.testing.assert_array_equal(place.picture(array), resize_image(array, 512, 512, resize_mode="crop"))
    assert place.mask(array[:, :, 0], 0).shape == (512, 512)


def test_nothing_else_in_the_package_scales_data() -> None:
    """Elsewhere Pillow scales what is drawn for the eye, or stands in an archive without the package."""
    for_the_eye = {
        "cli/inside.py",
        "images/addresses.py",
        "images/layer_maps.py",
        "images/tiles.py",
        "plugin_host/pictures.py",
        "worker/probes/augmentation_preview.py",
        "service/models/templates/pictures.py",
        "service/models/templates/predicting.py",
    }
    root = Path(digits.__file__).parent
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "Resampling"
    }
    assert found - {"utils/resizing.py"} <= for_the_eye
