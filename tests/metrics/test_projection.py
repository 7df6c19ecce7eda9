"""Principal components from parts are those of all vectors at once."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from digits.metrics.projection import Moments, components


def test_components_in_parts_are_those_of_a_library() -> None:
    random = np.random.default_rng(0)
    vectors = (random.normal(size=(300, 6)) * [5, 3, 1, 1, 0.5, 0.1] + 1000).astype(np.float32)
    moments = Moments(6)
    for part in np.array_split(vectors, 7):
        moments.add(part)
    directions, shares = components(moments, 2)
    wanted = PCA(2).fit(vectors.astype(np.float64))
    assert shares == pytest.approx(wanted.explained_variance_ratio_, rel=1e-6)
    assert np.abs(directions.T @ wanted.components_.T) == pytest.approx(np.eye(2), abs=1e-6)
    assert moments.mean == pytest.approx(vectors.mean(axis=0, dtype=np.float64))


def test_vectors_that_are_all_the_same_have_no_axis() -> None:
    moments = Moments(3)
    moments.add(np.ones((4, 3), np.float32))
    assert components(moments, 2)[1].tolist() == [0.0, 0.0]
