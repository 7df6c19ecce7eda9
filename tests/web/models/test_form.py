"""What one framework cannot do, and texts for another, through the page and as JSON: said at the field, with the way out."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from digits.frameworks import frameworks
from digits.service import Service
from digits.storage.jobs.store import Job
from tests.service.finished_dataset import boxes_to_come, class_folder, finished_dataset

pytestmark = pytest.mark.skipif(not frameworks()["tensorflow"].is_installed, reason="TensorFlow is not installed")

CLASSIFICATION, GENERIC = "/models/images/classification", "/models/images/generic"
TORCH = "import torch\n\ndef build_network(context):\n    return torch.nn.Flatten()\n"
KERAS = "from keras import layers\n\ndef build_network(context):\n    return layers.Flatten()\n"
TOWER = """
from model import Tower
from utils import model_property
import tensorflow as tf
import tensorflow.contrib.slim as slim
import utils as digits

class UserModel(Tower):
    @model_property
    def inference(self):
        return slim.fully_connected(slim.flatten(self.x), self.nclasses)
"""


@pytest.fixture
def dataset(service: Service, tmp_path: Path) -> Job:
    features = {"train_db": np.zeros((9, 1, 28, 28), np.uint8), "val_db": np.zeros((3, 1, 28, 28), np.uint8)}
    return finished_dataset(
        service, class_folder(tmp_path / "p"), features, {n: np.arange(len(f)) % 3 for n, f in features.items()}
    )


@pytest.fixture
def objects(service: Service) -> Job:
    return boxes_to_come(service)


def both(client: FlaskClient, address: str, **values: Any) -> tuple[dict[str, list[str]], str]:
    """Errors by field as JSON, and the page that the same form gives."""
    form = {"model_name": "m", **values}
    answer = client.post(f"{address}.json", data=form)
    assert answer.status_code == 400, answer.get_data(as_text=True)
    page = client.post(address, data=form)
    assert page.status_code == 400
    return answer.get_json()["errors"], page.get_data(as_text=True)


def test_detection_is_pytorchs(client: FlaskClient, objects: Job) -> None:
    text = KERAS.replace("layers.Flatten()", "1")
    errors, page = both(client, GENERIC, dataset=objects.id, framework="tensorflow", method="custom", custom_network=text)
    assert errors == {"framework": ["Detection is not possible with TensorFlow here. Choose PyTorch."]}
    assert "Choose PyTorch." in page.split('id="error-framework"')[1].split("</div>")[0]
    assert '"missing_tasks": ["detection"]' in page, "the form offers to switch"


@pytest.mark.parametrize(("framework", "text", "other"), [("tensorflow", TORCH, "pytorch"), ("pytorch", KERAS, "tensorflow")])
def test_a_text_for_the_other_framework(client: FlaskClient, dataset: Job, framework: str, text: str, other: str) -> None:
    errors, page = both(client, CLASSIFICATION, dataset=dataset.id, framework=framework, method="custom", custom_network=text)
    assert f"written for {other}. Choose the {other} tab" in errors["custom_network"][0]
    assert f"written for {other}" in page.split('id="error-custom_network"')[1].split("</div>")[0]
    check = client.post(f"/models/visualize-network.json?framework={framework}", data={"custom_network": text})
    assert f"Choose the {other} tab" in check.get_json()["errors"]["custom_network"][0]


@pytest.mark.parametrize("framework", ["tensorflow", "pytorch"])
def test_a_text_for_tensorflow_1(client: FlaskClient, dataset: Job, framework: str) -> None:
    errors, page = both(client, CLASSIFICATION, dataset=dataset.id, framework=framework, method="custom", custom_network=TOWER)
    for words in ("TensorFlow 1", "keras.Input((height, width, channels))", "self.nclasses is context.num_classes"):
        assert words in errors["custom_network"][0]
    assert "keras.layers.Dense" in page.split('id="error-custom_network"')[1].split("</div>")[0]


def test_without_tensorflow_the_tab_and_the_answer_say_how_to_get_it(
    client: FlaskClient, dataset: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "tensorflow" else find(name, *rest))
    page = client.get(f"{CLASSIFICATION}/new?dataset={dataset.id}").get_data(as_text=True)
    tab = page.split('<div class="alert alert-info" data-framework-only="tensorflow"')[1].split("</div>")[0]
    assert "TensorFlow is not installed here." in tab
    assert "pip install &#39;digits[tensorflow]&#39;" in tab
    errors, _ = both(client, CLASSIFICATION, dataset=dataset.id, framework="tensorflow", standard_networks="lenet")
    assert "pip install 'digits[tensorflow]'" in errors["framework"][0]
