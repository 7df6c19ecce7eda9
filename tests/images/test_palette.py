"""The colours of classes: one palette for every picture of them."""

from __future__ import annotations

from digits.images.palette import BLACK, class_colours, map_palette, object_colours, paired_colours

OWN = [0, 0, 0, 10, 20, 30, 40, 50, 60]


def test_the_data_set_has_the_first_word() -> None:
    assert class_colours(3, OWN) == [[0, 0, 0], [10, 20, 30], [40, 50, 60]]
    assert object_colours(2, OWN) == [[10, 20, 30], [40, 50, 60]]
    assert BLACK not in class_colours(40, OWN)[1:]


def test_only_a_background_is_black() -> None:
    assert class_colours(3, names=["background", "car", "tree"])[0] == BLACK
    assert class_colours(2, names=["sky", "road"])[0] == BLACK  # of two classes the first is what is left over
    named = class_colours(3, names=["sky", "road", "tree"])
    assert BLACK not in named
    assert object_colours(3) == named == class_colours(4)[1:]


def test_many_classes_can_be_told_apart() -> None:
    assert len({tuple(colour) for colour in object_colours(120)}) == 120
    assert len(paired_colours(30)) == 30


def test_pictures_of_numbers_show_what_does_not_count() -> None:
    palette = map_palette()
    assert len(palette) == 768
    assert palette[-3:] == [255, 255, 255]
    assert palette[:3] == BLACK
