"""The gradients of a batch, and of a group of accumulated batches: those of the mean over everything that counts in it.

Holds: while a group is open, its gradients are those of the mean so far, of each part of the loss, and `weights` is what counted
so far. Everything here is part of compiled steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from digits.engines.tensorflow.start import tf
from digits.engines.training.totals import LossValue


class Gradients:
    """Gradients of `variables`, of a loss that is `scaled` for half precision. `apart`: of each part of the loss by itself."""

    def __init__(self, variables: Sequence[Any], scaled: Callable[[Any], Any], *, apart: bool) -> None:
        self.variables, self.scaled, self.apart = variables, scaled, apart

    def terms(self, loss: LossValue, factors: Any) -> list[tuple[Any, Any]]:
        """What gradients are taken of, sum · factor scaled, each with whether it counts: of a text's loss every part, for one
        that weighs nothing may have gradients that are no numbers; of others all parts together."""
        terms = [part.sum * factors[i] for i, part in enumerate(loss.parts)]
        if not self.apart:
            return [(self.scaled(tf.add_n(terms)), None)]
        return [(self.scaled(term), part.weight != 0) for term, part in zip(terms, loss.parts, strict=True)]

    def of(self, tape: Any, terms: Sequence[tuple[Any, Any]]) -> list[Any]:
        """Of each variable the gradient of the sum of the terms."""
        found = [self._of_term(tape, *term) for term in terms]
        return [tf.add_n(of_terms) for of_terms in zip(*found, strict=True)] if len(found) > 1 else found[0]

    def _of_term(self, tape: Any, term: Any, counts: Any) -> list[Any]:
        found = tape.gradient(term, [v.value for v in self.variables])
        dense = [_dense(gradient, variable) for gradient, variable in zip(found, self.variables, strict=True)]
        return dense if counts is None else [tf.where(counts, gradient, tf.zeros_like(gradient)) for gradient in dense]


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


def _dense(gradient: Any, variable: Any) -> Any:
    """A gradient as one tensor; zeros where the variable has no part in the loss."""
    return tf.zeros_like(variable) if gradient is None else tf.convert_to_tensor(gradient)
