"""The losses of `engines.network.losses` for Keras' layout, and how a network text's own loss joins in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from digits.domain.datasets import IGNORED
from digits.engines.network.losses import FOCAL_GAMMA, NONE_IGNORED, SMALLEST, check_loss
from digits.engines.tensorflow.build import scored_output
from digits.engines.tensorflow.start import tf
from digits.errors import NetworkError

Loss = Callable[[Any, Any], dict[str, Any]]


def make_loss(
    name: str,
    own: Callable[..., Any] | None,
    *,
    ignored: int = NONE_IGNORED,
    class_weights: Any = None,
    probabilities: bool = False,
) -> Loss:
    """`(outputs, targets) -> {"loss": total, …}`: the text's own loss, else the named one on the main output.

    Targets of the value `ignored` do not count. `probabilities` says that outputs have been through a softmax.
    """
    if own is not None and not name:
        return lambda outputs, targets: _own_values(own(outputs, targets))
    function = _FUNCTIONS[check_loss(name)]
    weights = None if class_weights is None else np.asarray(class_weights, dtype=np.float32)

    def loss(outputs: Any, targets: Any) -> dict[str, Any]:
        output = scored_output(outputs)
        if probabilities:
            output = tf.math.log(tf.maximum(tf.cast(output, tf.float32), SMALLEST))
        return {"loss": function(output, targets, weights, ignored)}

    return loss


def _own_values(value: Any) -> dict[str, Any]:
    """What a text's loss gave: a scalar, or a mapping whose `loss` is the total (else the sum of all)."""
    if tf.is_tensor(value):
        return {"loss": tf.reduce_mean(value)}
    if not isinstance(value, Mapping) or not value:
        raise NetworkError(
            f"loss(outputs, targets) gave {type(value).__name__}.", advice="Return a scalar tensor or a dictionary of them."
        )
    values = {name: tf.reduce_mean(tf.cast(part, tf.float32)) for name, part in value.items()}
    return values if "loss" in values else {"loss": tf.add_n(list(values.values())), **values}


def cross_entropy(output: Any, target: Any, weights: Any = None, ignored: int = NONE_IGNORED) -> Any:
    """Of scores (N, …, K) and indices (N, …), mean over what is not ignored (weighted, where there are class weights)."""
    kept = _kept(output, target, weights, ignored)
    return tf.reduce_sum(_logs(output, target, ignored) * kept) / tf.maximum(tf.reduce_sum(kept), 1e-12)


def soft_dice(output: Any, target: Any, weights: Any = None, ignored: int = IGNORED) -> Any:
    """1 − mean Dice over the classes in the batch of softmax scores (N, …, K) and indices (N, …); Milletari 2016, pooled."""
    kept = tf.cast(target != ignored, tf.float32)[..., None]
    truth = tf.one_hot(target, output.shape[-1]) * kept  # (N, …, K)
    scores = tf.nn.softmax(tf.cast(output, tf.float32)) * kept
    axes = list(range(len(output.shape) - 1))
    inter, sizes = tf.reduce_sum(scores * truth, axes), tf.reduce_sum(scores + truth, axes)  # (K,)
    present = tf.cast(tf.reduce_sum(truth, axes) > 0, tf.float32)
    dice = (2 * inter + 1) / (sizes + 1)
    return 1 - tf.reduce_sum(dice * present) / tf.maximum(tf.reduce_sum(present), 1)


def cross_entropy_dice(output: Any, target: Any, weights: Any = None, ignored: int = IGNORED) -> Any:
    return cross_entropy(output, target, weights, ignored) + soft_dice(output, target, None, ignored)


def focal(output: Any, target: Any, weights: Any = None, ignored: int = NONE_IGNORED) -> Any:
    """Lin 2017: cross-entropy times (1 − p)^gamma, mean over what is not ignored."""
    plain = _logs(output, target, ignored)  # (N, …)
    kept = tf.reduce_sum(tf.cast(target != ignored, tf.float32))
    weighted = plain * _kept(output, target, weights, ignored)
    return tf.reduce_sum(weighted * (1 - tf.exp(-plain)) ** FOCAL_GAMMA) / tf.maximum(kept, 1)


def binary_cross_entropy(output: Any, target: Any, weights: Any = None, ignored: int = NONE_IGNORED) -> Any:
    """Of scores (N, K or more) and labels (N, K) of 0 and 1, mean over pictures and labels."""
    target = tf.cast(target, tf.float32)
    scores = tf.cast(output, tf.float32)[:, : target.shape[1]]
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=scores))


def focal_dice(output: Any, target: Any, weights: Any = None, ignored: int = IGNORED) -> Any:
    return focal(output, target, weights, ignored) + soft_dice(output, target, None, ignored)


def _logs(output: Any, target: Any, ignored: int) -> Any:
    """Cross-entropy of each sample or pixel. A class without a score is an error, and not a NaN."""
    known = tf.where(target == ignored, tf.zeros_like(target), target)
    inside = tf.debugging.assert_less(known, tf.cast(output.shape[-1], known.dtype), "a label is out of bounds of the scores")
    with tf.control_dependencies([inside] if inside is not None else []):  # None where it was looked at right away
        known = tf.identity(known)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=known, logits=tf.cast(output, tf.float32))


def _kept(output: Any, target: Any, weights: Any, ignored: int) -> Any:
    kept = tf.cast(target != ignored, tf.float32)
    if weights is None:
        return kept
    padded = np.ones(output.shape[-1], dtype=np.float32)
    padded[: len(weights)] = weights[: len(padded)]
    return kept * tf.gather(padded, tf.where(target == ignored, tf.zeros_like(target), target))


def _numbers(function: Callable[[Any], Any]) -> Callable[..., Any]:
    """A loss of the differences between an output and targets of as many numbers."""

    def loss(output: Any, target: Any, weights: Any = None, ignored: int = NONE_IGNORED) -> Any:
        output = tf.cast(output, tf.float32)
        return tf.reduce_mean(function(output - tf.reshape(tf.cast(target, tf.float32), tf.shape(output))))

    return loss


def _huber(difference: Any) -> Any:
    size = tf.abs(difference)
    return tf.where(size < 1, 0.5 * tf.square(size), size - 0.5)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "cross_entropy": cross_entropy,
    "cross_entropy_dice": cross_entropy_dice,
    "dice": soft_dice,
    "focal": focal,
    "focal_dice": focal_dice,
    "binary_cross_entropy": binary_cross_entropy,
    "mse": _numbers(tf.square),
    "l1": _numbers(tf.abs),
    "smooth_l1": _numbers(_huber),
}
