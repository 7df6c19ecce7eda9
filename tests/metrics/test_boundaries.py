"""Outlines and their distances are those of SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from digits.metrics.boundaries import compared, outline_of


def masks() -> tuple[np.ndarray, np.ndarray]:
    one, other = np.zeros((40, 50), bool), np.zeros((40, 50), bool)
    one[5:20, 8:30] = other[7:24, 5:29] = other[38:, 48:] = True
    return one, other


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.7, 0.7), (0.7, 1.3)])
def test_hd95_and_boundary_f_are_those_of_the_points(spacing: tuple[float, float]) -> None:
    one, other = masks()
    points = [np.argwhere(mask & ~ndimage.binary_erosion(mask)) * spacing for mask in (one, other)]
    away = cdist(*points)
    found = compared(one, other, spacing)
    assert found is not None
    assert found.hd95 == pytest.approx(max(np.percentile(away.min(1), 95), np.percentile(away.min(0), 95)), abs=1e-4)
    near = max(0.0075 * np.hypot(40 * spacing[0], 50 * spacing[1]), max(spacing)) * (1 + 1e-6)  # a rounding error decides nothing
    precision, recall = (away.min(1) <= near).mean(), (away.min(0) <= near).mean()
    assert found.f == pytest.approx(2 * precision * recall / (precision + recall))


def test_the_same_outline_is_perfect_and_a_missing_one_has_no_distance() -> None:
    one, _ = masks()
    assert (outline_of(one) == (one & ~ndimage.binary_erosion(one))).all()
    same, missing = compared(one, one), compared(one, np.zeros_like(one))
    assert same is not None
    assert (same.f, same.hd95) == (1.0, 0.0)
    assert missing is not None
    assert missing.f == 0
    assert math.isnan(missing.hd95)
    assert compared(np.zeros_like(one), np.zeros_like(one)) is None
