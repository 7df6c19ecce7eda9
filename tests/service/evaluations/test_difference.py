"""How two answers to one picture differ: classes by their names, pixels and boxes in the given picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from digits.domain.training import TaskOptions
from digits.images.place import Origin
from digits.service.evaluations.answer import Answered
from digits.service.evaluations.difference import difference
from digits.tasks import Labels, of

PETS = ("cat", "dog", "cow")


def answered(
    task: str,
    output: Any,
    labels: Labels,
    *,
    size: tuple[int, int] = (4, 4),
    restored: Any = None,
    origin: Origin | None = None,
    least: float = 0.5,
    **sample: Any,
) -> Answered:
    found = of(task, labels)
    array = np.asarray(output, np.float32)
    over = None if restored is None else np.asarray(restored)
    return Answered(
        {"samples": [{"size": list(size), **sample}]}, array, over, origin, found, labels, TaskOptions(score_threshold=least)
    )


def test_classes_are_compared_by_name_whatever_their_order() -> None:
    one = answered("classification", [0.7, 0.2, 0.1], Labels(class_labels=PETS))
    other = answered("classification", [0.15, 0.25, 0.6], Labels(class_labels=("cow", "dog", "cat")))
    found = difference(one, other)
    assert (found["same"], found["label"]) == (True, "cat")
    assert found["largest"] == pytest.approx(10, abs=1e-4)
    assert found["words"].startswith("Both say cat (70.00 % and 60.00 %).")
    wrong = answered("classification", [0.6, 0.25, 0.15], Labels(class_labels=("cow", "dog", "cat")))
    assert difference(one, wrong)["words"].startswith("They disagree: cat (70.00 %) and cow (60.00 %).")


def test_labels_that_only_one_finds_are_named() -> None:
    labels = Labels("vector", (3,), "float32", PETS)
    one = answered("multi-label", [0.9, 0.9, 0.1], labels, found=["cat", "dog"])
    other = answered("multi-label", [0.9, 0.1, 0.8], labels, found=["cat", "cow"])
    found = difference(one, other)
    assert (found["only_first"], found["only_second"], found["same"]) == (["dog"], ["cow"], False)
    loud = answered("multi-label", [0.9, 0.1, 0.8], labels, found=["cat", "COW"])
    assert "only the second finds COW" in difference(one, loud)["words"]


def test_maps_are_compared_where_both_networks_saw_the_picture() -> None:
    labels = Labels("map", (1, 2, 2), "uint8", PETS, (3, 2, 2))
    turned = Labels("map", (1, 2, 2), "uint8", ("dog", "cat", "cow"), (3, 2, 2))
    place = Origin((2, 2), (2, 2))
    one = answered("segmentation", [[0, 0], [1, 2]], labels, restored=np.array([[0, 0], [1, 2]], np.uint8), origin=place)
    seen = np.array([[1, 0], [0, 255]], np.uint8)  # cat, dog, dog, not seen
    other = answered("segmentation", seen, turned, restored=seen, origin=place)
    found = difference(one, other)
    assert found["agreement"] == pytest.approx(2 / 3)
    assert found["iou"] == {"cat": 0.5, "dog": 0.5}
    elsewhere = answered("segmentation", seen, turned, restored=np.zeros((3, 3), np.uint8), origin=Origin((3, 3), (2, 2)))
    assert "not compared" in difference(one, elsewhere)["words"]


def test_boxes_pair_by_class_and_overlap_from_the_threshold_on() -> None:
    labels = Labels("boxes", None, class_labels=("cat", "dog"), feature_shape=(3, 24, 24))
    place = Origin((40, 40), (20, 20), (2.0, 2.0))
    rows = [[0, 0, 10, 10, 0.9, 0], [20, 20, 30, 30, 0.8, 1], [0, 30, 5, 40, 0.2, 0]]
    moved = [[1, 0, 11, 10, 0.7, 0], [20, 20, 30, 30, 0.9, 0]]  # the second is of the other class
    one = answered("detection", rows, labels, restored=rows, origin=place)
    found = difference(one, answered("detection", moved, labels, restored=moved, origin=place))
    assert (found["both"], found["only_first"], found["only_second"]) == (1, 1, 1)
    assert found["overlap"] == pytest.approx(90 / 110)
    empty = answered("detection", np.zeros((0, 6)), labels, restored=np.zeros((0, 6)), origin=place)
    assert difference(empty, empty)["words"].startswith("Neither finds a box.")


def test_numbers_and_what_cannot_be_compared() -> None:
    labels = Labels("vector", (2,), "float32", columns=("angle", "size"))
    one = answered("regression", [1.0, 5.0], labels)
    found = difference(one, answered("regression", [2.0, 2.0], labels))
    assert (found["mean"], found["largest"]) == (2.0, 3.0)
    assert "size" in found["words"]
    assert difference(one, one)["words"] == "The two are equal."
    assert "different shapes" in difference(one, answered("regression", [1.0], labels))["words"]
    assert "NaN" in difference(one, answered("regression", [float("nan"), 1.0], labels))["words"]


def test_numbers_are_compared_by_name_whatever_their_order() -> None:
    one = answered("regression", [1.0, 5.0], Labels("vector", (2,), "float32", columns=("Angle", "Size")))
    turned = answered("regression", [5.0, 1.0], Labels("vector", (2,), "float32", columns=("Size", "Angle")))
    assert difference(one, turned)["words"] == "The two are equal."
    more = answered("regression", [9.0, 5.5, 7.0], Labels("vector", (3,), "float32", columns=("Age", "Size", "Mass")))
    found = difference(one, more)
    assert found["largest"] == 0.5
    assert found["words"] == "They differ by 0.5. Only the first gives Angle; only the second gives Age, Mass."
    alien = answered("regression", [1.0, 5.0], Labels("vector", (2,), "float32", columns=("x", "y")))
    assert difference(one, alien) == {"words": "The one gives Angle, Size, the other x, y, so they are not compared."}
