"""A training that starts from trained weights and only gets worse: the start is its best, kept, and everyone says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from digits.domain.events import MetricEvent
from digits.domain.training import LearningRate, TrainingSpec
from digits.errors import JobStopped
from digits.service.models.history import current_snapshots, read_history
from digits.storage.folders import JobFolder
from digits.storage.run_summary import RunSummary
from digits.storage.snapshots import snapshot_metadata
from digits.testing.runs import make_dataset, striped_pictures, train_logged

TORCH = """
from torch import nn

def build_network(context):
    c, h, w = context.input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, context.num_classes))
"""
KERAS = """
import keras

def build_network(context):
    c, h, w = context.input_shape
    return keras.Sequential([keras.Input((h, w, c)), keras.layers.Flatten(), keras.layers.Dense(context.num_classes)])
"""
ENGINES = [("pytorch", TORCH, "safetensors"), ("tensorflow", KERAS, "keras")]


def spec(framework: str, text: str, epochs: int) -> TrainingSpec:
    rate = LearningRate(0.05, "fixed")
    kept = {"keep_snapshots": 1, "seed": 3, "use_mean": "pixel"}
    return TrainingSpec(
        "d", "classification", framework=framework, network=text, epochs=epochs, batch_size=8, learning_rate=rate, **kept
    )


def data(folder: Path, *, turned: bool) -> Path:
    """Two classes of pictures; `turned`: with the labels of the training split, and no others, the wrong way round."""
    features, classes = striped_pictures(32, 8, seed=2)
    classes[:-8] = 1 - classes[:-8] if turned else classes[:-8]
    return make_dataset(folder, features, classes, class_labels=("left", "right"))


def row_of(folder: Path, wanted: TrainingSpec) -> RunSummary:
    row = RunSummary.of("m", wanted.to_json())
    row.read(folder / "events.jsonl")
    return row


@pytest.mark.parametrize(("framework", "text", "suffix"), ENGINES)
def test_a_fine_tuning_that_only_gets_worse(tmp_path: Path, framework: str, text: str, suffix: str) -> None:
    first = tmp_path / "first"
    train_logged(data(tmp_path / "good", turned=False), first, spec(framework, text, 4))
    start = first / "snapshots" / f"epoch_4.{suffix}"
    assert row_of(first, spec(framework, text, 4)).best()[1] == 1.0

    again, wrong = spec(framework, text, 6), data(tmp_path / "turned", turned=True)
    tuned = tmp_path / "tuned"
    stops = iter([False] * 7 + [True] * 99)  # in the middle of the third epoch: the best outlives it
    with pytest.raises(JobStopped):
        train_logged(wrong, tuned, again, start_weights=start, should_stop=lambda: next(stops))
    train_logged(wrong, tuned, again, start_weights=start)

    row, history = row_of(tuned, again), read_history(JobFolder(tuned))
    assert len(history.resumes) == 1
    values = [event.values["accuracy"] for event in history.metrics["val"]]
    assert values[0] == 1.0 > max(values[2:])
    assert row.best() == ("accuracy", 1.0, 0.0)
    assert row.columns()["best_epoch"] == 0.0
    kept = {snapshot.path: snapshot for snapshot in current_snapshots(history)}
    assert sorted(kept) == [f"snapshots/best.{suffix}", f"snapshots/epoch_6.{suffix}"]
    best = kept[f"snapshots/best.{suffix}"]
    assert (best.best, best.epoch, best.step, best.metrics["accuracy"]) == (True, 0.0, 0, 1.0)
    assert snapshot_metadata(tuned / best.path)["epoch"] == 0
    assert [event.of_trained for event in history.metrics["val"]] == [True] + [False] * 6
    if framework == "pytorch":
        from digits.engines.pytorch.weights import read_snapshot

        ours, before = read_snapshot(tuned / best.path)[0], read_snapshot(start)[0]
        assert all(np.array_equal(ours[name], before[name]) for name in before)


def test_a_random_start_is_nobodys_best(tmp_path: Path) -> None:
    """Whatever it scores: the best is what the training made, and of equal ones the first."""
    wanted = spec("pytorch", TORCH.replace("return nn", "import torch\n    torch.manual_seed(0)\n    return nn"), 3)
    train_logged(data(tmp_path / "turned", turned=True), tmp_path / "model", wanted)
    history = read_history(JobFolder(tmp_path / "model"))
    assert not any(event.of_trained for event in history.metrics["val"])
    found = row_of(tmp_path / "model", wanted).best()
    assert found is not None
    assert found[2] == min(e.epoch for e in history.metrics["val"][1:] if e.values["accuracy"] == found[1])
    assert [s.epoch for s in current_snapshots(history) if s.best] == [found[2]]


def test_a_line_of_the_start_says_what_it_is_only_where_it_counts() -> None:
    event = MetricEvent(step=0, epoch=0.0, phase="val", values={"loss": 1.0})
    assert not event.may_be_best
    assert MetricEvent(step=0, epoch=0.0, phase="val", values={}, of_trained=True).may_be_best
