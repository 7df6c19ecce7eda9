"""The story of plugins on a whole server: installed packages appear in the menu, make data sets of real files, and test the
models trained on them (R 5, 9.6)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.frameworks import available_frameworks
from tests.conftest import RunningServer, start_server
from tests.sunnybrook import SLICES, copy_sunnybrook
from tests.waiting import wait_for

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
LEGACY_PLUGINS = Path(__file__).resolve().parents[1] / "plugin_host" / "legacy_plugins"
DEADLINE = 120.0
PIXELS = """
from torch import nn

BATCH_SIZE = 4

def build_network(context):
    return nn.Sequential(nn.Conv2d(context.input_shape[0], 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, context.num_classes, 1))
"""
KERAS_NUMBERS = """
import keras
from keras import layers

def build_network(context):
    channels, height, width = context.input_shape
    label = layers.Reshape((1, 2, 1))  # the label is C, H, W = 1, 1, 2
    return keras.Sequential([keras.Input((height, width, channels)), layers.Flatten(), layers.Dense(2), label])
"""
NUMBERS = """
import torch
from torch import nn

BATCH_SIZE = 16

class Gradient(nn.Module):
    def __init__(self, pixels):
        super().__init__()
        self.layer = nn.Linear(pixels, 2)

    def forward(self, x):
        return self.layer(x.flatten(1) / 128).reshape(-1, 1, 1, 2)

def build_network(context):
    channels, height, width = context.input_shape
    return Gradient(channels * height * width)
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that finds packages installed with pip into a folder of their own."""
    folder = tmp_path_factory.mktemp("plugins")
    site = folder / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    sources = [str(shutil.copytree(PLUGINS / name, folder / "sources" / name)) for name in ("sunnybrook", "image_gradients")]
    subprocess.run([*command, "--disable-pip-version-check", "--target", str(site), *sources], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")])))
        with start_server(folder, "-m", "digits", "serve", "--stop-jobs") as running:
            yield running


def request(server: RunningServer, address: str, **fields: Any) -> tuple[int, str]:
    """POST where there are fields, else GET."""
    body = urllib.parse.urlencode({"username": "me", **fields}).encode() if fields else None
    try:
        with urllib.request.urlopen(f"{server.url}{address}", body, timeout=DEADLINE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def get(server: RunningServer, address: str, **fields: Any) -> Any:
    status, text = request(server, address, **fields)
    assert status == 200, text
    return json.loads(text)


def wait_until_done(server: RunningServer, job_id: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        status = get(server, f"/jobs/{job_id}/status")
        if status["status"] in ("Done", "Error", "Aborted"):
            assert status["status"] == "Done", status
            return
        time.sleep(0.1)
    pytest.fail(f"{job_id} did not end")


def test_a_plugin_is_installed_into_the_running_server(server: RunningServer, tmp_path: Path) -> None:
    source = shutil.copytree(LEGACY_PLUGINS / "ships", tmp_path / "ships")
    assert "/datasets/generic/new/image-ships" not in request(server, "/")[1]
    target = {"PIP_TARGET": str(server.jobs_dir.parent / "site"), "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1"}
    command = [sys.executable, "-m", "digits", "plugins", "install", str(source), "--jobs-dir", str(server.jobs_dir)]
    run = subprocess.run(command, env={**os.environ, **target}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "image-ships" in run.stdout
    wait_for(lambda: "/datasets/generic/new/image-ships" in request(server, "/")[1])
    assert "Ships" in request(server, "/datasets/generic/new/image-ships?username=me")[1]


def test_hearts_from_the_form_to_the_overlay(server: RunningServer, shared_data: Path) -> None:
    hearts = copy_sunnybrook(shared_data, server.jobs_dir.parent / "hearts")
    assert "/datasets/generic/new/image-sunnybrook" in request(server, "/")[1]
    made = get(
        server,
        "/datasets/generic/create/image-sunnybrook.json",
        dataset_name="hearts",
        image_folder=hearts.pictures,
        contour_folder=hearts.contours,
        channel_conversion="L",
        folder_pct_val=25,
    )
    wait_until_done(server, made["id"])
    dataset = get(server, f"/datasets/{made['id']}.json")
    assert [task["entry_count"] for task in dataset["create_db_tasks"]] == [6, 2, 0]
    assert dataset["feature_dims"] == [256, 256, 1]
    model = get(
        server,
        "/models/images/generic.json",
        model_name="ventricle",
        dataset=made["id"],
        method="custom",
        custom_network=PIXELS,
        train_epochs=1,
        framework="pytorch",
    )
    wait_until_done(server, model["id"])
    events = (server.jobs_dir / model["id"] / "events.jsonl").read_text()
    assert '"dice/left ventricle"' in events  # validation Dice of the class, live
    page = request(server, f"/models/{model['id']}")[1]
    assert "Record from validation set" in page
    assert "Cross-entropy plus soft Dice of class scores per pixel (usual for these labels)" in page
    mine = request(server, "/models/images/generic/new/image-sunnybrook?username=me")[1]
    assert made["id"] in mine
    assert made["id"] not in request(server, "/models/images/generic/new/image-gradients?username=me")[1]
    assert 'value="image-segmentation" selected' in page
    outputs = get(server, "/models/images/generic/infer_extension.json", job_id=model["id"], validation_record=1)["outputs"]
    (scores,) = next(iter(outputs.values())).values()
    assert np.asarray(scores).shape == (2, 256, 256)
    status, results = request(
        server,
        "/models/images/generic/infer_extension",
        job_id=model["id"],
        validation_record=1,
        view_extension_id="image-segmentation",
    )
    assert status == 200
    assert 'data-view="segmentation"' in results
    assert "left ventricle" in results
    assert 'data-truth="data:image/png' in results
    wrong = request(server, "/models/images/generic/infer_extension.json", job_id=model["id"], validation_record=77)
    assert wrong[0] == 400
    assert "validation_record" in wrong[1]


def test_the_same_story_with_the_built_in_dicom_source(server: RunningServer, shared_data: Path) -> None:
    hearts = copy_sunnybrook(shared_data, server.jobs_dir.parent / "dicom")
    made = get(
        server,
        "/datasets/generic/create/image-dicom.json",
        dataset_name="slices",
        dicom_folder=hearts.pictures,
        labels="masks",
        mask_folder=hearts.masks,
        class_names="background, ventricle",
        image_width=64,
        image_height=64,
        folder_pct_val=25,
        split_by="picture",
    )
    wait_until_done(server, made["id"])
    dataset = get(server, f"/datasets/{made['id']}.json")
    assert [task["entry_count"] for task in dataset["create_db_tasks"]] == [6, 2, 0]
    training = {"train_epochs": 1, "framework": "pytorch", "method": "standard", "standard_networks": "unet"}
    model = get(server, "/models/images/generic.json", model_name="slices", dataset=made["id"], **training)
    wait_until_done(server, model["id"])
    assert '"dice/ventricle"' in (server.jobs_dir / model["id"] / "events.jsonl").read_text()
    requested = {"job_id": model["id"], "view_extension_id": "image-segmentation"}
    status, results = request(server, "/models/images/generic/infer_extension", **requested, validation_record=1)
    assert status == 200
    assert 'data-truth="data:image/png' in results
    answer = get(server, "/models/images/generic/infer_extension.json", job_id=model["id"], test_path=hearts.pictures)
    assert len(answer["outputs"]) == SLICES
    assert request(server, "/models/images/generic/infer_extension.json", job_id=model["id"], test_path="/etc")[0] == 400


@pytest.mark.parametrize("framework", ["pytorch", "tensorflow"])
def test_gradients_are_learnt_and_asked_for(server: RunningServer, framework: str) -> None:
    if framework not in available_frameworks():
        pytest.skip(f"{framework} is not installed")
    counts = {"train_image_count": 400, "val_image_count": 40, "image_width": 8, "image_height": 8}
    made = get(server, "/datasets/generic/create/image-gradients.json", dataset_name="g", **counts)
    model = get(
        server,
        "/models/images/generic.json",
        model_name="gradients",
        dataset=made["id"],
        method="custom",
        custom_network=NUMBERS if framework == "pytorch" else KERAS_NUMBERS,
        train_epochs=12,
        solver_type="ADAM",
        learning_rate=0.01,
        lr_policy="fixed",
        framework=framework,
    )
    wait_until_done(server, model["id"])
    requested = {"job_id": model["id"], "gradient_x": 0.5, "gradient_y": -0.5}
    outputs = get(server, "/models/images/generic/infer_extension.json", **requested)["outputs"]
    (found,) = next(iter(outputs.values())).values()
    x, y = np.ravel(found)
    assert x > 0 > y
    page = request(
        server, "/models/images/generic/infer_extension", **requested, view_extension_id="image-gradients", arrow_size=80
    )
    assert page[0] == 200
    assert "Gradient 0." in page[1]
    database = f"{server.jobs_dir / made['id']}/val_db"
    for path in (database, f"{database}/features"):
        assert len(get(server, "/models/images/generic/infer_db.json", job_id=model["id"], db_path=path)["outputs"]) == 40
    assert request(server, "/models/images/generic/infer_db.json", job_id=model["id"], db_path="")[0] == 400
    assert request(server, "/models/images/generic/infer_db.json", job_id=model["id"], db_path=database + "x")[0] == 400
    one = get(server, "/models/images/generic/infer_one.json", job_id=model["id"], record="val:0")["outputs"]
    assert np.shape(next(iter(one.values()))) == (1, 1, 1, 2)  # with batch axis


def test_a_plugin_host_that_dies_is_started_again(server: RunningServer) -> None:
    pid = json.loads((server.jobs_dir / ".digits" / "plugin_host.json").read_text())["pid"]
    os.kill(pid, 9)
    assert request(server, "/")[0] == 200
    wait_for(lambda: json.loads((server.jobs_dir / ".digits" / "plugin_host.json").read_text())["pid"] != pid)
    assert get(server, "/plugins.json")["data"]
