"""Weights and activations are there for models of tasks that answer with more than one class for each picture, too (R 5)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from digits.domain.training import TrainingSpec
from digits.engines.base import get_engine
from digits.ipc.messages import Message
from digits.predictor.model import LoadedModel
from digits.predictor.requests import answer
from digits.testing.runs import make_dataset, striped_pictures, train

SIDE = 8
LAST_LAYER = {
    "segmentation": "nn.Conv2d(4, 3, 1)",
    "multi_label": f"nn.Sequential(nn.Flatten(), nn.Linear({4 * SIDE * SIDE}, 3))",
}
TEXT = """
from torch import nn

def build_network(context):
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), LAST_LAYER)
"""


@pytest.fixture(params=LAST_LAYER)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> LoadedModel:
    features, _ = striped_pictures(12, SIDE, seed=1)
    if request.param == "segmentation":
        kind, labels = "map", (features[:, 0] > 60).astype(np.uint8) + (features[:, 0] > 120)
    else:
        kind, labels = "vector", (np.arange(36).reshape(12, 3) % 2).astype(np.float32)
    classes = ("a", "b", "c")
    data = make_dataset(
        tmp_path / "data", features, labels, task=request.param, label_kind=kind, class_labels=classes, validation=4
    )
    text = TEXT.replace("LAST_LAYER", LAST_LAYER[request.param])
    train(
        data, tmp_path / "model", TrainingSpec("d", request.param, network=text, epochs=1, batch_size=4, val_interval=0, seed=1)
    )
    (snapshot,) = (tmp_path / "model" / "snapshots").glob("epoch_1.*")
    return LoadedModel(get_engine("pytorch"), snapshot, "cpu")


def test_the_layers_end_in_what_the_network_answers(model: LoadedModel) -> None:
    picture = np.full((1, SIDE, SIDE), 9, np.uint8)
    found = answer(model, Message({"op": "predict", "pictures": [{"feature": "p"}], "layers": True}, {"p": picture}))
    rows = found.header["layers"]
    weights = {row["name"]: row["param_count"] for row in rows if row["vis_type"] == "Weights"}
    outputs = next(array for name, array in found.arrays.items() if name.startswith("0/output/"))
    assert list(weights.values())[0] == 4 * 9 + 4
    assert list(weights.values())[1] in (4 * 3 + 3, 4 * SIDE * SIDE * 3 + 3)
    last = [row for row in rows if row["vis_type"] == "Activation"][-1]
    assert tuple(last["data_stats"]["shape"]) == outputs.shape
    assert "layer/0" in found.arrays  # of pictures there are pictures, what a dense layer has is none
