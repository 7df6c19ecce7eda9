"""What only a training with TensorFlow has, over HTTP: snapshots, silence, a worker that is killed; real processes."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.domain.events import MetricEvent
from digits.storage.events import valid_events
from tests.conftest import start_server
from tests.journeys.test_inference import CLASSES, COLOURS, DEADLINE, IMAGES, Studio

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"),
]
LONG = {"train_epochs": 60, "snapshot_interval": 30, "val_interval": 10, "cpu_count": 1}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    root = tmp_path_factory.mktemp("keras")
    with start_server(root, "-m", "digits", "serve", "--stop-jobs", checkpoint_seconds="1") as server:
        studio = Studio(server, root / "pictures", "tensorflow")
        random = np.random.default_rng(1)
        for name, colour in zip(CLASSES, COLOURS, strict=True):
            folder = studio.pictures / name.replace(" ", "_")
            folder.mkdir(parents=True)
            for number in range(20):
                pixels = np.clip(np.array(colour) + random.normal(0, 12, (28, 28, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
        form = {"dataset_name": "colours", "method": "folder", "folder_train": studio.pictures}
        form |= {"resize_width": 28, "resize_height": 28, "resize_channels": 3}
        studio.dataset = studio.post("/datasets/images/classification.json", **form).json["id"]
        studio.until_done("datasets", studio.dataset)
        studio.model = train(studio, train_epochs=4, snapshot_interval=2)
        studio.until_done("models", studio.model)
        yield studio


def train(studio: Studio, **values: Any) -> str:
    form = {"model_name": "keras", "dataset": studio.dataset, "framework": "tensorflow", "standard_networks": "lenet"}
    form |= {"batch_size": 6, "learning_rate": 0.005, "random_seed": 1, "aug_flip": "fliplr"}
    answer = studio.post(f"{IMAGES}.json", **{**form, **values})
    assert answer.status == 200, answer.text
    return str(answer.json["id"])


def curve(studio: Studio, job_id: str) -> list[tuple[int, str, dict[str, float]]]:
    """Every metric event that counts."""
    path = studio.server.jobs_dir / job_id / "events.jsonl"
    return [(event.step, event.phase, event.values) for _, event in valid_events(path) if isinstance(event, MetricEvent)]


def test_the_model_says_what_it_is(studio: Studio) -> None:
    model = studio.get(f"/models/{studio.model}.json").json
    assert (model["framework"], model["snapshots"], model["snapshot file"]) == ("tensorflow", [2, 4], "epoch_4.keras")
    assert zipfile.is_zipfile(studio.server.jobs_dir / studio.model / "snapshots" / "epoch_4.keras")
    curves = studio.get(f"/models/{studio.model}/curves.json").json["curves"]
    assert curves["val"]["values"]["accuracy"][-1] == 1.0


def test_the_log_has_no_chatter_of_tensorflow(studio: Studio) -> None:
    log = (studio.server.jobs_dir / studio.model / "worker.log").read_text()
    assert "oneDNN" not in log, log
    assert "WARNING: All log" not in log


@pytest.mark.long
def test_a_killed_worker_goes_on_and_ends_with_the_curve_of_an_undisturbed_one(studio: Studio) -> None:
    killed, whole = train(studio, **LONG), train(studio, **LONG)
    kill_worker(studio, killed)
    for job_id in (killed, whole):
        studio.until_done("models", job_id)
    assert "esume" in studio.get(f"/models/{killed}").text
    assert curve(studio, killed) == curve(studio, whole), "the same seed, bit for bit"


def kill_worker(studio: Studio, job_id: str) -> None:
    """kill -9 of a training that has a checkpoint and steps beyond it."""
    checkpoint = studio.server.jobs_dir / job_id / "checkpoint" / "checkpoint.json"
    end = time.monotonic() + DEADLINE
    while not checkpoint.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    pid = studio.server.service.store.get(job_id).pid
    assert pid > 0
    os.killpg(pid, signal.SIGKILL)


def test_a_network_of_the_other_framework_is_refused(studio: Studio, tmp_path: Path) -> None:
    form = {"model_name": "x", "dataset": studio.dataset, "framework": "tensorflow", "standard_networks": "timm/resnet18"}
    answer = studio.post(f"{IMAGES}.json", **form)
    assert answer.status == 400
    assert "network for pytorch" in answer.json["errors"]["standard_networks"][0]
