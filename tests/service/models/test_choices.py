"""The network that is proposed for a data set trains on it, whatever its labels are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.domain.datasets import DatasetInfo
from digits.domain.training import LearningRate, TrainingSpec
from digits.networks.catalog import network_text
from digits.service.models.choices import fitting, networks_task, proposed_crop
from digits.storage.folders import JobFolder
from digits.storage.records.reader import BOX_DTYPE
from digits.tasks import of_dataset
from digits.testing.runs import make_dataset, train

COUNT = 6
TWO = ("a", "b")
CLASSES = np.arange(COUNT) % 2


def arrays(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (COUNT, *shape)).astype(dtype)


def boxes(side: int) -> list[np.ndarray]:
    return [np.array([(1, 1, side / 2, side / 2, n % 2, 0)], BOX_DTYPE) for n in range(COUNT)]


# the shape of the pictures, labels, their kind, class names, the task that the source named, task and network that come of it
SORTS: dict[str, tuple[tuple[int, int, int], Any, str, tuple[str, ...], str, str, str]] = {
    "classes": ((3, 28, 28), CLASSES, "index", TWO, "generic", "classification", "lenet"),
    "classes of texts": ((1, 1, 60), CLASSES, "index", TWO, "generic", "classification", "small_cnn"),
    "whole numbers": ((1, 16, 16), CLASSES * 5000, "index", (), "generic", "regression", "regressor"),
    "numbers": ((1, 16, 16), arrays(2), "vector", (), "generic", "regression", "regressor"),
    "one number": ((1, 1, 9), arrays(1), "vector", (), "regression", "regression", "regressor"),
    "gradients": ((1, 16, 16), arrays(1, 1, 2), "array", (), "generic", "regression", "regressor"),
    "gradients of a source that says pictures": (
        (1, 16, 16),
        arrays(1, 1, 2),
        "array",
        (),
        "processing",
        "regression",
        "regressor",
    ),
    "labels": ((3, 10, 10), arrays(2), "vector", TWO, "multi_label", "multi_label", "small_cnn"),
    "maps": ((3, 24, 24), arrays(1, 24, 24, dtype=np.uint8), "map", TWO, "generic", "segmentation", "unet"),
    "small maps": ((1, 9, 7), arrays(1, 9, 7, dtype=np.uint8), "map", TWO, "segmentation", "segmentation", "unet"),
    "pictures": ((3, 24, 24), arrays(3, 24, 24, dtype=np.uint8), "array", (), "processing", "processing", "autoencoder"),
    "planes": ((3, 24, 20), arrays(1, 24, 20), "array", (), "generic", "generic", "autoencoder"),
    "small planes": ((3, 5, 6), arrays(2, 5, 6), "array", (), "generic", "generic", "autoencoder"),
    "smaller pictures": ((1, 16, 16), arrays(2, 5, 7), "array", (), "processing", "processing", "regressor"),
    "arrays of another size": ((1, 16, 16), arrays(2, 5, 7), "array", (), "generic", "generic", "regressor"),
    "nothing": ((3, 12, 12), None, "none", (), "generic", "generic", "autoencoder"),
    "nothing of a few pixels": ((1, 1, 10), None, "none", (), "processing", "processing", "denoiser"),
    "boxes": ((3, 32, 48), boxes(32), "boxes", TWO, "generic", "detection", "detector"),
    "boxes in small pictures": ((1, 16, 16), boxes(16), "boxes", TWO, "detection", "detection", "detector"),
}


@pytest.mark.parametrize("name", SORTS)
def test_the_proposed_network_trains(name: str, tmp_path: Path) -> None:
    shape, labels, kind, names, said, task, network = SORTS[name]
    features = np.random.default_rng(1).integers(0, 256, (COUNT, *shape), np.uint8)
    folder = make_dataset(tmp_path / "data", features, labels, task=said, label_kind=kind, class_labels=names, validation=2)
    info = JobFolder(folder).dataset_info()
    assert of_dataset(info).name == task
    found = fitting(networks_task(said, info), info, "pytorch")
    assert found is not None
    assert found.name == network
    rate = LearningRate(0.001, "fixed")
    train(
        folder, tmp_path / "model", TrainingSpec("x", task, network=network_text(network), epochs=1, seed=1, learning_rate=rate)
    )


@pytest.mark.parametrize(("sizes", "crop"), [([(40, 30), (64, 21)], 16), ([(8, 9)], 8), ([(7, 9)], 7), ([], None)])
def test_pictures_of_several_sizes_are_proposed_a_crop(sizes: list[tuple[int, int]], crop: int | None) -> None:
    known = tuple((width, height, 1) for width, height in sizes)
    assert proposed_crop(DatasetInfo("processing", (), {}, None, known)) == crop
    assert proposed_crop(DatasetInfo("processing", (), {}, (3, 8, 8), known)) is None
