"""Whether what a training keeps is finite: weights, statistics and the optimizer's own numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from digits.engines.tensorflow.start import tf


def watched(model: Any) -> list[Any]:
    """The variables that must stay numbers: what is learnt, and what else was finite when the training began. Others, such as
    masks, may hold infinity by right."""
    return [*model.trainable_variables, *(v for v in model.non_trainable_variables if bool(all_finite([v])))]


def all_finite(variables: Sequence[Any]) -> Any:
    """Whether variables hold neither NaN nor infinity: a boolean scalar."""
    known = [tf.convert_to_tensor(v.value) for v in variables if tf.as_dtype(v.dtype).is_floating]
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(value)) for value in known]) if known else tf.constant(True)
