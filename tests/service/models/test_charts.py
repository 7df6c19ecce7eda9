"""Curves from event logs: nothing of a validation is lost, what a resumed attempt made void is gone, gaps stay gaps."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from digits.domain.events import AttemptEvent, ErrorEvent, HardwareEvent, LogEvent, MetricEvent, SnapshotEvent
from digits.domain.training import LR_POLICIES, LearningRate
from digits.service.forms import parse
from digits.service.models.charts import combined_graph, lr_graph, metrics_csv, page_curves, preview
from digits.service.models.form import LearningRateForm
from digits.service.models.history import current_snapshots, read_history, read_shown, read_window
from digits.storage.events import EventWriter
from digits.storage.folders import JobFolder

KINDS = {"loss": "loss", "accuracy": "accuracy", "mAP": "other"}


def metric(step: int, epoch: float, phase: str, **values: float) -> MetricEvent:
    return MetricEvent(step=step, epoch=epoch, phase=phase, values=values, kinds={n: KINDS[n] for n in values if n in KINDS})


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path)


def write(folder: JobFolder, *events: object, attempt: int = 1) -> int:
    """Append events; the length of the log after them."""
    writer = EventWriter(folder.events_file, attempt)
    for event in events:
        writer.emit(event)  # type: ignore[arg-type]
    offset = writer.offset
    writer.close()
    return offset


def test_a_job_that_has_not_started_has_no_curves(folder: JobFolder) -> None:
    history = read_history(folder)
    assert (history.offset, combined_graph(history), lr_graph(history)) == (0, None, None)
    assert page_curves(history)["train"] == {"epoch": [], "step": [], "nonfinite": [], "values": {}}


def test_the_graph_of_scripts_has_their_keys(folder: JobFolder) -> None:
    write(
        folder,
        metric(5, 0.5, "train", loss=2.0),
        metric(10, 1.0, "train", loss=1.0),
        metric(10, 1.0, "val", loss=1.5, accuracy=0.25, mAP=0.5),
        metric(10, 1.0, "lr", lr=0.01),
    )
    history = read_history(folder)
    assert combined_graph(history) == {
        "columns": [
            ["train_epochs", 0.5, 1.0],
            ["loss-train", 2.0, 1.0],
            ["val_epochs", 1.0],
            ["loss-val", 1.5],
            ["accuracy-val", 25.0],
            ["mAP-val", 0.5],
        ],
        "xs": {"loss-train": "train_epochs", "loss-val": "val_epochs", "accuracy-val": "val_epochs", "mAP-val": "val_epochs"},
        "axes": {"loss-train": "y", "loss-val": "y", "accuracy-val": "y2", "mAP-val": "y"},
        "names": {
            "loss-train": "loss (train)",
            "loss-val": "loss (val)",
            "accuracy-val": "accuracy (val)",
            "mAP-val": "mAP (val)",
        },
    }
    graph = lr_graph(history)
    assert graph is not None
    assert graph["columns"] == [["epoch", 1.0], ["lr", 0.01]]


def test_there_is_no_graph_while_only_validation_has_been_done(folder: JobFolder) -> None:
    write(folder, metric(0, 0.0, "val", loss=2.3))
    assert combined_graph(read_history(folder)) is None


def test_what_is_no_number_is_a_gap(folder: JobFolder) -> None:
    write(
        folder, metric(1, 0.1, "train", loss=math.nan), metric(2, 0.2, "train", loss=1.0), metric(3, 0.3, "train", accuracy=0.5)
    )
    history = read_history(folder)
    graph = combined_graph(history)
    assert graph is not None
    assert graph["columns"][1] == ["loss-train", "none", 1.0, "none"]
    assert page_curves(history)["train"]["values"] == {"loss": [None, 1.0, None], "accuracy": [None, None, 0.5]}


def test_a_resumed_attempt_takes_the_place_of_what_came_after_its_checkpoint(folder: JobFolder) -> None:
    write(folder, AttemptEvent(), metric(1, 0.1, "train", loss=3.0))
    offset = JobFolder(folder.path).events_file.stat().st_size
    snapshot = SnapshotEvent(step=2, epoch=0.2, path="snapshots/epoch_0.2.safetensors", best=True)
    write(folder, metric(2, 0.2, "train", loss=99.0), snapshot)
    write(folder, AttemptEvent(resumed_step=1, resumed_offset=offset), metric(2, 0.2, "train", loss=2.0), attempt=2)
    history = read_history(folder)
    assert page_curves(history)["train"]["values"]["loss"] == [3.0, 2.0]
    assert current_snapshots(history) == []
    assert [attempt.resumed_step for attempt in history.resumes] == [1]


def test_of_a_long_run_spikes_and_gaps_stay_and_no_validation_is_thinned(folder: JobFolder) -> None:
    odd = {3333: 99.0, 6001: math.nan, 7777: -5.0}
    write(
        folder,
        *(metric(i, i / 10, "train", loss=odd.get(i, 1.0 + i % 7 / 10)) for i in range(9_000)),
        *(metric(i, float(i), "val", loss=float(i)) for i in range(2_500)),
    )
    curves = page_curves(read_shown(folder))
    train = curves["train"]
    found = dict(zip(train["step"], train["values"]["loss"], strict=True))
    assert {step: found.get(step, "missing") for step in odd} == {3333: 99.0, 6001: None, 7777: -5.0}
    assert (train["step"][0], train["step"][-1], curves["thinned"], curves["reports"]["train"]) == (0, 8999, True, 9_000)
    assert len(train["step"]) <= 2001
    samples = [step for i, step in enumerate(train["step"]) if i not in train["extremes"]]
    strides = {after - before for before, after in zip(samples, samples[1:-1], strict=False)}
    assert len(strides) == 1, "smoothing counts samples, which lie evenly"
    assert curves["val"]["values"]["loss"] == [float(i) for i in range(2_500)]
    part = page_curves(read_window(folder, 330.0, 340.0))
    assert (part["train"]["step"], part["thinned"]) == (list(range(3300, 3401)), False)


def test_of_the_hardware_only_the_last_word_is_kept(folder: JobFolder) -> None:
    end = write(folder, *(HardwareEvent(cpu_percent=float(i)) for i in range(5)), LogEvent(message="hello"))
    history = read_history(folder)
    assert history.hardware is not None
    assert (history.hardware.cpu_percent, history.offset, history.log[0].message) == (4.0, end, "hello")


def test_snapshots_lose_what_was_removed_and_have_one_best(folder: JobFolder) -> None:
    paths = [f"snapshots/epoch_{i}.safetensors" for i in range(1, 4)]
    made = [SnapshotEvent(step=i, epoch=float(i), path=path, best=True) for i, path in enumerate(paths, 1)]
    write(folder, *made, SnapshotEvent(step=3, epoch=1.0, path=paths[0], removed=True))
    assert [(s.epoch, s.best) for s in current_snapshots(read_history(folder))] == [(2.0, False), (3.0, True)]


def test_the_error_is_that_of_the_last_attempt(folder: JobFolder) -> None:
    write(folder, AttemptEvent(), ErrorEvent(code="a", message="first"))
    assert read_history(folder).error is not None
    write(folder, AttemptEvent(), attempt=2)
    assert read_history(folder).error is None


def test_the_csv_has_every_value(folder: JobFolder) -> None:
    write(
        folder,
        metric(2, 1.0, "val", loss=0.5, accuracy=0.9),
        metric(1, 0.5, "train", loss=math.nan),
        metric(2, 1.0, "lr", lr=0.1),
    )
    rows = list(csv.DictReader("".join(metrics_csv(read_history(folder))).splitlines()))
    assert [(r["step"], r["phase"], r["name"], r["kind"], r["value"]) for r in rows] == [
        ("1", "train", "loss", "loss", "nan"),
        ("2", "lr", "lr", "rate", "0.1"),
        ("2", "val", "loss", "loss", "0.5"),
        ("2", "val", "accuracy", "accuracy", "0.9"),
    ]


@pytest.mark.parametrize("policy", LR_POLICIES)
def test_every_policy_of_the_form_can_be_drawn(policy: str) -> None:
    form = parse(LearningRateForm, {"lr_policy": policy, "learning_rate": "[0.1, 0.2]"})
    first, second = preview([form.schedule(rate) for rate in form.learning_rate])
    assert len(first) == 101
    assert second == pytest.approx([2 * value for value in first])
    assert all(a >= b - 1e-12 for a, b in zip(first, first[1:], strict=False)), "no policy of these rises"


def test_the_steps_of_each_rate_are_its_own() -> None:
    rates = preview(
        [LearningRate(base, "multistep", {"multistep_values": [50, 75, 90], "multistep_gamma": 0.5}) for base in (1, 2)]
    )
    assert [rates[1][i] for i in (49, 50, 75, 90)] == [2, 1, 0.5, 0.25]
