"""Classes of a data set as those of a model, by name."""

from __future__ import annotations

import pytest

from digits.domain.classes import ClassMatch, match_classes, unknown_number, unknown_place


@pytest.mark.parametrize(
    ("theirs", "ours", "match"),
    [
        (("cat", "dog"), ("cat", "dog"), ClassMatch((0, 1))),
        (("dog", "cat"), ("cat", "dog"), ClassMatch((1, 0))),
        (("fox", "cat", "wolf"), ("cat", "dog"), ClassMatch((-2, 0, -3), ("fox", "wolf"), (1,))),
        (("Polar_Bear",), ("polar bear", "seal"), ClassMatch((0,), (), (1,))),
        (("a", "A"), ("a",), ClassMatch((0, -2), ("A",))),  # the same name wins
        (("CAT", "Cat"), ("cat",), ClassMatch((-2, -3), ("CAT", "Cat"), (0,))),  # which of them is meant?
        (("cat",), ("Cat", "CAT"), ClassMatch((-2,), ("cat",), (0, 1))),
        ((), ("cat",), ClassMatch(())),
    ],
)
def test_names_are_matched(theirs, ours, match):
    assert match_classes(theirs, ours) == match


def test_each_unknown_class_has_a_number_of_its_own():
    numbers = [unknown_number(place) for place in range(3)]
    assert numbers == [-2, -3, -4]
    assert [unknown_place(number) for number in numbers] == [0, 1, 2]
    assert unknown_place(-1) < 0
    assert unknown_place(0) < 0
