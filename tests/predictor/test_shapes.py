"""A network that takes what it was not trained on, as a generator takes numbers where the training had pictures, gets it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from digits.domain.training import TrainingSpec
from digits.engines.base import get_engine
from digits.errors import DataError
from digits.ipc.messages import Message
from digits.predictor.model import LoadedModel
from digits.predictor.requests import answer
from digits.testing.runs import make_dataset, train

PYTORCH = """
import torch
from torch import nn

class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(1))

    def forward(self, x):
        if x.shape[1:] == (1, 1, 5):
            return x.sum((1, 2, 3), keepdim=True).expand(-1, 3, 8, 8)
        if x.shape[1] != 3:
            raise ValueError("neither picture nor numbers")
        return x * self.factor

def build_network(context):
    return Both()

def loss(outputs, targets):
    return outputs.square().mean()
"""
TENSORFLOW = """
import keras

@keras.saving.register_keras_serializable()
class Factor(keras.layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight(shape=(1,), initializer="ones")

    def call(self, x):
        return x * self.factor

def build_network(context):
    channels, height, width = context.input_shape
    if channels not in (1, 3):
        raise ValueError("neither picture nor numbers")
    given = keras.Input((height, width, channels))
    made = Factor()(given)
    if channels == 1:
        numbers = keras.layers.Flatten()(given + 0.0 * made)
        made = keras.layers.Reshape((1, 1, 1))(keras.ops.sum(numbers, axis=1, keepdims=True))
        made = keras.layers.UpSampling2D(8)(keras.layers.Concatenate()([made] * 3))
    return keras.Model(given, made)

def loss(outputs, targets):
    return keras.ops.mean(keras.ops.square(outputs))
"""


@pytest.fixture(scope="module", params=[("pytorch", PYTORCH), ("tensorflow", TENSORFLOW)], ids=lambda one: one[0])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    framework, text = request.param
    if framework == "tensorflow":
        pytest.importorskip("keras", reason="the extra tensorflow is not installed")
    folder: Path = tmp_path_factory.mktemp("both")
    pictures = np.random.default_rng(1).integers(0, 256, (12, 3, 8, 8)).astype(np.uint8)
    labels = np.zeros((12, 3, 8, 8), np.float32)
    dataset = make_dataset(folder / "data", pictures, labels, task="generic", label_kind="array", validation=4)
    spec = TrainingSpec("d", "generic", framework, text, epochs=1, batch_size=4, use_mean="pixel", seed=1)
    train(dataset, folder / "model", spec)
    (snapshot,) = (folder / "model" / "snapshots").glob("epoch_1.*")
    return LoadedModel(get_engine(framework), snapshot, "cpu")


def ask(model: LoadedModel, *features: np.ndarray, **switches: object) -> Message:
    arrays = {f"p{i}": feature for i, feature in enumerate(features)}
    header = {"op": "predict", "pictures": [{"feature": name} for name in arrays], **switches}
    return answer(model, Message(header, arrays))


def test_the_network_gets_the_entry_as_it_is_given(model: LoadedModel) -> None:
    numbers = np.arange(5, dtype=np.float64).reshape(1, 1, 5)
    picture = np.full((3, 8, 8), 9, np.uint8)
    found = ask(model, numbers, picture, as_given=True)
    made, other = (next(v for k, v in found.arrays.items() if k.startswith(f"{i}/output/")) for i in (0, 1))
    assert made.shape == other.shape == (3, 8, 8)
    np.testing.assert_allclose(made, numbers.sum(), rtol=1e-5)  # no mean, no scale


def test_only_where_it_is_asked_for(model: LoadedModel) -> None:
    with pytest.raises(DataError, match=r"3 channel\(s\)"):
        ask(model, np.zeros((1, 1, 5)))


def test_what_the_network_refuses_is_said_of_each_entry(model: LoadedModel) -> None:
    odd, fine = np.zeros((2, 8, 8)), np.zeros((3, 8, 8), np.uint8)
    found = ask(model, odd, fine, as_given=True)
    refused, taken = found.header["results"]
    assert "2×8×8" in refused["error"]
    assert "3×8×8" in refused["error"]
    assert "error" not in taken
    with pytest.raises(DataError, match="does not take an entry of 2×8×8"):
        ask(model, odd, as_given=True)
