"""What augmentation does is the same for every type, number of channels and engine, and nothing where it has no strength.

Both engines are given the same stored features and the same draws. Expected values come from the definition: bits that stay, a
relation between two types that hold the same picture, or NumPy and colorsys.
"""

from __future__ import annotations

import colorsys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from digits.domain.training import Augmentation
from digits.engines.training.augmentation import draw, pixel_noise
from digits.engines.training.preprocessing import Preprocessing, full_intensity
from tests.truth.engines import ENGINES, HAS_TENSORFLOW, part

DTYPES = ("uint8", "uint16", "int16", "float32")
RANGES = {"uint8": (0, 255), "uint16": (0, 65535), "int16": (-32768, 32767), "float32": (-1e4, 1e4)}
NOTHING = Augmentation(hsv_use=True, hsv_h=0.0, hsv_s=0.0, hsv_v=0.0)

dtypes, channels, sides = st.sampled_from(DTYPES), st.integers(1, 8), st.integers(1, 9)
seeds = st.integers(0, 2**31)
moves = st.builds(
    Augmentation,
    flip=st.sampled_from(["none", "fliplr", "flipud", "fliplrud"]),
    quad_rot=st.sampled_from(["none", "rot90", "rot180", "rotall"]),
    rot=st.sampled_from([0.0, 20.0, 180.0]),
    scale=st.sampled_from([0.0, 0.1]),
    shift=st.sampled_from([0.0, 0.2]),
)
strengths = st.builds(
    lambda moved, noise, contrast, use, hsv: replace(
        moved, noise=noise, contrast=contrast, hsv_use=use, hsv_h=hsv[0], hsv_s=hsv[1], hsv_v=hsv[2]
    ),
    moves,
    st.sampled_from([0.0, 0.03]),
    st.sampled_from([0.0, 0.3]),
    st.booleans(),
    st.tuples(*[st.sampled_from([0.0, 0.05, 0.3])] * 3),
)


def features_of(dtype: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Random values over the whole range of a type, with its two ends among them."""
    low, high = RANGES[dtype]
    made = np.random.default_rng(seed).uniform(low, high, shape).astype(dtype)
    made.flat[0], made.flat[-1] = low, high
    return made


def augmented(
    engine: str,
    features: np.ndarray,
    augmentation: Augmentation,
    labels: np.ndarray | None = None,
    *,
    scale: tuple[float, float] = (0.0, 255.0),
    seed: int = 1,
    outside: str = "edge",
) -> tuple[np.ndarray, np.ndarray | None]:
    """Features (N, C, H, W) as a training sees them before mean and scale, and labels: index maps int64 (N, H, W) or None."""
    samples = np.arange(len(features))
    options: dict[str, Any] = {"moves_labels": labels is not None, "index_maps": True, "floor": scale[0]}
    shape: Any = features.shape[1:]
    inputs = part(engine, "inputs")
    if engine == "pytorch":
        x = inputs.Inputs(Preprocessing(shape, shape), None, torch.device("cpu")).raw(features.copy())
        y = None if labels is None else torch.from_numpy(labels)
        augmenter = inputs.Augmenter(augmentation, scale[1], seed, outside=outside, **options)
        found, moved = augmenter(x, y, 0, samples)
        return found.numpy(), None if moved is None else moved.numpy()
    tf = part(engine, "start").tf
    x = inputs.Inputs(Preprocessing(shape, shape), None).raw(tf.constant(features))
    augmenter = inputs.Augmenter(augmentation, scale[1], seed, **options)
    transforms = {name: tf.constant(value) for name, value in augmenter.transforms(0, samples, features.shape[1:]).items()}
    found, moved = augmenter(x, None if labels is None else tf.constant(labels), transforms)
    return found.numpy().transpose(0, 3, 1, 2), None if moved is None else moved.numpy()


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=200)
@given(dtype=dtypes, count=channels, height=sides, width=sides, seed=seeds)
def test_without_strength_each_bit_stays(engine: str, dtype: str, count: int, height: int, width: int, seed: int) -> None:
    assert not NOTHING.active
    features = features_of(dtype, (3, count, height, width), seed)
    labels = np.random.default_rng(seed).integers(0, 300, (3, height, width))
    found, moved = augmented(engine, features, NOTHING, labels, scale=full_intensity(*RANGES[dtype], np.dtype(dtype)))
    np.testing.assert_array_equal(found, features.astype(np.float32))
    np.testing.assert_array_equal(moved, labels)


@pytest.mark.parametrize("engine", ENGINES)
@given(augmentation=moves, dtype=dtypes, count=channels, height=sides, width=sides, seed=seeds)
def test_parts_without_strength_add_nothing_to_others(
    engine: str, augmentation: Augmentation, dtype: str, count: int, height: int, width: int, seed: int
) -> None:
    features = features_of(dtype, (3, count, height, width), seed)
    beside = replace(augmentation, hsv_use=True, hsv_h=0.0, hsv_s=0.0, hsv_v=0.0)
    with_zeros, _ = augmented(engine, features, beside, seed=seed)
    np.testing.assert_array_equal(with_zeros, augmented(engine, features, augmentation, seed=seed)[0])
    assert with_zeros.min() >= float(features.min()) - 1e-6 * abs(float(features.min()))
    assert with_zeros.max() <= float(features.max()) + 1e-6 * abs(float(features.max()))


@pytest.mark.parametrize("engine", ENGINES)
@given(augmentation=strengths, count=channels, height=sides, width=sides, seed=seeds)
def test_the_same_picture_in_another_type_is_changed_alike(
    engine: str, augmentation: Augmentation, count: int, height: int, width: int, seed: int
) -> None:
    eight = features_of("uint8", (2, count, height, width), seed)
    wanted = augmented(engine, eight, augmentation, seed=seed)[0] / 255
    for features in (eight.astype(np.uint16) * 257, eight.astype(np.float32) / 255, eight.astype(np.int16) * 100 - 5000):
        low, high = float(features.min()), float(features.max())
        scale = full_intensity(low, high, features.dtype)
        assert scale == (min(low, 0), high - min(low, 0))
        found, _ = augmented(engine, features, augmentation, scale=scale, seed=seed)
        np.testing.assert_allclose((found - scale[0]) / scale[1], wanted, atol=2e-5)


@pytest.mark.skipif(not HAS_TENSORFLOW, reason="TensorFlow is not installed")
@given(augmentation=strengths, dtype=dtypes, count=channels, height=sides, width=sides, seed=seeds)
def test_the_engines_change_a_picture_alike(
    augmentation: Augmentation, dtype: str, count: int, height: int, width: int, seed: int
) -> None:
    features = features_of(dtype, (3, count, height, width), seed)
    labels = np.random.default_rng(seed).integers(0, 300, (3, height, width))
    scale = full_intensity(*RANGES[dtype], np.dtype(dtype))
    (one, here), (other, there) = (
        augmented(e, features, augmentation, labels, scale=scale, seed=seed) for e in ("pytorch", "tensorflow")
    )
    np.testing.assert_allclose(one / scale[1], other / scale[1], atol=1e-5)
    np.testing.assert_array_equal(here, there)


@pytest.mark.parametrize("engine", ENGINES)
@given(rgb=st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=6), seed=seeds, strength=st.floats(0.01, 0.5))
def test_colours_are_shifted_as_colorsys_has_it_and_stop_at_full_intensity(
    engine: str, rgb: list[tuple[int, int, int]], seed: int, strength: float
) -> None:
    augmentation = Augmentation(hsv_use=True, hsv_h=strength, hsv_s=strength, hsv_v=strength)
    features = np.array(rgb, np.uint16).T.reshape(1, 3, 1, -1) * 257
    found, _ = augmented(engine, features, augmentation, scale=(0.0, 65535.0), seed=seed)
    hue, saturation, value = draw(augmentation, seed, 0, np.arange(1)).hsv[0]
    for place, colour in enumerate(rgb):
        h, s, v = colorsys.rgb_to_hsv(*(c / 255 for c in colour))
        s = min(max(s + saturation, 0), 1) if s > 0 else 0.0
        wanted = colorsys.hsv_to_rgb((h + hue) % 1, s, min(max(v + value, 0), 1))
        np.testing.assert_allclose(found[0, :, 0, place] / 65535, wanted, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_lies_beyond_the_range_that_was_measured_is_not_cut(engine: str, dtype: str) -> None:
    """Of a large set a sample is measured: 9 or 1 % of these values lie beyond it."""
    features = features_of(dtype, (4, 3, 8, 8), 1)
    low, high = np.quantile(features, (0.01, 0.9))
    weak = Augmentation(hsv_use=True, hsv_h=1e-7, hsv_s=1e-7, hsv_v=1e-7)
    found, _ = augmented(engine, features, weak, scale=(low, high - low))
    np.testing.assert_allclose(found, features.astype(np.float32), atol=1e-4 * np.ptp(features.astype(float)))


@pytest.mark.parametrize("engine", ENGINES)
@given(dtype=dtypes, count=channels, seed=seeds)
def test_contrast_and_noise_are_their_formulas(engine: str, dtype: str, count: int, seed: int) -> None:
    augmentation = Augmentation(noise=0.05, contrast=0.4)
    features = features_of(dtype, (2, count, 5, 4), seed)
    floor, unit = full_intensity(*RANGES[dtype], np.dtype(dtype))
    drawn = draw(augmentation, seed, 0, np.arange(2))
    middle = features.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float64)
    wanted = (features - middle) * drawn.contrast[:, None, None, None] + middle
    wanted = wanted + pixel_noise(drawn.noise_keys, features.shape[1:]) * (0.05 * unit)
    found, _ = augmented(engine, features, augmentation, scale=(floor, unit), seed=seed)
    np.testing.assert_allclose(found / unit, wanted / unit, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
@given(flip=st.sampled_from(["fliplr", "flipud", "fliplrud"]), dtype=dtypes, count=channels, side=sides, width=sides, seed=seeds)
def test_flips_and_quarter_turns_move_pixels_and_masks_bit_for_bit(
    engine: str, flip: str, dtype: str, count: int, side: int, width: int, seed: int
) -> None:
    turns = "rotall" if side == width else "none"
    augmentation = Augmentation(flip=flip, quad_rot=turns)
    features = features_of(dtype, (4, count, side, width), seed)
    labels = np.random.default_rng(seed).integers(0, 300, (4, side, width))
    found, moved = augmented(engine, features, augmentation, labels, seed=seed)
    drawn = draw(augmentation, seed, 0, np.arange(4))
    for place in range(4):
        for array, given_array in ((found, features), (moved, labels)):
            wanted = given_array[place]
            wanted = wanted[..., ::-1] if drawn.flip_x[place] else wanted
            wanted = wanted[..., ::-1, :] if drawn.flip_y[place] else wanted
            assert array is not None
            np.testing.assert_array_equal(array[place], np.rot90(wanted, drawn.quarter_turns[place], (-2, -1)))


@pytest.mark.parametrize("engine", ENGINES)
@given(augmentation=moves, height=st.integers(8, 20), width=st.integers(8, 20), seed=seeds)
def test_a_mask_says_of_each_pixel_what_is_seen_there(
    engine: str, augmentation: Augmentation, height: int, width: int, seed: int
) -> None:
    """Where four neighbours agree the picture of a mask holds the mask's number, also in what came in from outside."""
    labels = np.random.default_rng(seed).integers(0, 3, (4, 1 + height // 4, 1 + width // 4)).repeat(4, 1).repeat(4, 2)
    labels = np.ascontiguousarray(labels[:, :height, :width])
    labels[:, :2] = 255  # void
    found, moved = augmented(engine, labels[:, None].astype(np.float32), augmentation, labels, seed=seed)
    assert moved is not None
    plain = found[:, 0] == np.rint(found[:, 0])
    agrees = found[:, 0] == moved
    assert (agrees | ~plain).mean() > 0.97
    assert agrees.mean() > 0.3
    assert set(np.unique(moved)) <= set(np.unique(labels))
