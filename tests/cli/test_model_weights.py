"""`digits model train`: where the network and its first weights come from; what belongs to another way is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from digits.cli import group
from digits.domain.training import StartWeights, TrainingSpec
from digits.errors import DigitsError
from digits.service import Service
from digits.service.models.create import create_models
from digits.storage.jobs.store import Job
from tests.service.finished_dataset import class_folder, finished_dataset


@pytest.fixture
def dataset(service: Service, tmp_path: Path) -> Job:
    features = {name: np.zeros((6, 3, 16, 16), np.uint8) for name in ("train_db", "val_db")}
    labels = {name: np.arange(6) % 3 for name in features}
    return finished_dataset(service, class_folder(tmp_path / "pictures", per_class=2), features, labels)


@pytest.fixture
def earlier(service: Service, dataset: Job) -> Job:
    """A model with a snapshot of its first epoch."""
    values = {"dataset": dataset.id, "model_name": "the first one", "standard_networks": "lenet", "framework": "pytorch"}
    (job,) = create_models(service, "classification", values, "")
    folder = service.folder(job.id)
    folder.snapshots.mkdir()
    (folder.snapshots / "epoch_1.safetensors").write_bytes(b"")
    return job


def train(service: Service, dataset: Job, *options: str) -> Result:
    place = ["--jobs-dir", str(service.jobs_dir.path)]
    return CliRunner().invoke(group, ["model", "train", dataset.id, "--no-wait", *options, *place])


def made(service: Service, result: Result) -> TrainingSpec:
    assert result.exit_code == 0, result.output
    return TrainingSpec.from_json(service.folder(result.output.split()[-1]).spec())


def test_a_pretrained_network_is_a_model_or_one_of_the_list(service: Service, dataset: Job, earlier: Job) -> None:
    for name in (earlier.id, earlier.name):
        spec = made(service, train(service, dataset, "--pretrained-networks", name))
        weights = StartWeights("snapshot", job_id=earlier.id, snapshot="snapshots/epoch_1.safetensors", epoch=1.0)
        assert (spec.start, spec.network_name) == (weights, "lenet")
    spec = made(service, train(service, dataset, "--pretrained-networks", "torchvision/resnet18", "--epochs", "2"))
    assert (spec.start, spec.network_name, spec.epochs) == (StartWeights("pretrained"), "torchvision/resnet18", 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--pretrained-networks", "lenet", "--network", "lenet"), "--network and --pretrained-networks exclude each other"),
        (("--custom-network-snapshot", "x.safetensors"), "Give --network-file too"),
        (("--use-pretrained-weights", "--previous", "the first one"), "Give --network, or leave it out"),
        (("--pretrained-networks", "nobody's"), "There is no pretrained model"),
    ],
)
def test_weights_of_another_way_are_refused(
    service: Service, dataset: Job, earlier: Job, options: tuple[str, ...], words: str
) -> None:
    result = train(service, dataset, *options)
    assert isinstance(result.exception, DigitsError)
    assert words in str(result.exception)
