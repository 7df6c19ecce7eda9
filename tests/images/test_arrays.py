"""Arrays that make one batch."""

from __future__ import annotations

import numpy as np

from digits.images.arrays import groups_of_shape


def test_groups_hold_arrays_of_one_shape_and_type_in_their_order() -> None:
    small, large = np.zeros((1, 2, 3), np.uint8), np.zeros((1, 4, 3), np.uint8)
    arrays = [small, large, small.astype(np.float32), small, large]
    assert groups_of_shape(arrays) == [[0, 3], [1, 4], [2]]
    assert groups_of_shape([]) == []
    assert groups_of_shape(np.zeros((3, 1, 2, 2))) == [[0, 1, 2]]
