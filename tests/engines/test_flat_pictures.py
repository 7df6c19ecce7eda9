"""A network that gives a picture as a row of numbers: it is a picture in validations, predictions, exports and archives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.domain.events import Event, MetricEvent
from digits.domain.training import LearningRate, TrainingSpec
from digits.engines.base import get_engine
from digits.frameworks import frameworks
from digits.service.models.templates import predicting
from digits.testing.runs import make_dataset, train

HEIGHT, WIDTH = 6, 8
TEXTS = {  # the picture as it was given, flat: one weight that the rate of 0 leaves alone
    "pytorch": """
import torch
from torch import nn

class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return (x * self.scale).flatten(1)

def build_network(context):
    return Flat()
""",
    "tensorflow": """
import keras
from keras import layers

class Scale(layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=(1,), initializer="ones")

    def call(self, x):
        return x * self.scale

def build_network(context):
    channels, height, width = context.input_shape
    return keras.Sequential([keras.Input((height, width, channels)), Scale(), layers.Flatten()])
""",
}


@pytest.mark.parametrize(("framework", "label_kind"), [("pytorch", "none"), ("pytorch", "array"), ("tensorflow", "none")])
def test_a_flat_output_is_the_picture(tmp_path: Path, framework: str, label_kind: str) -> None:
    if not frameworks()[framework].is_installed:
        pytest.skip(f"{framework} is not installed")
    features = np.random.default_rng(0).integers(0, 256, (12, 3, HEIGHT, WIDTH), np.uint8)
    labels = None if label_kind == "none" else features
    dataset = make_dataset(tmp_path / "data", features, labels, task="processing", label_kind=label_kind, validation=4)
    spec = TrainingSpec(
        "d", "processing", framework, TEXTS[framework], epochs=1, seed=1, batch_size=4,
        learning_rate=LearningRate(0.0, "fixed"), use_mean="pixel" if label_kind == "none" else "none",
    )  # fmt: skip
    events: list[Event] = train(dataset, tmp_path / "model", spec)
    (snapshot,) = (tmp_path / "model" / "snapshots").glob("epoch_1.*")
    predictor = get_engine(framework).load(snapshot)
    found = predictor.predict(features[:2])["output"]
    meta: dict[str, Any] = json.loads((tmp_path / "model" / "preprocessing.json").read_text())
    assert found.shape == (2, 3, HEIGHT, WIDTH)
    if label_kind == "none":
        (values,) = [event.values for event in events if isinstance(event, MetricEvent) and event.phase == "val"][-1:]
        assert values["mae"] == pytest.approx(0, abs=1e-3)
        assert values["psnr"] > 60
        np.testing.assert_allclose(found, features[:2], atol=1e-3)
    else:  # inputs are divided by their deviation, targets by 255
        np.testing.assert_allclose(found, features[:2] * (255 / meta["preparation"]["std"]), rtol=1e-4)
    predictor.close()
    mean, std = predicting.mean_for((HEIGHT, WIDTH), meta, None), meta["preparation"]["std"]
    seen = (features[0] - (0 if mean is None else mean)) / std
    flat = seen.transpose(1, 2, 0).ravel() if framework == "tensorflow" else seen.ravel()
    shaped = predicting.pictured(flat.astype(np.float32), meta, channels_last=framework == "tensorflow")
    np.testing.assert_allclose(
        predicting.in_stored_units(predicting.finish(shaped, meta), meta, None), found[0], rtol=1e-4, atol=1e-3
    )
