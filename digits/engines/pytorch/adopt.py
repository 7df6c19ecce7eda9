"""Weights from elsewhere made a snapshot: the network is built, takes all of them and no others, and is fed zeros."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from digits.engines.network.checks import PROBABILITIES, context_from
from digits.engines.pytorch.build import build, check_module
from digits.engines.pytorch.weights import last_layer, pack, read_snapshot, read_weights
from digits.errors import StorageError
from digits.tasks import get

SHOWN = 4  # names of tensors, in a sentence
PROBE = 2  # classes of a network that is built to see which layer gives them


def adopt(text: str, path: Path, meta: Mapping[str, Any]) -> bytes:
    """As `Engine.adopt`."""
    weights, meta = read_weights(path), dict(meta)
    if not meta["class_labels"] and needs_classes(meta):
        meta["class_labels"] = [str(number) for number in range(count_classes(text, weights, meta))]
    context = context_from(meta)
    network = build(text, context)
    check_fit(network.module, weights, path.name)
    network.module.load_state_dict(weights)
    check_module(network, context)
    mean = read_snapshot(path)[2] if path.suffix == ".safetensors" else None
    return pack(network.module, {**meta, PROBABILITIES: network.probabilities}, mean)


def needs_classes(meta: Mapping[str, Any]) -> bool:
    """Whether a network of this task gives a number for each class."""
    return bool(get(meta["task"]).scores)


def count_classes(text: str, weights: Mapping[str, Tensor], meta: Mapping[str, Any]) -> int:
    """How many classes the weights (tensors of any shape by name) are for: the rows of the layer that ends the network.
    StorageError where that is not to be seen."""
    trial = build(text, context_from({**meta, "class_labels": [str(number) for number in range(PROBE)]})).module
    for name in last_layer(trial):
        if name in weights and weights[name].ndim:
            return int(weights[name].shape[0])
    raise StorageError(
        "How many classes the weights are for is not to be seen in them.",
        advice="Give a file of labels, one class a line, in the order of the network's outputs.",
    )


def check_fit(module: nn.Module, weights: Mapping[str, Tensor], name: str) -> None:
    """StorageError, naming tensors, where the weights (of any shape by name) of a file are not those of the network."""
    own = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    missing, more = [key for key in own if key not in weights], [key for key in weights if key not in own]
    other = [
        f"{key} {_shape(tuple(weights[key].shape))} for {_shape(shape)}"
        for key, shape in own.items()
        if key in weights and tuple(weights[key].shape) != shape
    ]
    found = {"misses": missing, "has besides": more, "has of another shape": other}
    if said := "; ".join(f"{word} {_some(names)}" for word, names in found.items() if names):
        raise StorageError(
            f"{name} does not fit the network text: it {said}.",
            advice="Give the text of the very network that they were trained with, and as many labels as it has outputs.",
        )


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a number"
