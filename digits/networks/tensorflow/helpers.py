"""What the original offered to network texts, for texts with `from digits.networks.tensorflow import helpers`.

Scores are (N, K) before any softmax, labels int (N,); every function works on tensors, inside and outside of a compiled step.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def classification_loss(scores: Any, labels: Any) -> Any:
    """Mean cross-entropy of scores (N, K) and class indices (N,)."""
    return ops.mean(keras.losses.sparse_categorical_crossentropy(labels, scores, from_logits=True))


def mse_loss(left: Any, right: Any) -> Any:
    """Mean squared difference of two tensors of one shape."""
    return ops.mean(ops.square(ops.cast(left, "float32") - ops.cast(right, "float32")))


def contrastive_loss(left: Any, right: Any, same: Any, margin: float = 1.0) -> Any:
    """Of two embeddings (N, D); `same` (N,) is 1 for pairs of one class. Half the mean of d² for those and of
    max(margin − d, 0)² for the others (Hadsell, Chopra and LeCun, 2006)."""
    squared = ops.sum(ops.square(ops.cast(left, "float32") - ops.cast(right, "float32")), axis=1)
    same = ops.cast(same, "float32")
    apart = ops.square(ops.maximum(margin - ops.sqrt(squared + 1e-6), 0.0))
    return ops.mean(same * squared + (1 - same) * apart) / 2


constrastive_loss = contrastive_loss  # as the original spelled it


def classification_accuracy(scores: Any, labels: Any) -> Any:
    """The share of samples whose highest score is their label's."""
    return classification_accuracy_top_n(scores, labels, 1)


def classification_accuracy_top_n(scores: Any, labels: Any, top_n: int) -> Any:
    """The share of samples whose label is among the `top_n` highest scores; ties are broken against the model and scores
    that are no numbers are never right, as in `digits.metrics.accuracy.rank`."""
    scores = ops.convert_to_tensor(scores)
    own = ops.take_along_axis(scores, ops.cast(ops.reshape(labels, (-1, 1)), "int32"), axis=1)  # (N, 1)
    before = ops.sum(ops.cast(scores >= own, "int32"), axis=1) - 1  # (N,)
    comparable = ops.all(scores < float("inf"), axis=1)  # (N,); NaN is not
    return ops.mean(ops.cast(ops.logical_and(before < top_n, comparable), "float32"))


def nhwc_to_nchw(x: Any) -> Any:
    return ops.transpose(x, (0, 3, 1, 2))


def nchw_to_nhwc(x: Any) -> Any:
    return ops.transpose(x, (0, 2, 3, 1))


def hwc_to_chw(x: Any) -> Any:
    return ops.transpose(x, (2, 0, 1))


def chw_to_hwc(x: Any) -> Any:
    return ops.transpose(x, (1, 2, 0))


def rgb_to_bgr(x: Any) -> Any:
    """Colours in the other order; channels are the last axis."""
    return ops.flip(x, axis=-1)


bgr_to_rgb = rgb_to_bgr
