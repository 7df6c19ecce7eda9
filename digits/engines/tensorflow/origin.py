"""Which layer of a Keras model made values that are no numbers (see `engines.training.origin`); on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from digits.engines.tensorflow.build import recorded
from digits.engines.tensorflow.start import keras, tf
from digits.engines.training.origin import LayerPass, Origin, Spoilt, origin_of, span_of, spoilt_of


def origin_in(model: Any, x: Any) -> Origin | None:
    """Of a batch x (N, H, W, C) float32, prepared, in training mode; None where that cannot be watched."""
    passes: list[LayerPass] = []

    def watch(layer: Any, given: Any, made: Any) -> None:
        passes.append(LayerPass(layer.name, type(layer).__name__, span_of(_arrays(given)), span_of(_arrays(made))))

    try:
        with recorded(model, watch):
            outputs = model(x, training=True)
    except Exception:  # whatever a network does not bear outside of its compiled step: why it diverged is then said without this
        return None
    passes.append(LayerPass("", type(model).__name__, span_of(_arrays(x)), span_of(_arrays(outputs))))
    return origin_of(passes, span_of(array for _, array in _weights(model)).largest)


def spoilt_in(model: Any) -> Spoilt:
    """What a step made of the weights."""
    return spoilt_of(_weights(model))


def _weights(model: Any) -> Iterator[tuple[str, np.ndarray]]:
    return ((v.path, _array(v.value)) for v in model.trainable_variables)


def _arrays(value: Any) -> Iterator[np.ndarray]:
    """The floating-point tensors (…) in nested values."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _arrays(one)
    elif tf.is_tensor(value) and value.dtype.is_floating:
        yield _array(value)
    elif isinstance(value, keras.Variable):
        yield _array(value.value)


def _array(tensor: Any) -> np.ndarray:
    return tf.cast(tensor, tf.float32).numpy()
