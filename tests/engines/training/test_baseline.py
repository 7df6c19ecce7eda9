"""The score of a guess without looking, told once, and the samples that are kept for the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.domain.events import BaselineEvent, Event, MetricEvent, SampleEvent
from digits.domain.training import Augmentation, TrainingSpec
from digits.testing.runs import make_dataset, striped_pictures, train

TINY = """
import torch.nn as nn
def build_network(context):
    outputs = context.num_classes if context.task in ("classification", "segmentation") else {outputs}
    if {keeps_size}:
        return nn.Conv2d(context.input_shape[0], outputs, 3, padding=1)
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(outputs))
"""


def trained(tmp_path: Path, dataset: Path, task: str, outputs: int = 1, keeps_size: bool = False) -> list[Event]:
    text = TINY.format(outputs=outputs, keeps_size=keeps_size)
    spec = TrainingSpec(str(dataset), task, network=text, epochs=1, batch_size=8, seed=1)
    return train(dataset, tmp_path / "model", spec)


def baseline_of(events: list[Event]) -> BaselineEvent:
    found = [event for event in events if isinstance(event, BaselineEvent)]
    assert len(found) == 1
    assert events.index(found[0]) < next(i for i, event in enumerate(events) if isinstance(event, MetricEvent))
    return found[0]


def test_the_most_frequent_class(tmp_path: Path) -> None:
    pictures, _ = striped_pictures(28, 8, 3)
    labels = np.array([2] * 10 + [0] * 6 + [1] * 4 + [2, 2, 0, 1, 1, 0, 0, 0])
    dataset = make_dataset(tmp_path / "data", pictures, labels, class_labels=("a", "b", "c"))
    found = baseline_of(trained(tmp_path, dataset, "classification"))
    assert found.values["accuracy"] == 2 / 8
    assert "“c”" in found.description


def test_background_everywhere(tmp_path: Path) -> None:
    pictures, _ = striped_pictures(16, 8, 3)
    masks = np.zeros((16, 1, 8, 8), np.uint8)
    masks[:, :, :2, :2] = 1
    masks[8, 0, 7] = 255  # not counted
    dataset = make_dataset(
        tmp_path / "data", pictures, masks, task="segmentation", label_kind="map", class_labels=("background", "cell")
    )
    events = trained(tmp_path, dataset, "segmentation", keeps_size=True)
    found = baseline_of(events)
    counted = 8 * 64 - 8
    assert found.values["pixel_accuracy"] == pytest.approx((counted - 32) / counted)
    assert found.values["dice/cell"] == 0
    assert found.values["mean_dice"] == pytest.approx((2 * (counted - 32) / (2 * (counted - 32) + 32)) / 2)
    assert set(found.values) <= set(next(e for e in events if isinstance(e, MetricEvent) and e.phase == "val").values)


def test_the_mean_of_numbers(tmp_path: Path) -> None:
    pictures, _ = striped_pictures(16, 8, 3)
    truth = np.random.default_rng(1).normal(3, 1, (16, 1, 1, 2)).astype(np.float32)
    dataset = make_dataset(tmp_path / "data", pictures, truth, task="regression", label_kind="array")
    found = baseline_of(trained(tmp_path, dataset, "regression", outputs=2))
    guess = truth[:8].mean(axis=0)
    assert found.values["mae"] == pytest.approx(np.abs(truth[8:] - guess).mean(), rel=1e-5)
    assert found.values["r2"] <= 0.5


def test_a_loss_of_the_text_itself_has_no_baseline(tmp_path: Path) -> None:
    pictures, labels = striped_pictures(16, 8, 3)
    dataset = make_dataset(tmp_path / "data", pictures, labels, class_labels=("left", "right"))
    own = "def loss(outputs, targets):\n    return nn.functional.cross_entropy(outputs, targets)\n"
    spec = TrainingSpec(str(dataset), "classification", network=TINY.format(outputs=1, keeps_size=False) + own, epochs=1, seed=1)
    assert "loss" not in baseline_of(train(dataset, tmp_path / "own", spec)).values
    named = baseline_of(train(dataset, tmp_path / "named", replace(spec, loss="cross_entropy")))
    assert named.values["loss"] == pytest.approx(np.log(2))


def test_the_loss_of_probabilities_is_that_of_scores(tmp_path: Path) -> None:
    pictures, _ = striped_pictures(28, 8, 3)
    labels = np.array([2] * 10 + [0] * 6 + [1] * 4 + [2, 2, 0, 1, 1, 0, 0, 0])
    dataset = make_dataset(tmp_path / "data", pictures, labels, class_labels=("a", "b", "c"))
    softmax = TINY.format(outputs=1, keeps_size=False).replace("nn.LazyLinear(outputs)", "nn.LazyLinear(outputs), nn.Softmax(1)")
    spec = TrainingSpec(str(dataset), "classification", network=softmax, epochs=1, seed=1)
    shares = np.bincount(labels[:20]) / 20
    found = baseline_of(train(dataset, tmp_path / "model", spec))
    assert found.values["loss"] == pytest.approx(-np.log(shares[labels[20:]]).mean())


def test_whitened_pictures_are_not_compared_with_stored_ones(tmp_path: Path) -> None:
    pictures, _ = striped_pictures(16, 8, 3)
    dataset = make_dataset(tmp_path / "data", pictures, None, task="processing", label_kind="none")
    text = TINY.format(outputs=1, keeps_size=True)
    spec = TrainingSpec(str(dataset), "processing", network=text, epochs=1, seed=1, augmentation=Augmentation(whitening=True))
    events = train(dataset, tmp_path / "model", spec)
    assert not any(isinstance(event, BaselineEvent) for event in events)
    assert {name for e in events if isinstance(e, MetricEvent) and e.phase == "val" for name in e.values} == {"loss"}


def test_what_a_loss_of_its_own_compares_may_have_no_metrics(tmp_path: Path) -> None:
    """An encoder without labels gives something else than its picture: the loss decides."""
    pictures, _ = striped_pictures(16, 8, 3)
    dataset = make_dataset(tmp_path / "data", pictures, None, task="processing", label_kind="none")
    own = "def loss(outputs, targets):\n    return outputs.square().mean()\n"
    spec = TrainingSpec(str(dataset), "processing", network=TINY.format(outputs=5, keeps_size=False) + own, epochs=1, seed=1)
    events = train(dataset, tmp_path / "model", spec)
    last = [e for e in events if isinstance(e, MetricEvent) and e.phase == "val"][-1]
    assert (set(last.values), last.decides) == ({"loss"}, "loss")


def test_a_noisy_picture_is_compared_with_itself(tmp_path: Path) -> None:
    clean, _ = striped_pictures(16, 16, 3)
    noisy = np.clip(clean.astype(int) + np.random.default_rng(2).integers(-10, 10, clean.shape), 0, 255).astype(np.uint8)
    dataset = make_dataset(tmp_path / "data", noisy, clean, task="processing", label_kind="array")
    found = baseline_of(trained(tmp_path, dataset, "processing", keeps_size=True))
    errors = np.square((noisy[8:].astype(float) - clean[8:]) / 255).mean(axis=(1, 2, 3))
    assert found.description == "the unchanged input"
    assert found.values["psnr"] == pytest.approx((10 * np.log10(1 / errors)).mean())


def test_samples_are_kept_at_each_validation(tmp_path: Path) -> None:
    pictures, labels = striped_pictures(24, 8, 3)
    dataset = make_dataset(tmp_path / "data", pictures, labels, class_labels=("left", "right"))
    events = trained(tmp_path, dataset, "classification")
    kept = [event for event in events if isinstance(event, SampleEvent)]
    assert [event.epoch for event in kept] == [0, 1]
    inputs: Any = np.load(tmp_path / "model" / "samples" / "inputs.npz")
    assert inputs["indices"].tolist() == list(range(8))
    assert np.array_equal(inputs["3/feature"], pictures[16 + 3])
    assert inputs["3/label"] == labels[16 + 3]
    outputs: Any = np.load(tmp_path / "model" / kept[0].path)
    assert outputs["7/output"].shape == (2,)
    assert outputs["7/output"].sum() == pytest.approx(1)
