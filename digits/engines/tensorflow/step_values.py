"""The values of a step as one tensor, float32 (2, parts): sums and weights (see `engines.training.totals`), so that a compiled
step hands up one thing, which nothing waits for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from digits.engines.tensorflow.start import tf
from digits.engines.training.step import HITS
from digits.engines.training.totals import LossPart, Totals


def samples_of(y: Any) -> Any:
    """The number of samples of a batch, float32."""
    return tf.cast(tf.shape(y)[0], tf.float32)


def stacked(parts: Sequence[LossPart]) -> Any:
    """Sums and weights as float32 (2, parts)."""
    return tf.stack([[tf.reshape(tf.cast((part.sum, part.weight)[i], tf.float32), []) for part in parts] for i in (0, 1)])


def totals_of(values: dict[str, Any]) -> Totals:
    """Of values of a batch, float32 (2, parts) each."""
    found = {name: value.numpy() for name, value in values.items()}
    return Totals({name: value[0] for name, value in found.items()}, {name: value[1] for name, value in found.items()})


def totals_by_name(names: Sequence[str], values: Any) -> Totals:
    """Of values float32 (2, parts), whose parts have these names; several parts of one name are one value."""
    sums: dict[str, list[float]] = {}
    weights: dict[str, list[float]] = {}
    for name, total, weight in zip(names, *np.asarray(memoryview(values.numpy()), np.float64), strict=True):
        sums.setdefault(name, []).append(total)
        weights.setdefault(name, []).append(weight)
    return Totals(sums, weights)


def weighed(means: np.ndarray, names: Sequence[str], samples: int) -> np.ndarray:
    """Means (K,) over samples of K values with these names, of which hits are a sum, as float32 (2, K): sums and weights."""
    shares = np.array([1 if name == HITS else samples for name in names])
    return np.stack([means * shares, np.full(len(names), samples)]).astype(np.float32)


def as_float(outputs: Any) -> Any:
    """Outputs as float32, whatever the precision of the layers."""
    if isinstance(outputs, dict):
        return {name: as_float(value) for name, value in outputs.items()}
    if isinstance(outputs, list | tuple):
        return [as_float(value) for value in outputs]
    return tf.cast(outputs, tf.float32) if outputs.dtype.is_floating else outputs
