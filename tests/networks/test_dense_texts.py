"""Every family of library networks for boxes and for maps learns: the loss of a few pictures falls from epoch to epoch."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from digits.domain.events import MetricEvent
from digits.domain.training import LearningRate, Solver, TrainingSpec
from digits.engines.base import get_engine
from digits.networks.catalog import text_for
from digits.testing.runs import make_dataset, squared_pictures, train

SIDE, COUNT = 64, 4
LABELS = ("red", "blue")
DETECTORS = ("ssdlite320_mobilenet_v3_large", "retinanet_resnet18_fpn", "fcos_resnet18_fpn", "fasterrcnn_resnet18_fpn")
FOR_MAPS = (
    "segmenter",
    "torchvision/lraspp_mobilenet_v3_large",
    "smp/unet/resnet18",
    "smp/deeplabv3plus/mobilenet_v2",
)


def spec(task: str, name: str) -> TrainingSpec:
    epochs = 3 if "fasterrcnn" in name else 5  # it looks at hundreds of regions of each picture
    return TrainingSpec(
        "x",
        task,
        network=text_for(name, task),
        epochs=epochs,
        batch_size=2,
        seed=1,
        use_mean="pixel",
        solver=Solver("ADAMW"),
        learning_rate=LearningRate(0.001, "cosine", warmup=20),
        snapshot_interval=0,
        val_interval=0,
    )


def losses(dataset: Path, folder: Path, plan: TrainingSpec) -> list[float]:
    """The mean of each epoch."""
    events = [e for e in train(dataset, folder, plan) if isinstance(e, MetricEvent) and "epoch_loss" in e.values]
    found = [e.values["epoch_loss"] for e in events]
    assert len(found) == plan.epochs
    assert all(map(math.isfinite, found))
    return found


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pictures, boxes = squared_pictures(COUNT, SIDE, seed=2)
    folder = tmp_path_factory.mktemp("squares")
    return make_dataset(folder, pictures, boxes, task="detection", label_kind="boxes", class_labels=LABELS, validation=0)


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same squares as classes of pixels."""
    pictures, boxes = squared_pictures(COUNT, SIDE, seed=2)
    masks = np.zeros((COUNT, 1, SIDE, SIDE), np.uint8)
    for mask, found in zip(masks, boxes, strict=True):
        for box in found:
            mask[0, int(box["y0"]) : int(box["y1"]), int(box["x0"]) : int(box["x1"])] = box["class"] + 1
    folder, labels = tmp_path_factory.mktemp("maps"), ("nothing", *LABELS)
    return make_dataset(folder, pictures, masks, task="segmentation", label_kind="map", class_labels=labels, validation=0)


@pytest.mark.parametrize("name", [*DETECTORS[:-1], pytest.param(DETECTORS[-1], marks=pytest.mark.long)])
def test_detectors_of_torchvision_learn(squares: Path, tmp_path: Path, name: str) -> None:
    plan = spec("detection", f"torchvision/{name}")
    found = losses(squares, tmp_path, plan)
    assert found[-1] < 0.9 * found[0]
    predictor = get_engine("pytorch").load(tmp_path / "snapshots" / f"epoch_{plan.epochs}.safetensors")
    assert predictor.predict(squared_pictures(2, SIDE, seed=5)[0])["boxes"].shape[2] == 6


@pytest.mark.parametrize("name", FOR_MAPS)
def test_networks_for_maps_learn(maps: Path, tmp_path: Path, name: str) -> None:
    plan = spec("segmentation", name)
    found = losses(maps, tmp_path, plan)
    assert found[-1] < 0.9 * found[0]
    predictor = get_engine("pytorch").load(tmp_path / "snapshots" / f"epoch_{plan.epochs}.safetensors")
    output = next(iter(predictor.predict(squared_pictures(2, SIDE, seed=5)[0]).values()))
    assert output.shape == (2, 3, SIDE, SIDE)
