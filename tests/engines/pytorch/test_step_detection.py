"""Detection in the PyTorch engine: the contract of its networks, a training from start to boxes, and going on after a stop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from digits.domain.events import MetricEvent
from digits.domain.training import Augmentation, LearningRate, Solver, TrainingSpec
from digits.engines.base import NetworkContext, get_engine
from digits.engines.pytorch.boxes import targets_of
from digits.engines.pytorch.build import build
from digits.errors import JobStopped, NetworkError
from digits.networks import catalog
from digits.storage.records.reader import BOX_CROWD, BOX_DTYPE
from digits.storage.validation_pictures import read_pictures
from digits.testing.runs import make_dataset, metric_lines, squared_pictures, train, train_logged

LABELS = ("red", "blue")
DETECTOR = catalog.network_text("detector")
CONTEXT = NetworkContext("detection", (3, 64, 64), 2, None, LABELS, "boxes", box_sizes=(10, 12, 13, 14, 16))
# A detector in ten lines: one box over the whole picture.
WHOLE = """
import torch
from torch import nn

class Whole(nn.Module):
    def __init__(self, context):
        super().__init__()
        self.body = nn.Conv2d(context.input_shape[0], context.num_classes, 1)
        self.drop = nn.Dropout(0.3)

    def forward(self, images, targets=None):
        scores = self.drop(self.body(images).mean(dim=(2, 3)))
        if self.training:
            return {"score_loss": sum((s - len(t["labels"])).square().mean() for s, t in zip(scores, targets)) / len(targets)}
        box = torch.tensor([[0.0, 0.0, images.shape[3], images.shape[2]]], device=images.device)
        best, label = scores.sigmoid().max(dim=1)
        return [{"boxes": box, "scores": b[None], "labels": c[None]} for b, c in zip(best, label)]

def build_network(context):
    return Whole(context)
"""


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 pictures for training and 16 for validation, 3×64×64."""
    pictures, boxes = squared_pictures(96, 64, seed=2)
    folder = tmp_path_factory.mktemp("squares")
    return make_dataset(folder, pictures, boxes, task="detection", label_kind="boxes", class_labels=LABELS, validation=16)


def spec(**values: object) -> TrainingSpec:
    base = TrainingSpec(
        "x",
        "detection",
        network=DETECTOR,
        epochs=10,
        batch_size=8,
        seed=3,
        use_mean="pixel",
        solver=Solver("ADAMW"),
        learning_rate=LearningRate(0.004, "poly", {"poly_power": 1}),
        snapshot_interval=0,
    )
    return replace(base, **values)


def test_our_detector_learns_to_find(squares: Path, tmp_path: Path) -> None:
    events = train(squares, tmp_path, spec(epochs=20, augmentation=Augmentation(flip="fliplrud")))
    scores = [e for e in events if isinstance(e, MetricEvent) and e.phase == "val"]
    assert scores[0].values["map50"] < 0.2
    assert scores[-1].values["map50"] > 0.8
    assert {"map", "map75", "ap/red", "ap50/blue", "precision", "recall", "loss", "peak_loss", "box_loss"} <= set(
        scores[-1].values
    )
    pictures, boxes = squared_pictures(96, 64, seed=2)
    output = get_engine("pytorch").load(tmp_path / "snapshots" / "epoch_20.safetensors").predict(pictures[:4])["boxes"]
    assert output.dtype == np.float32
    for rows, truth in zip(output, boxes[:4], strict=False):
        assert rows[: len(truth), 4] == pytest.approx(np.sort(rows[:, 4])[::-1][: len(truth)])
        found = rows[rows[:, 4] > 0.4]
        assert sorted(found[:, 5].astype(int)) == sorted(truth["class"])


def test_a_stopped_training_goes_on_where_it_was(squares: Path, tmp_path: Path) -> None:
    plan = spec(network=WHOLE, epochs=3, augmentation=Augmentation(flip="fliplr", scale=0.1))
    train_logged(squares, tmp_path / "whole", plan)
    requested = iter([False] * 12 + [True])
    with pytest.raises(JobStopped):
        train_logged(squares, tmp_path / "parts", plan, should_stop=lambda: next(requested))
    train_logged(squares, tmp_path / "parts", plan)
    assert repr(metric_lines(tmp_path / "parts")) == repr(metric_lines(tmp_path / "whole"))  # NaN is NaN


def test_two_processes_judge_all_pictures(squares: Path, tmp_path: Path) -> None:
    plan = spec(network=WHOLE.replace("Dropout(0.3)", "Dropout(0)"), epochs=1)
    values = []
    for processes in (1, 2):
        events = train(squares, tmp_path / str(processes), replace(plan, cpu_processes=processes))
        values.append([e.values for e in events if isinstance(e, MetricEvent) and e.phase == "val"])
    for one, two in zip(*values, strict=True):
        assert one == pytest.approx(two, rel=1e-4, nan_ok=True)
    kept = [read_pictures(next((tmp_path / n / "validation_pictures").iterdir())) for n in "12"]
    assert kept[0].records.tolist() == kept[1].records.tolist()  # whichever process saw which
    for name in ("objects", "classes"):
        assert np.array_equal(kept[0].columns[name].values, kept[1].columns[name].values)


def test_boxes_of_a_cropped_picture_are_those_of_the_whole(squares: Path, tmp_path: Path) -> None:
    train(squares, tmp_path, spec(network=WHOLE, epochs=1, crop_size=32))
    output = get_engine("pytorch").load(tmp_path / "snapshots" / "epoch_1.safetensors")
    rows = output.predict(np.zeros((1, 3, 64, 64), np.uint8))["boxes"]
    assert rows[0, 0, :4].tolist() == [16, 16, 48, 48]


def test_no_object_at_all_trains_and_says_that_there_is_nothing_to_find(tmp_path: Path) -> None:
    pictures, _ = squared_pictures(16, 64, seed=1)
    none = [np.zeros(0, BOX_DTYPE)] * 16
    data = make_dataset(tmp_path / "d", pictures, none, task="detection", label_kind="boxes", class_labels=LABELS, validation=8)
    events = train(data, tmp_path / "m", spec(epochs=1))
    last = [e.values for e in events if isinstance(e, MetricEvent) and e.phase == "val"][-1]
    assert np.isnan(last["map50"])
    assert last["loss"] > 0


def test_ignored_regions_do_not_move_the_loss_of_peaks() -> None:
    module = build(DETECTOR, CONTEXT).module.train()
    with torch.no_grad():
        module.peaks[1].bias.fill_(3.0)  # sure of objects everywhere
        region = np.array([(0, 0, 64, 64, 0, BOX_CROWD)], BOX_DTYPE)
        nothing = np.zeros(0, BOX_DTYPE)
        losses = [module(torch.zeros(1, 3, 64, 64), targets_of([b], torch.device("cpu"))) for b in (region, nothing)]
    assert float(losses[0]["peak_loss"]) == 0
    assert float(losses[1]["peak_loss"]) > 10


@pytest.mark.parametrize("size", [(3, 33, 50), (1, 96, 64)])
def test_our_detector_takes_any_size(size: tuple[int, int, int]) -> None:
    report = get_engine("pytorch").check(DETECTOR, replace(CONTEXT, input_shape=size, box_sizes=()))
    assert report.output_shapes["boxes"][-1] == 6


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('"boxes": box, ', "", "boxes, scores and labels"),
        ('return {"score_loss": ', "return (", "dictionary of losses"),
    ],
)
def test_a_network_that_breaks_the_contract_is_told_so(old: str, new: str, found: str) -> None:
    text = WHOLE.replace(old, new)
    if new == "return (":
        text = text.replace("zip(scores, targets)) / len(targets)}", "zip(scores, targets)))")
    with pytest.raises(NetworkError, match=found):
        get_engine("pytorch").check(text, CONTEXT)
