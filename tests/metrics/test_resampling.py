"""What training keeps of each picture gives the metric of the whole split again, of any mixture of its pictures."""

from __future__ import annotations

import numpy as np
import pytest

from digits import tasks
from digits.domain.datasets import IGNORED
from digits.metrics.average_precision import BoxPrecision
from digits.metrics.base import Metric
from digits.metrics.resampling import draws, measurable, once, picture_values, resampled
from digits.storage.records.boxes import CUT
from digits.storage.records.reader import BOX_CROWD, BOX_DIFFICULT, BOX_IGNORED
from digits.storage.validation_pictures import Ragged
from tests.metrics.test_average_precision import LABELS, pictures


def columns_of(metrics: list[Metric], count: int) -> dict[str, object]:
    """As they are read from a file."""
    found: dict[str, object] = {}
    for metric in metrics:
        for name, column in metric.of_pictures(np.arange(count)).items():
            if isinstance(column, list):
                lengths = [len(one) for one in column]
                found[name] = Ragged(np.concatenate(column), np.repeat(np.arange(count), lengths))
            else:
                found[name] = column
    return found


def noisy(task: tasks.Task, outputs: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(1)
    return outputs + rng.normal(0, 1.0 if task.scores else 0.1, outputs.shape).astype(np.float32)


@pytest.mark.parametrize("task", [task for task in tasks.TASKS if task.name != "detection"], ids=lambda task: task.name)
def test_a_mixture_is_measured_as_if_its_pictures_were_the_split(task: tasks.Task) -> None:
    labels, outputs, truth = task.example()
    outputs = noisy(task, np.asarray(outputs))
    whole = task.metrics(task.compared(labels))
    for metric in whole:
        metric.keeps = True
        metric.update(outputs, truth)
    measured = {name: value for metric in whole for name, value in metric.compute().items()}
    given = task.settled(task_options(whole), labels.class_labels)
    columns = columns_of(whole, len(outputs))
    names = [name for name in measurable(columns) if name in measured]
    assert names
    drawn = draws(len(outputs), 5, seed=3)
    for name in names:
        assert resampled(name, columns, once(len(outputs)))[0] == pytest.approx(measured[name], rel=1e-5)
    for row, weights in enumerate(drawn.weights):
        rows = np.repeat(np.arange(len(outputs)), weights.astype(int))
        again = task.metrics(task.compared(labels), given)
        for metric in again:
            metric.update(outputs[rows], truth[rows])
        wanted = {name: value for metric in again for name, value in metric.compute().items()}
        for name in names:
            assert resampled(name, columns, drawn)[row] == pytest.approx(wanted[name], rel=1e-5, nan_ok=True), name


def task_options(metrics: list[Metric]):
    from digits.domain.training import TaskOptions

    chosen = {name: value for metric in metrics for name, value in metric.chosen().items()}
    return TaskOptions(**chosen)


@pytest.mark.parametrize("flags", [(0,), (0, 0, BOX_DIFFICULT, BOX_CROWD, BOX_IGNORED, CUT)])
def test_average_precision_of_boxes_is_cocos(flags: tuple[int, ...]) -> None:
    data = pictures(4, flags)
    metric = BoxPrecision(LABELS)
    for found, truth in data:
        metric.update([found], [truth])
    columns, measured = columns_of([metric], len(data)), metric.compute()
    for name in ("map", "map50", "map75"):
        assert resampled(name, columns, once(len(data)))[0] == pytest.approx(measured[name], abs=1e-9)


@pytest.mark.parametrize("names", [("sky", "road", "car"), ("background", "car", "edge"), ("back", "cell")])
def test_dice_of_a_sample_is_that_of_the_picture_that_flipped(names: tuple[str, ...]) -> None:
    """Two numbers on one page: class 0 was left out of one of them, whatever it is."""
    task = tasks.get("segmentation")
    rng = np.random.default_rng(4)
    made, truth = rng.integers(0, len(names), (2, 5, 6, 7))
    truth[0, :2], truth[1], made[1] = IGNORED, 0, 0
    labels = tasks.Labels("map", (1, 6, 7), "uint8", names, (3, 6, 7))
    (metric,) = task.metrics(labels)
    metric.keeps = True
    metric.update(made, truth)
    flipped = picture_values("mean_dice", columns_of([metric], len(made)), len(made))
    samples = [task.describe_output(one, real[None], labels)["dice"] for one, real in zip(made, truth, strict=True)]
    assert samples == pytest.approx(flipped.tolist())
    assert samples[1] == 1, "a picture of class 0 alone has a value like any other"
