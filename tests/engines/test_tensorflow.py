"""The TensorFlow engine passes the contract; what only Keras has is tested below."""

from __future__ import annotations

import importlib.util
from typing import ClassVar

import pytest
import torchvision  # noqa: F401 - its native parts cannot be loaded after TensorFlow's

from digits.testing.engines import EngineContract

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"),
    # Keras 3.15 asks NumPy 2 for arrays of its variables in the old way
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]

HEAD = (
    "import keras\nfrom keras import layers\n\ndef build_network(context):\n    c, h, w = context.input_shape\n"
    "    start = keras.Input((h, w, c))\n"
)
TEXTS = {
    "classifier": HEAD
    + "    body = [layers.Conv2D(4, 3, padding='same'), layers.BatchNormalization(), layers.ReLU(), layers.MaxPool2D(2)]\n"
    + "    return keras.Sequential([start, *body, layers.Flatten(), layers.Dropout(0.2), layers.Dense(context.num_classes)])\n",
    "wide": HEAD + "    return keras.Sequential([start, layers.Flatten(), layers.Dense(1000)])\n",
    "broken": HEAD + "    return keras.Sequential([start, layers.Flatten(), layers.BogusCode(3)])\n",
    "pixels": HEAD
    + "    body = [layers.Conv2D(8, 3, padding='same', activation='relu'), layers.Conv2D(context.num_classes, 1)]\n"
    + "    return keras.Sequential([start, *body])\n",
    "numbers": HEAD + "    return keras.Sequential([start, layers.Flatten(), layers.Dense(2)])\n",
    "picture": HEAD + "    return keras.Sequential([start, layers.Conv2D(4, 3, padding='same'), layers.Conv2D(c, 1)])\n",
    "own": HEAD
    + "    return keras.Sequential([start, layers.Flatten(), layers.Dense(context.num_classes)])\n"
    + "def loss(outputs, targets):\n"
    + "    main = keras.ops.mean(keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True))\n"
    + "    return {'loss': main, 'extra_loss': 2 * main}\n"
    + "def metrics(outputs, targets):\n    return {'extra_metric': keras.ops.mean(outputs)}\n",
}


class TestTensorflow(EngineContract):
    framework: ClassVar[str] = "tensorflow"
    suffix: ClassVar[str] = "keras"
    kill_epochs: ClassVar[int] = 40
    texts: ClassVar[dict[str, str]] = TEXTS
