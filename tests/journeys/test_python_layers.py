"""A Python layer file on a whole server: sent along, trained with, predicted with, taken away."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import urllib.request
from pathlib import Path

import pytest

from tests.journeys.client import Client
from tests.service.finished_dataset import class_folder

pytestmark = pytest.mark.slow
IMAGES = "/models/images/classification"
LAYERS = b"""
from torch import nn

class Scores(nn.Module):
    def __init__(self, pixels, classes):
        super().__init__()
        self.dense = nn.Linear(pixels, classes)

    def forward(self, x):
        return self.dense(x.flatten(1))
"""
NETWORK = """
import math
from own_layers import Scores

def build_network(context):
    return Scores(math.prod(context.input_shape), context.num_classes)
"""


@pytest.fixture(scope="module")
def pictures(root: Path) -> Path:
    return class_folder(root / "pictures", 8)


@pytest.fixture(scope="module")
def dataset(client: Client, pictures: Path) -> str:
    size = {"resize_width": 8, "resize_height": 8, "resize_channels": 1, "folder_train": pictures}
    return client.done(client.json("/datasets/images/classification.json", dataset_name="d", **size)["id"])


def test_the_file_goes_all_the_way(client: Client, dataset: str, pictures: Path, tmp_path: Path) -> None:
    values = {"model_name": "m", "method": "custom", "custom_network": NETWORK, "framework": "pytorch", "select_gpu": "cpu"}
    sent = {"python_layer_client_file": ("own_layers.py", LAYERS)}
    fields = {"username": "me", "python_layer_from_client": "y", "train_epochs": 1, "dataset": dataset, **values}
    model = client.done(client.json(f"{IMAGES}.json", sent, **fields)["id"])
    picture = next(pictures.rglob("*.png"))
    answer = client.json(f"{IMAGES}/classify_one.json", job_id=model, image_path=picture)
    with urllib.request.urlopen(f"{client.server.url}/models/{model}/download.tar") as download:
        data = io.BytesIO(download.read())
    with tarfile.open(fileobj=data) as archive:
        archive.extractall(tmp_path, filter="data")
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DIGITS"))}
    command = [sys.executable, "-I", str(tmp_path / "predict.py"), "--json", str(picture)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=own)
    assert run.returncode == 0, run.stderr
    scores = json.loads(run.stdout)[str(picture)]
    assert {name: pytest.approx(100 * scores[name], abs=0.006) for name in scores} == dict(answer["predictions"])
    evaluated = client.json(f"/models/{model}/evaluate.json", split="val", wait=1)
    assert evaluated["status"] == "Done"
