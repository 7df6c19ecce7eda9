"""Preparation and augmentation on tensors against colorsys, NumPy and the definition."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch

from digits.domain.training import Augmentation
from digits.engines.pytorch.inputs import Augmenter, Inputs, shift_hsv, whiten
from digits.engines.training.preprocessing import Preprocessing

CPU = torch.device("cpu")


def test_inputs_are_mean_free_and_scaled() -> None:
    features = np.random.default_rng(0).integers(0, 255, (4, 3, 6, 6)).astype(np.uint8)
    preprocessing = Preprocessing((3, 6, 6), (3, 6, 6), "pixel", (10.0, 20.0, 30.0), std=50.0)
    wanted = (features - np.array([10.0, 20.0, 30.0])[:, None, None]) / 50
    np.testing.assert_allclose(Inputs(preprocessing, None, CPU)(features).numpy(), wanted, atol=1e-5)


def test_a_mean_picture_is_cropped_like_the_features() -> None:
    mean = np.arange(36, dtype=np.float32).reshape(1, 6, 6)
    preprocessing = Preprocessing((1, 6, 6), (1, 4, 4), "image", (17.5,))
    found = Inputs(preprocessing, mean, CPU)(mean[None, :, 1:5, 1:5].copy())
    assert float(found.abs().max()) == 0.0


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float64])
def test_other_dtypes_keep_their_values(dtype: type) -> None:
    features = np.array([[[[0, 1000]]]], dtype=dtype)
    assert Inputs(Preprocessing((1, 1, 2), (1, 1, 2)), None, CPU)(features).tolist() == [[[[0, 1000]]]]


def test_hsv_equals_colorsys() -> None:
    rgb = np.random.default_rng(1).random((5, 3, 4, 4))
    shift = np.array([[0.1, 0.05, -0.1]] * 5)
    found = shift_hsv(torch.from_numpy(rgb), torch.from_numpy(shift)).numpy()
    for n, y, x in np.ndindex(5, 4, 4):
        h, s, v = colorsys.rgb_to_hsv(*rgb[n, :, y, x])
        wanted = colorsys.hsv_to_rgb((h + 0.1) % 1, min(s + 0.05, 1), max(v - 0.1, 0))
        np.testing.assert_allclose(found[n, :, y, x], wanted, atol=1e-6)


def test_whitening() -> None:
    x = whiten(torch.rand(3, 2, 8, 8) * 9 + 4)
    assert x.mean(dim=(1, 2, 3)).tolist() == pytest.approx([0] * 3, abs=1e-5)
    assert x.std(dim=(1, 2, 3), correction=0).tolist() == pytest.approx([1] * 3, abs=1e-4)
    assert torch.isfinite(whiten(torch.ones(1, 1, 4, 4))).all()


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation("fliplrud"),
        Augmentation(quad_rot="rotall"),
        Augmentation(rot=40, scale=0.1),
        Augmentation(scale=0.2, shift=0.2),
    ],
)
def test_index_maps_move_with_the_picture(augmentation: Augmentation) -> None:
    truth = torch.zeros(16, 20, 20, dtype=torch.int64)
    truth[:, 3:12, 5:9] = 1
    moved, labels = Augmenter(augmentation, 255.0, 3, moves_labels=True, index_maps=True)(
        truth[:, None].float() * 255, truth, 0, np.arange(16)
    )
    agreement = ((moved[:, 0] > 127) == (labels == 1)).float().mean()
    assert agreement > 0.97
    assert not torch.equal(labels, truth)


def test_a_flip_is_a_flip() -> None:
    x = torch.arange(64.0).reshape(1, 1, 8, 8).repeat(40, 1, 1, 1)
    moved, _ = Augmenter(Augmentation("fliplr"), 255.0, 1, moves_labels=False, index_maps=False)(
        x.clone(), None, 0, np.arange(40)
    )
    flipped = [torch.equal(m, x[0].flip(-1)) for m in moved]
    kept = [torch.equal(m, x[0]) for m in moved]
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert 8 < sum(flipped) < 32


def test_a_quarter_turn_by_resampling_equals_rot90() -> None:
    from digits.engines.pytorch.inputs import _resample

    x = torch.rand(1, 1, 8, 8)
    found = _resample(x, np.array([np.pi / 2]), np.array([1.0]), np.zeros((1, 2)), nearest=False, padding="border")
    assert any(torch.allclose(found, x.rot90(k, (-2, -1)), atol=1e-4) for k in (1, 3))
