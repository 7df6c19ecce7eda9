"""Looking inside Keras models whose layers are not all one kernel and one tensor."""

from __future__ import annotations

import math
from typing import Any

import pytest

pytest.importorskip("tensorflow", reason="the TensorFlow engine is not installed")

from digits.engines.tensorflow.predictor import look_inside
from digits.engines.tensorflow.start import keras, tf


class Odd(keras.Model):
    """Weights of its own beside layers, attention, a recurrent layer, nothing, and a layer that is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.place = self.add_weight(shape=(1, 4, 8), name="place")
        self.attention = keras.layers.MultiHeadAttention(2, 4, name="attention")
        self.memory = keras.layers.LSTM(6, name="memory")
        self.nothing = keras.layers.Lambda(lambda x: x[:0], name="nothing")
        self.unused, self.scores = keras.layers.Dense(3, name="unused"), keras.layers.Dense(2, name="scores")

    def build(self, input_shape: tuple[int, ...]) -> None:
        """Its layers are built with their first call."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        sequence = tf.reshape(x, (1, 4, 8)) + self.place
        sequence = self.memory(self.attention(sequence, sequence))
        self.nothing(sequence)
        return self.scores(sequence)


def test_every_weight_and_every_first_output_has_its_row() -> None:
    model = Odd()
    x = tf.ones((1, 4, 8, 1))
    model(x)
    rows = {row.name: row for row in look_inside(model, x)}
    given = {name: row.activations and row.activations.shape for name, row in rows.items()}
    assert {"data": (1, 4, 8), "attention": (4, 8), "memory": (6,), "nothing": (0, 6), "scores": (2,)}.items() <= given.items()
    assert given["unused"] is None
    assert rows[model.name].weights.shape == (1, 4, 8)
    assert rows["scores"].weights.shape == (2, 6)
    assert sum(row.parameters for row in rows.values()) == sum(math.prod(weight.shape) for weight in model.weights)


def test_layers_are_called_by_where_they_lie() -> None:
    layers = keras.layers

    def part() -> Any:
        return keras.Sequential([keras.Input((3,)), layers.Dense(2, name="dense"), layers.ReLU(name="relu")])

    class Two(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.more = part(), [part(), layers.Dense(1)]

        def call(self, x: tf.Tensor) -> tf.Tensor:
            return self.more[1](tf.concat([self.first(x), self.more[0](x)], -1))

    rows = [(row.name, row.kind) for row in look_inside(Two(), tf.ones((1, 3)))]
    parts = [(f"{part}/{name}", kind) for part in ("first", "more/0") for name, kind in (("dense", "Dense"), ("relu", "ReLU"))]
    assert rows == [("data", "Input"), *parts, ("more/1", "Dense")]
