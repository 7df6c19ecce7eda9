"""Intersection over union: one function for metrics and suppression, equal to torchvision's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from digits.engines.suppression import suppressed
from digits.metrics.box_overlap import covered, iou


def boxes(count: int, seed: int, dtype: Any) -> np.ndarray:
    draws = np.random.default_rng(seed)
    corner, size = draws.random((count, 2)) * 50, draws.random((count, 2)) * 40
    return np.concatenate([corner, corner + size], axis=1).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "m"), [(0, 3), (1, 1), (40, 25)])
def test_it_is_torchvisions(n: int, m: int, dtype: Any) -> None:
    a, b = boxes(n, 1, dtype), boxes(m, 2, dtype)
    found = iou(a, b)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, box_iou(torch.from_numpy(a), torch.from_numpy(b)).numpy(), rtol=1e-5, atol=1e-7)


def test_boxes_without_an_area_share_nothing() -> None:
    flat, whole = np.array([[5, 5, 5, 9.0]]), np.array([[0, 0, 10, 10.0]])
    assert iou(flat, flat).tolist() == iou(flat, whole).tolist() == covered(flat, whole).tolist() == [[0.0]]
    assert covered(np.array([[0, 0, 4, 5.0]]), whole).tolist() == [[1.0]]
    assert covered(whole, np.array([[0, 0, 4, 5.0]])).tolist() == [[0.2]]


@pytest.mark.parametrize("overlap", [0.2, 0.5, 0.8])
def test_suppression_goes_by_it(overlap: float) -> None:
    rows = np.concatenate([boxes(60, 3, np.float32), np.linspace(1, 0, 60, dtype=np.float32)[:, None]], axis=1)
    kept = suppressed(rows, overlap)
    among = iou(rows[kept, :4], rows[kept, :4]) - np.eye(len(kept), dtype=np.float32)
    assert among.max() <= overlap
    gone = np.setdiff1d(np.arange(60), kept)
    assert all(iou(rows[[n], :4], rows[kept[kept < n], :4]).max() > overlap for n in gone)
