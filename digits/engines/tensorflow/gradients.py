"""The gradients of a group of accumulated batches: those of the mean over everything that counts in it.

Holds: while a group is open, they are those of the mean so far, of each part of the loss, and `weights` is what counted so far.
Everything here is part of compiled steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from digits.engines.tensorflow.start import tf


class GroupGradients:
    """Gradients of `variables` for each of the `parts` of a loss."""

    def __init__(self, variables: Sequence[Any], parts: int) -> None:
        self.means = [[tf.Variable(tf.zeros_like(variable)) for variable in variables] for _ in range(parts)]
        self.weights = tf.Variable(tf.zeros(parts))

    def add(self, gradients: list[list[Any]], weights: Any) -> None:
        """Bring in a batch: of each part its gradients, divided by `weights` (parts,), which are those of the group with it."""
        shares = self._shares(weights)
        for i, (means, found) in enumerate(zip(self.means, gradients, strict=True)):
            for mean, gradient in zip(means, found, strict=True):
                mean.assign(mean * tf.cast(shares[i], mean.dtype) + gradient)
        self.weights.assign(weights)

    def close(self, gradients: list[Any], weights: Any) -> list[Any]:
        """The gradients of the whole group, those of its last batch being `gradients` of all parts together; then it is empty."""
        shares = self._shares(weights)
        found = list(gradients)
        for i, means in enumerate(self.means):
            found = [g + mean * tf.cast(shares[i], mean.dtype) for g, mean in zip(found, means, strict=True)]
        for mean in (mean for means in self.means for mean in means):
            mean.assign(tf.zeros_like(mean))
        self.weights.assign(tf.zeros_like(self.weights))
        return found

    def _shares(self, weights: Any) -> Any:
        """How much of the mean over `weights` the mean so far is, (parts,)."""
        return self.weights * inverse(weights)


def inverse(weights: Any) -> Any:
    """1 / weights, and 0 of 0."""
    return tf.math.divide_no_nan(tf.ones_like(weights), weights)
