"""Every task passes the contract, and labels make of a task what they are."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from digits import tasks
from digits.domain.training import TaskOptions
from digits.errors import BadRequest
from digits.tasks import Labels, Task
from digits.tasks.label_forms import words
from digits.testing.tasks import TaskContract


class TestClassification(TaskContract):
    task: ClassVar[Task] = tasks.get("classification")


class TestSegmentation(TaskContract):
    task: ClassVar[Task] = tasks.get("segmentation")


class TestDetection(TaskContract):
    task: ClassVar[Task] = tasks.get("detection")


class TestRegression(TaskContract):
    task: ClassVar[Task] = tasks.get("regression")


class TestImageToImage(TaskContract):
    task: ClassVar[Task] = tasks.get("image_to_image")


class TestMultiLabel(TaskContract):
    task: ClassVar[Task] = tasks.get("multi_label")

    def test_a_label_is_the_names_of_its_classes(self) -> None:
        names = ("cat", "dog", "indoors")
        assert words("vector", np.array([1, 0, 1], np.float32), names) == "cat, indoors"
        assert words("vector", np.zeros(3, np.float32), names) == "none of them"
        assert words("vector", np.array([1.5, 0]), ()) == "1.5, 0"

    def test_thresholds_are_one_for_all_or_one_for_each(self) -> None:
        names = ("cat", "dog", "indoors")
        for given, held in (((), (0.5,) * 3), ((0.25,), (0.25,) * 3), ((0.1, 0.2, 0.3), (0.1, 0.2, 0.3))):
            options = TaskOptions(label_thresholds=given)
            assert self.task.option_problems(options, names) == {}
            assert self.task.own_options(self.task.settled(options, names)) == {"label_thresholds": held}
        (message,) = self.task.option_problems(TaskOptions(label_thresholds=(0.1, 0.2)), names).values()
        assert "2 thresholds for 3 labels" in message
        assert "cat, dog, indoors" in message


class TestGeneric(TaskContract):
    task: ClassVar[Task] = tasks.get("generic")


def test_every_task_has_its_class_above() -> None:
    assert {kind.task for kind in TaskContract.__subclasses__()} >= set(tasks.TASKS)


@pytest.mark.parametrize(
    ("name", "labels", "wanted"),
    [
        ("generic", Labels("index", class_labels=("a", "b")), "classification"),
        ("generic", Labels("index"), "regression"),
        ("classification", Labels("index"), "regression"),
        ("generic", Labels("boxes", None), "detection"),
        ("generic", Labels("map", (1, 8, 8), class_labels=("a", "b")), "segmentation"),
        ("generic", Labels("map", (1, 8, 8)), "generic"),
        ("regression", Labels("array", (1, 1, 5)), "regression"),
        ("processing", Labels("array", (1, 1, 5)), "regression"),
        ("processing", Labels("none"), "processing"),
        ("generic", Labels("none"), "generic"),
        ("image-to-image", Labels("array", (3, 8, 8)), "processing"),
    ],
)
def test_labels_make_a_task_what_they_are(name: str, labels: Labels, wanted: str) -> None:
    assert tasks.of(name, labels).name == wanted


@pytest.mark.parametrize(
    ("kind", "classes", "wanted"),
    [
        ("index", True, "classification"),
        ("index", False, "generic"),
        ("map", True, "segmentation"),
        ("boxes", True, "detection"),
        ("vector", False, "regression"),
        ("array", False, "generic"),
        ("none", False, "generic"),
    ],
)
def test_a_task_is_inferred_from_samples(kind: str, classes: bool, wanted: str) -> None:
    assert tasks.infer(kind, classes).name == wanted


def test_an_unknown_task_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadRequest, match=r"no task 'painting'.*classification, .*segmentation"):
        tasks.get("painting")
