"""Weights from elsewhere made a snapshot: the network is built, takes all of them and no others, and is fed zeros."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digits.engines.network.checks import PROBABILITIES, context_from
from digits.engines.tensorflow.build import build, check_model
from digits.engines.tensorflow.start import start
from digits.engines.tensorflow.weights import SUFFIX, pack, places_of, read_metadata, read_weights, take_over
from digits.errors import StorageError
from digits.tasks import get

SHOWN = 4  # names of variables, in a sentence
BESIDE = ("optimizer", "metrics", "compile_metrics", "loss")  # what a model that was compiled saves along


def adopt(text: str, path: Path, meta: Mapping[str, Any]) -> bytes:
    """As `Engine.adopt`; class names have to be given."""
    if not meta["class_labels"] and get(meta["task"]).scores:
        raise StorageError(
            "Which classes the network tells apart is not known.",
            advice="Give a file of labels, one class a line, in the order of the network's outputs.",
        )
    start()
    weights, context = read_weights(path), context_from(dict(meta))
    network = build(text, context)
    check_model(network, context)
    own = places_of(network.model)
    fitting = [place for place, variable in own.items() if place in weights and weights[place].shape == tuple(variable.shape)]
    if len(fitting) < len(own):
        missing = sorted(set(own) - set(fitting))
        raise StorageError(
            f"{path.name} does not fit the network text: {len(missing)} of its {len(own)} variables are not in it with their"
            f" shape, e.g. {missing[0]}.",
            advice="Give the text of the very network that they were trained with, and as many labels as it has outputs.",
        )
    if more := [place for place in weights if place not in own and not _is_beside(place)]:
        raise StorageError(
            f"{path.name} does not fit the network text: it has besides {_some(more)}, which would go unused.",
            advice="Give the text of the very network that they were trained with.",
        )
    take_over(own, weights, path.name, set())
    mean = read_metadata(path)[1] if path.suffix == f".{SUFFIX}" else None
    return pack(network.model, {**meta, PROBABILITIES: network.probabilities}, mean)


def _is_beside(place: str) -> bool:
    """Whether a place in a file of Keras belongs to the training or to chance, not to the network."""
    return place.split("/")[0] in BESIDE or "seed_generator" in place


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
