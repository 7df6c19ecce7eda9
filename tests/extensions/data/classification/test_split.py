"""How pictures are divided: for any numbers, exact per class and by whole groups."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from digits.extensions.data.classification.split import by_group, split_counts, stratified
from digits.images.arrays import resize_array, with_channels
from digits.utils.image import resize_image

percentages = st.tuples(st.integers(0, 49), st.integers(0, 49))


@settings(deadline=None, max_examples=50)
@given(st.integers(3, 500), percentages)
def test_counts_are_the_nearest_and_none_is_empty(count: int, shares: tuple[int, int]) -> None:
    train, val, test = split_counts(count, *shares)
    assert train + val + test == count
    assert train >= 1
    for got, share in ((val, shares[0]), (test, shares[1])):
        assert (got == 0) == (share == 0)
        assert got == 1 or abs(got - count * share / 100) <= 1


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), percentages, st.integers(0, 9))
def test_each_class_is_split_by_itself(labels: list[int], shares: tuple[int, int], seed: int) -> None:
    classes = np.array(labels)
    stages = stratified(classes, *shares, np.random.default_rng(seed))
    for number in np.unique(classes):
        found = np.bincount(stages[classes == number], minlength=3)
        assert tuple(found) == split_counts(int((classes == number).sum()), *shares)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=30, max_size=200), st.integers(0, 9))
def test_a_group_is_never_divided(rows: list[tuple[int, int]], seed: int) -> None:
    classes, groups = np.array(rows).T
    groups = np.unique(groups, return_inverse=True)[1]
    stages = by_group(classes, groups, 25, 25, np.random.default_rng(seed))
    for group in np.unique(groups):
        assert len(np.unique(stages[groups == group])) == 1
    if len(np.unique(groups)) >= 3:
        assert set(stages) == {0, 1, 2}


def test_many_small_groups_come_close_to_the_shares() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 300, 3000)
    classes = groups % 5
    stages = by_group(classes, np.unique(groups, return_inverse=True)[1], 20, 10, rng)
    for number in range(5):
        shares = np.bincount(stages[classes == number], minlength=3) / (classes == number).sum()
        np.testing.assert_allclose(shares, [0.7, 0.2, 0.1], atol=0.02)


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(["squash", "crop", "fill", "half_crop"]), st.tuples(*[st.integers(1, 40)] * 4))
def test_wide_pictures_are_resized_by_the_same_rules(mode: str, sides: tuple[int, int, int, int]) -> None:
    height, width, to_height, to_width = sides
    array = np.random.default_rng(0).integers(0, 256, (height, width), np.uint8)
    found = resize_array(array[:, :, np.newaxis], to_height, to_width, mode)[:, :, 0]
    expected = resize_image(array, to_height, to_width, 1, mode)
    assert found.shape == expected.shape
    if mode in ("squash", "crop"):  # the others pad with noise of their own
        assert np.abs(found.astype(int) - expected).max() <= 1


def test_channels_of_wide_pictures() -> None:
    grey = np.arange(6, dtype=np.uint16).reshape(2, 3)
    assert with_channels(grey, 3).shape == (2, 3, 3)
    assert (with_channels(with_channels(grey, 3), 1)[:, :, 0] == grey).all()
