"""The state of a step: bytes for the checkpoint, and what is kept for a moment and put back.

It is variables, the values of steps that nobody has taken yet, and the random states that lie in no variable.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from digits.engines.tensorflow.random_state import random_state, restore_random_state
from digits.engines.tensorflow.start import tf
from digits.engines.tensorflow.step_values import weighed


def state_bytes(
    variables: Sequence[Any], names: Sequence[str], pending: Sequence[Any], loop: dict[str, Any], optimizers: dict[str, Any]
) -> bytes:
    """What a training goes on from. `pending` are the values of steps, float32 (2, parts), and `names` those of the parts; `loop`
    is what the training loop knows and `optimizers` what those of several losses are, as JSON."""
    words, arrays = random_state()
    arrays |= {f"variable{i}": variable.numpy() for i, variable in enumerate(variables)}
    arrays |= {f"pending{i}": values.numpy() for i, values in enumerate(pending)}
    rest = {"loop": loop, "names": list(names), "pending": len(pending), "random": words} | optimizers
    arrays["rest"] = np.frombuffer(json.dumps(rest).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def restore_state(
    path: Path, variables: Callable[[dict[str, Any]], Sequence[Any]]
) -> tuple[dict[str, Any], tuple[str, ...], list[Any]]:
    """Put the state in a file back into the variables that `variables` gives for it, in the order in which they were written, and
    the random states; what the loop knew, the names and the pending values."""
    with np.load(path, allow_pickle=False) as arrays:
        rest = json.loads(arrays["rest"].tobytes())
        for i, variable in enumerate(variables(rest)):
            variable.assign(arrays[f"variable{i}"])
        names = tuple(rest["names"])
        samples = rest.get("samples")  # checkpoints of earlier versions have means and the number of samples of each step
        found = [arrays[f"pending{i}"] for i in range(rest["pending"] if samples is None else len(samples))]
        if samples is not None:
            found = [weighed(values, names, n) for values, n in zip(found, samples, strict=True)]
        restore_random_state(rest["random"], arrays["numpy"])
    return rest["loop"], names, [tf.constant(values) for values in found]


def remembered(variables: Sequence[Any]) -> Any:
    """The random states and the values of some variables, for `put_back`."""
    return random_state(), [tf.identity(variable.value) for variable in variables]


def put_back(kept: Any, variables: Sequence[Any]) -> None:
    """Random states and variables as they were."""
    (words, arrays), values = kept
    restore_random_state(words, arrays["numpy"])
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
