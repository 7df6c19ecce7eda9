"""NaN and infinity in an output are wrong in the metrics of every task, and counted; they are never better than anything."""

from __future__ import annotations

import math

import numpy as np
import pytest

from digits.domain.classes import NO_CLASS
from digits.domain.metrics import beats, deciding_metric, is_lower_better, nonfinite_text
from digits.metrics.accuracy import Accuracy, predicted, rank
from digits.metrics.average_precision import BoxPrecision
from digits.metrics.base import Finite, is_finite
from digits.metrics.classification_report import ClassificationReport
from digits.metrics.multi_label import LabelPrecision
from digits.metrics.segmentation import Overlap, best_class, dice_of_picture
from digits.service.evaluations.downloads import confusion
from digits.storage.records.reader import BOX_DTYPE
from digits.tasks import TASKS, Task

BAD = [math.nan, math.inf]


def _measured(task: Task, outputs: np.ndarray) -> dict[str, float]:
    labels, _, truth = task.example()
    values: dict[str, float] = {}
    for metric in task.metrics(labels):
        metric.update(outputs, truth)
        values |= metric.compute()
    return values


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_an_answer_that_was_right_is_worse_with_one_and_worst_with_nothing_else(task: Task, bad: float) -> None:
    _, outputs, _ = task.example()
    right = _measured(task, outputs)
    name = deciding_metric(task.name, right) or "mae"  # of arrays the loss decides
    one = np.array(outputs, dtype=np.float64)
    one[(0,) * one.ndim] = bad
    worse = _measured(task, one)[name]
    assert not math.isfinite(worse) or beats(right[name], worse, is_lower_better(name))
    every = {n: value for n, value in _measured(task, np.full_like(one, bad)).items() if not n.startswith("threshold/")}
    assert all(value == 0 or not math.isfinite(value) for value in every.values()), every


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", [0, 1])
def test_a_score_that_is_no_number_is_right_for_no_rank(bad: float, place: int) -> None:
    scores = np.array([[9.0, 1, 2, 3, 4, 5, 6], [9.0, 1, 2, 3, 4, 5, 6]])
    scores[0, place] = bad
    labels = np.array([0, 0])
    assert rank(scores, labels).tolist() == [7, 0]
    assert predicted(scores, labels).tolist() == [-1, 0]
    metric = Accuracy(7)
    metric.update(scores, labels)
    assert metric.compute() == {"accuracy": 0.5, "accuracy_top5": 0.5}


def test_minus_infinity_is_the_score_of_a_class_that_cannot_be() -> None:
    assert rank(np.array([[1.0, -np.inf, 0.0]]), np.array([0])).tolist() == [0]
    assert rank(np.full((1, 3), -np.inf), np.array([0])).tolist() == [2]


@pytest.mark.parametrize("bad", BAD)
def test_a_report_counts_such_a_picture_for_its_class_and_predicts_none(bad: float) -> None:
    report = ClassificationReport([f"c{i}" for i in range(6)], 3)
    probabilities = np.tile(np.array([0.5, 0.1, 0.1, 0.1, 0.1, 0.1], np.float32), (4, 1))
    probabilities[1:] = bad
    kept = report.add(probabilities, np.array([0, 0, 0, 1]))
    assert kept["classes"][:, 0].tolist() == [0, -1, -1, -1]
    found = report.summary()
    assert (found["top1"], found["top5"]) == (0.25, 0.25)
    assert found["confusion"] == [[0, 0, 1]]
    first = found["per_class"][0]
    assert (first["count"], first["predicted"], first["correct"], first["accuracy"]) == (3, 1, 1, 1 / 3)
    assert found["per_class"][1]["count"] == 1
    rows = confusion(found)
    assert [(row["label"], row["cells"][0], row["count"], row["accuracy"]) for row in rows] == [
        ("c0", 1, 3, 1 / 3),
        ("c1", 0, 1, 0),
    ]
    assert [row for row, _ in found["top"]["0"]] == [0]


@pytest.mark.parametrize("bad", BAD)
def test_a_pixel_with_such_a_score_is_of_no_class(bad: float) -> None:
    scores = np.zeros((1, 2, 2, 2))
    scores[0, 0] = 1  # every pixel of class 0
    scores[0, 1, 0, 0] = bad
    classes = best_class(scores, axis=1)
    assert classes.tolist() == [[[NO_CLASS, 0], [0, 0]]]
    truth = np.zeros((1, 2, 2), np.int64)
    for given in (scores, classes, classes.astype(np.uint8)):
        metric = Overlap(["back", "cell"])
        metric.update(given, truth)
        found = metric.compute()
        assert found["pixel_accuracy"] == 0.75
        assert found["iou/back"] == 0.75
        assert found["dice/back"] == pytest.approx(2 * 3 / 7)
    objects, names = np.array([[1, 1]]), ["back", "cell"]
    for missing in (np.array([[1, 255]], np.uint8), np.array([[1, NO_CLASS]])):
        assert dice_of_picture(missing, objects, names) == pytest.approx(2 / 3)


@pytest.mark.parametrize("bad", [*BAD, -math.inf])
def test_a_label_with_such_a_score_is_missed_where_true_and_found_where_not(bad: float) -> None:
    truth = np.array([[1], [1], [0], [0]], np.float32)
    scores = np.array([[0.9], [bad], [bad], [0.1]], np.float32)
    metric = LabelPrecision(["cat"], {"cat": 0.5})
    metric.update(scores, truth)
    found = metric.compute()
    assert found["f1/cat"] == 2 * 1 / (2 + 2)  # one found, one missed, one wrong
    assert found["mean_ap"] == pytest.approx(1 / 2 * 1 / 2)  # the wrong one comes first, then the true one; the other never


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("place", range(6))
def test_a_box_with_such_a_number_finds_nothing(bad: float, place: int) -> None:
    truth = np.array([(2, 2, 9, 9, 0, 0), (12, 2, 20, 9, 0, 0)], BOX_DTYPE)
    boxes = np.array([[2, 2, 9, 9, 0.9, 0], [12, 2, 20, 9, 0.8, 0.0]])
    boxes[0, place] = bad
    metric = BoxPrecision(["cat"])
    metric.update([boxes], [truth])
    found = metric.compute()
    assert (found["precision"], found["recall"]) == (0.5, 0.5)
    assert 0 < found["map50"] < 0.5


def test_they_are_counted_by_outputs() -> None:
    counted = Finite()
    counted.update(np.array([[0.0, np.nan], [1.0, 2.0], [np.inf, np.nan]]), None)
    counted.update([np.zeros((0, 6)), np.full((2, 6), np.nan)], None)
    counted.update(np.array([[0, 1], [NO_CLASS, 0]]), None)
    assert (counted.outputs, counted.nonfinite) == (7, 4)
    assert counted.compute() == {}
    assert is_finite(np.zeros((0,)))
    assert nonfinite_text(counted.nonfinite, counted.outputs) == "4 of 7 outputs were no numbers"
    assert nonfinite_text(1, 1) == "1 of 1 output was no number"


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_none_of_them_is_better_than_anything(value: float, lower: bool) -> None:
    assert not beats(value, None, lower)
    assert not beats(value, 0.0, lower)
