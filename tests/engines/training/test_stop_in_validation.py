"""A training that is stopped during a validation loses no step, and makes the validation when it goes on; one that is stopped
between accumulated batches makes these again."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from digits.domain.training import LearningRate, TrainingSpec
from digits.errors import JobStopped
from digits.storage.validation_pictures import read_pictures, step_file
from digits.testing.runs import latest_step, make_dataset, metric_lines, striped_pictures, train_logged

NETWORK = """
from torch import nn

def build_network(context):
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Dropout(0.2), nn.Linear(64, 2))
"""
STEPS, VALIDATION_BATCHES = 6, 4  # of an epoch: 24 and 16 records, 4 each


def in_validation() -> bool:
    frame = sys._getframe()
    while frame is not None and frame.f_code.co_name != "evaluate":
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None


def test_no_step_and_no_validation_is_lost(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", *striped_pictures(40, 8, 1), class_labels=("left", "right"), validation=16)
    rate = LearningRate(0.05, "fixed")
    spec = TrainingSpec("x", "classification", network=NETWORK, batch_size=4, epochs=3, seed=1, threads=1, learning_rate=rate)
    train_logged(data, tmp_path / "whole", spec)
    asked: list[bool] = []

    def stop() -> bool:
        """Within the validation after the first epoch, and within it once more after the training went on."""
        if not in_validation():
            return False
        asked.append(True)
        return len(asked) in (VALIDATION_BATCHES + 2, VALIDATION_BATCHES + 3)

    for _ in range(2):
        with pytest.raises(JobStopped):
            train_logged(data, tmp_path / "parts", spec, should_stop=stop)
        step = json.loads((tmp_path / "parts" / "checkpoint" / "checkpoint.json").read_text())["step"]
        assert step == STEPS
    train_logged(data, tmp_path / "parts", spec)
    assert metric_lines(tmp_path / "parts") == metric_lines(tmp_path / "whole")


def test_an_early_end_on_a_step_that_was_validated_keeps_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digits.engines.training.loop.FINISH_SECONDS", 0.0)
    data = make_dataset(tmp_path / "data", *striped_pictures(40, 8, 1), class_labels=("left", "right"), validation=16)
    values = {"learning_rate": LearningRate(0.05, "fixed"), "snapshot_interval": 0, "val_interval": 1}
    spec = TrainingSpec("x", "classification", network=NETWORK, batch_size=4, epochs=3, seed=1, threads=1, **values)
    train_logged(data, tmp_path / "run", spec, should_finish=lambda: latest_step(tmp_path / "run") >= STEPS)
    lines = (tmp_path / "run" / "events.jsonl").read_text().splitlines()
    events = [event for event in map(json.loads, lines) if event["type"] in ("metric", "snapshot")]
    measured = [event["values"] for event in events if event["type"] == "metric" and event["phase"] == "val"][-1]
    last = [event for event in events if event["type"] == "snapshot" and not event.get("removed")][-1]
    assert (last["step"], last["path"], last["metrics"]) == (STEPS, "snapshots/epoch_1.safetensors", measured)
    assert read_pictures(step_file(tmp_path / "run", STEPS)).records.size == 16


@pytest.mark.parametrize("snapshot_interval", [1, 1 / 6])
def test_batches_of_a_group_that_is_stopped_are_trained_again(tmp_path: Path, snapshot_interval: float) -> None:
    """Groups are of 4 and 2 batches: stopped in the first of all, in the one after it, in that of the second epoch, and so on."""
    data = make_dataset(tmp_path / "data", *striped_pictures(40, 8, 1), class_labels=("left", "right"), validation=16)
    values = {"learning_rate": LearningRate(0.05, "fixed"), "snapshot_interval": snapshot_interval, "batch_accumulation": 4}
    spec = TrainingSpec("x", "classification", network=NETWORK, batch_size=4, epochs=3, seed=1, threads=1, **values)
    train_logged(data, tmp_path / "whole", spec)
    parts = tmp_path / "parts"
    for moment, expected in ((2, None), (5, 4), (8, 6), (9, 6), (11, 10), (18, 18)):
        with pytest.raises(JobStopped):
            train_logged(data, parts, spec, should_stop=lambda moment=moment: latest_step(parts) >= moment)
        file = parts / "checkpoint" / "checkpoint.json"
        assert (json.loads(file.read_text())["step"] if file.exists() else None) == expected
    train_logged(data, parts, spec)
    assert metric_lines(parts) == metric_lines(tmp_path / "whole")
