"""The random states of a process: kept with a checkpoint, put back after what must not change what a training draws."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch


def random_state(gpu: bool) -> dict[str, Any]:
    """All random states as tensors and plain values, so that they load without unpickling code."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "python": [[version, list(words), following] for version, words, following in [random.getstate()]][0],
        "numpy": [str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)), int(position), int(has_gauss), float(gauss)],
    }
    return state | ({"cuda": torch.cuda.get_rng_state()} if gpu else {})


def restore_random_state(state: dict[str, Any], gpu: bool) -> None:
    torch.set_rng_state(state["torch"])
    version, words, following = state["python"]
    random.setstate((version, tuple(words), following))
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    if gpu and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])


def kept_random_state(gpu: bool) -> Callable[[], None]:
    """What puts all random states back to what they are now, in this process. Quicker than `random_state`, for every group of
    batches begins with it."""
    torchs, pythons, numpys = torch.get_rng_state(), random.getstate(), np.random.get_state()
    gpus = torch.cuda.get_rng_state() if gpu else None

    def put_back() -> None:
        torch.set_rng_state(torchs)
        random.setstate(pythons)
        np.random.set_state(numpys)
        if gpus is not None:
            torch.cuda.set_rng_state(gpus)

    return put_back


def same_random_state(state: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether nothing was drawn between two states."""
    tensors = [name for name in ("torch", "cuda") if name in state]
    numbers, others = state["numpy"], other["numpy"]
    return (
        all(torch.equal(state[name], other[name]) for name in tensors)
        and state["python"] == other["python"]
        and torch.equal(numbers[1], others[1])
        and numbers[2:] == others[2:]
    )
