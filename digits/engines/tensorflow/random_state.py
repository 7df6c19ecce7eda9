"""The random states of a process that lie in no variable: kept with a checkpoint, put back when a training goes on."""

from __future__ import annotations

import random
from typing import Any

import numpy as np


def random_state() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The states of Python's and NumPy's generators: JSON values, and arrays (the key of NumPy's, uint32 (624,)). Keras' lie
    in variables."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    words = {"python": random.getstate(), "numpy": [str(kind), int(position), int(has_gauss), float(gauss)]}
    return words, {"numpy": np.asarray(keys)}


def restore_random_state(words: dict[str, Any], keys: np.ndarray) -> None:
    """Put back what `random_state` gave; `keys` is uint32 (624,)."""
    version, numbers, following = words["python"]
    random.setstate((version, tuple(numbers), following))
    kind, position, has_gauss, gauss = words["numpy"]
    np.random.set_state((kind, keys.astype(np.uint32), position, has_gauss, gauss))
