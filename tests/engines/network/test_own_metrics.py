"""The engine, the row, the page and the evaluation take the same metric for the deciding one, and the same value for the best."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.domain.events import MetricEvent, SnapshotEvent
from digits.domain.metrics import METRICS as KNOWN
from digits.domain.metrics import beats, deciding_metric
from digits.domain.training import LearningRate, TrainingSpec
from digits.engines.network.own_metrics import declared_in, may_decide, read_declared
from digits.errors import NetworkError
from digits.metrics.average_precision import BoxPrecision
from digits.service.models.charts import page_curves
from digits.service.models.history import read_history
from digits.service.models.page import deciding, metric_facts
from digits.storage.events import valid_events
from digits.storage.folders import JobFolder
from digits.storage.run_summary import RunSummary
from digits.tasks import TASKS, get
from digits.testing.runs import make_dataset, striped_pictures, train, train_logged

HEAD = "import torch\nfrom torch import nn\n\ndef build_network(context):\n    c, h, w = context.input_shape\n"
VECTOR = HEAD + "    return nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, {size}))\n"
PICTURE = HEAD + "    return nn.Conv2d(c, {size}, 3, padding=1)\n"
ERROR = "def metrics(outputs, targets):\n    return {'top1_error': (outputs.argmax(1) != targets).float().mean()}\n"
METRICS = "METRICS = {'top1_error': {'better': 'lower', 'unit': '%'}}\n"


def data(kind: str, folder: Path) -> Path:
    features, classes = striped_pictures(32, 8, seed=2)
    if kind == "segmentation":
        return make_dataset(
            folder, features, (features > 100).astype(np.uint8), task=kind, label_kind="map", class_labels=("a", "b")
        )
    if kind == "regression":
        return make_dataset(folder, features, np.eye(2, dtype=np.float32)[classes], task=kind, label_kind="vector")
    if kind == "processing":
        return make_dataset(folder, features, 255 - features, task=kind, label_kind="array")
    return make_dataset(folder, features, classes, task=kind, class_labels=("left", "right"))


def trained(folder: Path, task: str, text: str, **options: Any) -> tuple[TrainingSpec, JobFolder]:
    rate = LearningRate(0.02, "fixed")
    spec = TrainingSpec("d", task, network=text, epochs=4, batch_size=8, seed=3, learning_rate=rate, use_mean="pixel", **options)
    train_logged(data(task, folder / "data"), folder / "model", spec)
    return spec, JobFolder(folder / "model")


def best_of_engine(folder: JobFolder) -> SnapshotEvent:
    events = [event for _, event in valid_events(folder.events_file)]
    return [event for event in events if isinstance(event, SnapshotEvent) and event.best][-1]


def best_of_page(folder: JobFolder, spec: TrainingSpec) -> tuple[str, float, float]:
    """As the page's code finds it in what the server gives it."""
    history = read_history(folder)
    name, curves = deciding(history, spec.task, spec.best_metric), page_curves(history)["val"]
    lower = metric_facts(history)[name]["better"] == "lower"
    best: tuple[float | None, float] = (None, 0.0)
    for step, epoch, value in zip(curves["step"], curves["epoch"], curves["values"][name], strict=True):
        if step and beats(value, best[0], lower):
            best = (value, epoch)
    assert best[0] is not None
    return name, best[0], best[1]


@pytest.mark.parametrize(
    ("task", "text", "wanted"),
    [
        ("classification", VECTOR.format(size=2), "accuracy"),
        ("generic", VECTOR.format(size=2), "accuracy"),
        ("segmentation", PICTURE.format(size=2), "mean_dice"),
        ("regression", VECTOR.format(size=2), "mae"),
        ("processing", PICTURE.format(size=1), "psnr"),
    ],
)
def test_everyone_finds_the_same_best_of_a_task(tmp_path: Path, task: str, text: str, wanted: str) -> None:
    spec, folder = trained(tmp_path, task, text)
    kept = best_of_engine(folder)
    row = RunSummary.of("m", spec.to_json())
    row.read(folder.events_file)
    assert row.best() == (wanted, kept.metrics[wanted], kept.epoch)
    assert best_of_page(folder, spec) == row.best()
    if wanted in get(task).picture_metrics:
        assert deciding_metric(task, get(task).picture_metrics) == wanted


def test_detection_is_decided_by_its_average_precision() -> None:
    names = [*BoxPrecision(["a"]).compute(), "loss"]
    assert deciding_metric("detection", names) == deciding_metric("detection", get("detection").picture_metrics) == "map50"


def test_everyone_finds_the_same_best_by_an_own_metric_of_which_less_is_better(tmp_path: Path) -> None:
    spec, folder = trained(tmp_path, "classification", VECTOR.format(size=2) + ERROR + METRICS, best_metric="top1_error")
    kept = best_of_engine(folder)
    values = [
        event.values["top1_error"]
        for _, event in valid_events(folder.events_file)
        if isinstance(event, MetricEvent) and event.phase == "val" and event.step
    ]
    row = RunSummary.of("m", spec.to_json())
    row.read(folder.events_file)
    assert kept.metrics["top1_error"] == min(values)
    assert row.best() == ("top1_error", min(values), kept.epoch)
    assert best_of_page(folder, spec) == row.best()
    assert metric_facts(read_history(folder))["top1_error"]["unit"] == "%"


def test_an_own_metric_without_a_direction_is_charted_but_cannot_decide(tmp_path: Path) -> None:
    text = VECTOR.format(size=2) + ERROR
    with pytest.raises(NetworkError, match=r"does not say which direction.*METRICS = .*top1_error"):
        trained(tmp_path / "chosen", "classification", text, best_metric="top1_error")
    spec, folder = trained(tmp_path / "charted", "classification", text)
    assert page_curves(read_history(folder))["kinds"]["top1_error"] == "other"
    assert deciding(read_history(folder), spec.task, "") == "accuracy"


def test_a_metric_that_is_not_measured_is_replaced_and_said_so(tmp_path: Path) -> None:
    spec = TrainingSpec("d", "classification", network=VECTOR.format(size=2), epochs=1, batch_size=8, best_metric="psnr")
    events = train(data("classification", tmp_path / "data"), tmp_path / "model", spec)
    assert [getattr(event, "code", "") for event in events].count("best-metric") == 1
    assert [event.decides for event in events if isinstance(event, MetricEvent) and event.phase == "val"] == ["accuracy"] * 2


def test_what_a_text_declares_is_read_without_running_it() -> None:
    assert read_declared(METRICS) == {"top1_error": {"better": "lower", "unit": "%"}}
    assert read_declared("METRICS = dict(a=1)") == read_declared("def broken(") == {}
    assert read_declared('METRICS = {"brier": dict(better="lower")}') == {"brier": {"better": "lower"}}
    assert read_declared('METRICS = dict(brier=dict(better="lower"))') == {"brier": {"better": "lower"}}
    assert may_decide("top1_error", ERROR + METRICS)
    assert not may_decide("top1_error", ERROR)
    assert may_decide("accuracy", "")
    assert read_declared("METRICS = {[1]: 2}") == {}
    assert read_declared('METRICS = {"brier": "lower"}') == {"brier": {"better": "lower"}}
    assert declared_in({"METRICS": {"mae": {"better": "lower", "unit": "mm"}}})
    for wrong in ([], {"a": "less"}, {"mae": "higher"}, {"a": {"better": "less"}}, {"a": {"colour": "red"}}):
        with pytest.raises(NetworkError, match="METRICS"):
            declared_in({"METRICS": wrong})


@pytest.mark.parametrize(
    "declared",
    [
        "LESS = {'better': 'lower'}\nMETRICS = {'top1_error': LESS}\n",
        "METRICS = {}\nMETRICS['top1_error'] = {'better': 'lower'}\n",
    ],
)
def test_what_only_a_run_can_know_is_left_to_it(declared: str) -> None:
    assert may_decide("top1_error", ERROR + declared)
    assert read_declared(declared) == {}


def test_a_part_of_an_own_loss_may_decide_and_what_metrics_alone_gives_may_not() -> None:
    loss = "def loss(outputs, targets):\n    return {'loss': outputs.mean(), 'dice': 1 - outputs.mean()}\n"
    assert may_decide("dice", loss)
    assert may_decide("of_a_name_made_at_work", loss)
    assert not may_decide("top1_error", loss + ERROR)
    assert may_decide("top1_error", loss + ERROR + METRICS)


def test_a_part_of_a_loss_called_dice_is_a_loss_for_everyone(tmp_path: Path) -> None:
    """Digits has a Dice of each class, which is another thing, and none without a class."""
    loss = (
        "def loss(outputs, targets):\n"
        "    ce = nn.functional.cross_entropy(outputs, targets)\n"
        "    dice = 1 - outputs.softmax(1)[:, 1][targets == 1].mean()\n"
        "    return {'loss': ce + dice, 'dice': dice}\n"
    )
    spec, folder = trained(tmp_path, "segmentation", PICTURE.format(size=2) + loss, best_metric="dice")
    kept, history = best_of_engine(folder), read_history(folder)
    values = [
        event.values["dice"]
        for _, event in valid_events(folder.events_file)
        if isinstance(event, MetricEvent) and event.phase == "val" and event.step
    ]
    row = RunSummary.of("m", spec.to_json())
    row.read(folder.events_file)
    assert row.best() == ("dice", min(values), kept.epoch) == best_of_page(folder, spec)
    assert min(values) < max(values)
    said = metric_facts(history)
    assert (said["dice"]["better"], said["dice"]["unit"], said["dice/a"]["better"]) == ("lower", "", "higher")


def test_every_task_names_metrics_that_are_known() -> None:
    for task in TASKS:
        assert set(task.picture_metrics) <= set(KNOWN), task.name
