"""The losses of `engines.network.losses` for Keras' layout, and how a network text's own loss joins in.

A loss hands up sums and weights, both tensors (see `engines.training.totals`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from digits.domain.datasets import IGNORED
from digits.engines.network.checks import named_values
from digits.engines.network.losses import FOCAL_GAMMA, LOSS_ADVICE, NONE_IGNORED, SMALLEST, check_loss
from digits.engines.network.several_losses import gives_several, joint_loss, read_entries
from digits.engines.tensorflow.build import scored_output
from digits.engines.tensorflow.start import tf
from digits.engines.training.totals import LossValue, one_part, total_of
from digits.errors import NetworkError

Loss = Callable[[Any, Any], dict[str, LossValue]]


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
        return lambda outputs, targets: own_loss(own, outputs, targets, ignored)
    function = _FUNCTIONS[check_loss(name)]
    weights = None if class_weights is None else np.asarray(class_weights, dtype=np.float32)

    def loss(outputs: Any, targets: Any) -> dict[str, LossValue]:
        output = scored_output(outputs)
        if probabilities:
            output = tf.math.log(tf.maximum(tf.cast(output, tf.float32), SMALLEST))
        return {"loss": function(output, targets, weights, ignored)}

    return loss


def own_loss(own: Callable[..., Any], outputs: Any, targets: Any, ignored: int) -> dict[str, LossValue]:
    """What a text's loss gives: a scalar (a mean over samples), a sum with its weight, a mapping of either whose `loss` is the
    total (else the sum of all), or a list of several losses, whose sum is a `JointLoss`."""
    samples = labelled(targets, ignored)
    value, shown = own(outputs, targets), _shown(targets, samples)
    found = own(outputs, shown) if shown is not targets else value
    if gives_several(value):
        return _several(value, found, samples)
    if tf.is_tensor(value) or isinstance(value, tuple):
        return {"loss": _weighted(value, found, samples)}
    if not isinstance(value, Mapping) or not value:
        raise NetworkError(f"loss(outputs, targets) gave {type(value).__name__}.", advice=LOSS_ADVICE)
    values = {str(name): _weighted(part, found[name], samples) for name, part in value.items()}
    return values if "loss" in values else {"loss": total_of(values, samples), **values}


def _several(value: Any, found: Any, samples: Any) -> dict[str, LossValue]:
    """The losses of a list by their names, and their sum; see `own_loss`."""
    entries = read_entries(value)
    pairs = zip(entries, read_entries(found), strict=True)
    values = {entry.name: _weighted(entry.loss, shown.loss, samples) for entry, shown in pairs}
    return {"loss": joint_loss(entries, list(values.values())), **values}


def own_metrics(own: Callable[..., Any], outputs: Any, targets: Any, ignored: int) -> dict[str, LossValue]:
    """What a text's metrics give, with their weights as `own_loss` has them; vectors are averaged."""
    samples = labelled(targets, ignored)
    return {name: _weighted(value, value, samples) for name, value in named_values(own(outputs, targets)).items()}


def labelled(targets: Any, ignored: int) -> Any:
    """The number of samples with a label in targets (N, …), float32."""
    if ignored == NONE_IGNORED or not targets.dtype.is_integer:
        return tf.cast(tf.shape(targets)[0], tf.float32)
    kept = tf.cast(targets != ignored, tf.float32)
    return tf.reduce_sum(tf.reduce_max(kept, axis=list(range(1, len(targets.shape)))))


def _shown(targets: Any, samples: Any) -> Any:
    """Targets of which a mean can be taken: a mean over a batch without a label is no number, nor is its gradient, so there all
    are class 0, and the mean weighs nothing."""
    return (
        tf.where(samples > 0, targets, tf.zeros_like(targets)) if len(targets.shape) > 1 and targets.dtype.is_integer else targets
    )


def _weighted(value: Any, mean: Any, samples: Any) -> LossValue:
    """A mean with the number of samples as its weight, or a sum with the weight that the text says. Vectors are averaged, but
    summed up where they are said to be sums."""
    if not isinstance(value, tuple):
        return one_part(tf.reduce_mean(tf.cast(mean, tf.float32)) * samples, samples)
    if len(value) != 2:
        raise NetworkError(f"loss(outputs, targets) gave {len(value)} values, expected a sum and its weight.", advice=LOSS_ADVICE)
    total, weight = (tf.reduce_sum(tf.cast(part, tf.float32)) for part in value)
    return one_part(tf.where(weight != 0, total, 0.0), tf.stop_gradient(weight))  # what weighs nothing may be no number


def cross_entropy(output: Any, target: Any, weights: Any = None, ignored: int = NONE_IGNORED) -> LossValue:
    """Cross-entropy of scores (N, …, K) and indices (N, …), each item times the weight (K,) of its class; the weights of what
    is not ignored."""
    kept = _kept(output, target, weights, ignored)
    return one_part(tf.reduce_sum(_logs(output, target, ignored) * kept), tf.reduce_sum(kept))


def soft_dice(output: Any, target: Any, weights: Any = None, ignored: int = IGNORED) -> LossValue:
    """1 − mean Dice of the classes in a picture, of softmax scores (N, …, K) and indices (N, …); Milletari 2016. The pictures
    of which a pixel is not ignored."""
    kept = tf.cast(target != ignored, tf.float32)[..., None]
    truth = tf.one_hot(target, output.shape[-1]) * kept  # (N, …, K)
    scores = tf.nn.softmax(tf.cast(output, tf.float32)) * kept
    axes = list(range(1, len(output.shape) - 1))
    inter, sizes = tf.reduce_sum(scores * truth, axes), tf.reduce_sum(truth, axes)  # (N, K)
    dice = (2 * inter + 1) / (tf.reduce_sum(scores, axes) + sizes + 1)
    present = tf.cast(sizes > 0, tf.float32)
    means = tf.reduce_sum(dice * present, 1) / tf.maximum(tf.reduce_sum(present, 1), 1)  # (N,)
    pictures = tf.reduce_max(kept, axis=list(range(1, len(kept.shape))))  # (N,)
    return one_part(tf.reduce_sum((1 - means) * pictures), tf.reduce_sum(pictures))


def cross_entropy_dice(output: Any, target: Any, weights: Any = None, ignored: int = IGNORED) -> LossValue:
    """`cross_entropy` + `soft_dice` of scores (N, …, K) and indices (N, …)."""
    return cross_entropy(output, target, weights, ignored) + soft_dice(output, target, None, ignored)


def focal(output: Any, target: Any, weights: Any = None, ignored: int = NONE_IGNORED) -> LossValue:
    """Lin 2017: cross-entropy times (1 − p)^gamma, each item times the weight (K,) of its class; the number of what is not
    ignored."""
    plain = _logs(output, target, ignored)  # (N, …)
    weighted = plain * _kept(output, target, weights, ignored)
    kept = tf.reduce_sum(tf.cast(target != ignored, tf.float32))
    return one_part(tf.reduce_sum(weighted * (1 - tf.exp(-plain)) ** FOCAL_GAMMA), kept)


def binary_cross_entropy(output: Any, target: Any, weights: Any = None, ignored: int = NONE_IGNORED) -> LossValue:
    """Of scores (N, K or more) and labels (N, K) of 0 and 1; the number of labels, N · K."""
    target = tf.cast(target, tf.float32)
    scores = tf.cast(output, tf.float32)[:, : target.shape[1]]
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=scores)
    return one_part(tf.reduce_sum(losses), _size(losses))


def focal_dice(output: Any, target: Any, weights: Any = None, ignored: int = IGNORED) -> LossValue:
    """`focal` + `soft_dice` of scores (N, …, K) and indices (N, …)."""
    return focal(output, target, weights, ignored) + soft_dice(output, target, None, ignored)


def _size(values: Any) -> Any:
    return tf.cast(tf.size(values), tf.float32)


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


def _numbers(function: Callable[[Any], Any]) -> Callable[..., LossValue]:
    """A loss of the differences between an output and targets of as many numbers; the number of them."""

    def loss(output: Any, target: Any, weights: Any = None, ignored: int = NONE_IGNORED) -> LossValue:
        output = tf.cast(output, tf.float32)
        losses = function(output - tf.reshape(tf.cast(target, tf.float32), tf.shape(output)))
        return one_part(tf.reduce_sum(losses), _size(losses))

    return loss


def _huber(difference: Any) -> Any:
    size = tf.abs(difference)
    return tf.where(size < 1, 0.5 * tf.square(size), size - 0.5)


_FUNCTIONS: dict[str, Callable[..., LossValue]] = {
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
