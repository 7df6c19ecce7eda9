"""Losses against their definitions and other people's, class weights, and pixels that do not count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import sigmoid_focal_loss

from digits.domain.events import MetricEvent
from digits.domain.training import LearningRate, TaskOptions, TrainingSpec
from digits.engines.network.losses import LOSSES
from digits.engines.pytorch.losses import make_loss
from digits.engines.training.class_weights import by_frequency
from digits.errors import TrainingError
from digits.storage.files import read_json, write_json
from digits.tasks import TASKS, get
from digits.testing.runs import make_dataset, train

PIXELS = (
    "from torch import nn\ndef build_network(context):\n    return nn.Conv2d(context.input_shape[0], context.num_classes, 1)\n"
)


def maps() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(3, 4, 6, 5), torch.randint(0, 4, (3, 6, 5))


def value(name: str, output: torch.Tensor, target: torch.Tensor, **options: object) -> float:
    return float(make_loss(name, None, **options)(output, target)["loss"])  # type: ignore[arg-type]


def test_focal_equals_its_definition_and_torchvision() -> None:
    output, target = maps()
    logs, truth = output.log_softmax(1), F.one_hot(target, 4).movedim(-1, 1)
    definition = -((truth * logs).sum(1) * (1 - (truth * logs.exp()).sum(1)) ** 2).mean()
    assert value("focal", output, target) == pytest.approx(float(definition), rel=1e-5)
    two = torch.randn(8, 2)
    label = torch.randint(0, 2, (8,))
    own = sigmoid_focal_loss(two[:, 1] - two[:, 0], label.float(), alpha=-1, gamma=2, reduction="mean")
    assert value("focal", two, label) == pytest.approx(float(own), rel=1e-5)  # two classes: the sigmoid of their difference


def test_dice_is_its_definition_of_each_picture() -> None:
    output, target = maps()
    scores, truth = output.softmax(1), F.one_hot(target, 4).movedim(-1, 1)
    dice = (2 * (scores * truth).sum((2, 3)) + 1) / ((scores + truth).sum((2, 3)) + 1)  # (N, K)
    assert value("dice", output, target) == pytest.approx(1 - float(dice.mean()), rel=1e-5)


def test_sums_are_sums() -> None:
    output, target = maps()
    for whole, parts in (("cross_entropy_dice", ("cross_entropy", "dice")), ("focal_dice", ("focal", "dice"))):
        wanted = sum(value(part, output, target, ignored=255) for part in parts)
        assert value(whole, output, target, ignored=255) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("name", get("segmentation").losses)
@pytest.mark.parametrize("ignored", [255, 7])
def test_ignored_pixels_do_not_count(name: str, ignored: int) -> None:
    output, target = maps()
    target[:, :2] = ignored
    changed = output.clone()
    changed[:, :, :2] = 50 * torch.randn(3, 4, 2, 5)
    assert value(name, changed, target, ignored=ignored) == pytest.approx(value(name, output, target, ignored=ignored))


def test_every_loss_has_a_task() -> None:
    assert {name for task in TASKS for name in task.losses} == set(LOSSES)


def test_rare_classes_weigh_more() -> None:
    assert by_frequency(np.array([50.0, 25.0, 25.0, 0.0])) == [0.5, 1.0, 1.0, 1.0]
    assert by_frequency(np.array([99999.0, 1.0])) == [0.5, 10.0]
    assert by_frequency(np.array([90.0, 10.0]), power=0.5) == pytest.approx([(1 / 1.8) ** 0.5, 5**0.5], abs=1e-4)


@pytest.fixture
def striped_maps(tmp_path: Path) -> Path:
    """Pictures whose lower quarter is class 1; rows of void (9) between."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (24, 1, 8, 8)).astype(np.uint8)
    labels = np.zeros((24, 1, 8, 8), np.uint8)
    labels[:, :, 6:] = 1
    labels[:, :, 5] = 9
    data = make_dataset(tmp_path / "d", pictures, labels, task="segmentation", label_kind="map", class_labels=("a", "b"))
    info = read_json(data / "dataset.json")
    write_json(data / "dataset.json", {**info, "extra": {"ignore_index": 9}})
    return data


def test_a_training_reads_ignore_index_and_weights(striped_maps: Path, tmp_path: Path) -> None:
    spec = TrainingSpec("x", "segmentation", network=PIXELS, epochs=2, batch_size=8, seed=1, loss="cross_entropy")
    spec = replace(spec, learning_rate=LearningRate(0.1, "fixed"))
    losses = {}
    for name, weights in (("plain", ""), ("same", (1.0, 1.0)), ("frequency", "frequency"), ("root", "root")):
        events = train(striped_maps, tmp_path / name, replace(spec, options=TaskOptions(weights)))
        losses[name] = [e.values for e in events if isinstance(e, MetricEvent) and e.phase == "val"]
    assert losses["plain"] == losses["same"]
    assert len({losses[name][-1]["loss"] for name in ("plain", "frequency", "root")}) == 3
    assert losses["frequency"][-1]["pixel_accuracy"] <= 1


def test_weights_that_do_not_fit_are_refused(striped_maps: Path, tmp_path: Path) -> None:
    spec = TrainingSpec("x", "segmentation", network=PIXELS, epochs=1, options=TaskOptions((1.0, 2.0, 3.0)))
    with pytest.raises(TrainingError, match="3 class weights"):
        train(striped_maps, tmp_path / "m", spec)
