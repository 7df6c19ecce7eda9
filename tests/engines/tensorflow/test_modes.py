"""Modes in TensorFlow: a softmax of one mode alone is seen, and a layer that the text froze stays so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.domain.events import MetricEvent, WarningEvent
from digits.domain.training import LearningRate, TrainingSpec
from digits.engines.base import NetworkContext, get_engine
from digits.testing.runs import make_dataset, striped_pictures, train

SOFTMAX = """
import keras

class End(keras.layers.Layer):
    def call(self, x, training=False):
        return {end}

    def compute_output_shape(self, shape):
        return shape

def build_network(context):
    c, h, w = context.input_shape
    norm = keras.layers.BatchNormalization()
    norm.trainable = False
    start = keras.initializers.RandomUniform(seed=1)
    last = keras.layers.Dense(context.num_classes, kernel_initializer=start)
    return keras.Sequential([keras.Input((h, w, c)), norm, keras.layers.Flatten(), last, End()])
"""
ENDS = {
    "scores": "x",
    "evaluation": "x if training else keras.ops.softmax(x)",
    "training": "keras.ops.softmax(x) if training else x",
}


def test_a_softmax_of_one_mode_is_seen_and_a_frozen_layer_stays_so(tmp_path: Path) -> None:
    """All networks compute the same, so their losses are the same."""
    features, classes = striped_pictures(32, 8, seed=2)
    data = make_dataset(tmp_path / "data", features, classes, class_labels=("left", "right"))
    context = NetworkContext("classification", (1, 8, 8), 2, (), ("left", "right"))
    found = {}
    for name, end in ENDS.items():
        text = SOFTMAX.replace("{end}", end)
        warnings = get_engine("tensorflow").check(text, context).warnings
        assert (f"softmax in {name} mode alone" in " ".join(warnings)) == (name != "scores")
        if name == "training":
            continue
        rate = LearningRate(0.02, "fixed")
        spec = TrainingSpec("d", "classification", framework="tensorflow", network=text, epochs=1, batch_size=8, seed=3)
        events = train(data, tmp_path / name, replace(spec, learning_rate=rate, use_mean="pixel"))
        found[name] = [e.values["loss"] for e in events if isinstance(e, MetricEvent) and "loss" in e.values]
        codes = [e.code for e in events if isinstance(e, WarningEvent)]
        assert codes == (["modes"] if name != "scores" else [])
        predictor: Any = get_engine("tensorflow").load(tmp_path / name / "snapshots" / "epoch_1.keras", "cpu")
        made = predictor.predict(features[:4])["output"]
        np.testing.assert_allclose(made.sum(axis=1), 1, rtol=1e-5)
        norm = next(layer for layer in predictor.model.layers if "normalization" in layer.name)
        assert (norm.moving_mean.numpy() == 0).all()
        predictor.close()
    assert found["scores"][-1] < 0.8 * found["scores"][0]
    assert found["evaluation"] == pytest.approx(found["scores"], rel=1e-4)


def test_a_sigmoid_where_scores_are_wanted_is_said() -> None:
    context = NetworkContext("multi_label", (1, 8, 8), 2, (2,), ("left", "right"), label_kind="vector")
    for end, said in (("x", 0), ("x if training else keras.ops.sigmoid(x)", 1)):
        warnings = get_engine("tensorflow").check(SOFTMAX.replace("{end}", end), context).warnings
        assert [warning.startswith("The network seems to end in a sigmoid") for warning in warnings] == [True] * said
