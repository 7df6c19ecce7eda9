"""Whether what a network text gives fits the data, and other facts of texts that every engine checks alike."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from digits.engines.base import NetworkContext
from digits.errors import NetworkError

NETWORK_FILE = "network.py"  # in a model's folder
PROBABILITIES = "probabilities"  # key of a snapshot's metadata: the network ends in a softmax of its own
SOFTMAX_NOTE = (
    "The network ends in a softmax: its probabilities are taken as they are. Scores without it are a little more exact."
)
NUMBERS_ADVICE = (
    " Where the whole numbers are no classes, give the labels as floats, or write a loss(outputs, targets) of your own."
)
MAP_LAYOUT = "(N, context.num_classes, H, W)"


def check_outputs(shapes: dict[str, tuple[int, ...]], context: NetworkContext, map_layout: str = MAP_LAYOUT) -> None:
    """NetworkError where a default loss cannot compare the first output with the labels. More scores than classes are fine."""
    shape = next(iter(shapes.values()))
    found = "×".join(map(str, shape)) or "a single number"
    if context.task == "segmentation":
        _check_map(shape, found, context, map_layout)
    elif context.label_kind == "index" and context.num_classes:
        if len(shape) != 1 or shape[0] < context.num_classes:
            raise NetworkError(
                f"The network gives {found} per picture; the data set has {context.num_classes} classes.",
                advice="Let the last layer give context.num_classes scores."
                + (NUMBERS_ADVICE if context.task == "generic" and _volume(shape) == 1 else ""),
            )
    elif context.label_shape is not None and _volume(shape) != _volume(context.label_shape):
        wanted = "×".join(map(str, context.label_shape)) or "1"
        raise NetworkError(
            f"The network gives {found} per picture; the labels are {wanted}.",
            advice="Let the output have the shape context.label_shape, or write a loss(outputs, targets) of your own.",
        )


def gives_scores(task: str, classes: int, label_kind: str) -> bool:
    """Whether outputs are scores of classes."""
    return classes > 0 and (task == "segmentation" or (label_kind == "index" and task in ("classification", "generic")))


def are_probabilities(values: np.ndarray) -> bool:
    """Whether scores (…, K) look as after a softmax: none below 0, and they sum to 1."""
    if values.ndim < 2 or values.shape[-1] < 2 or not np.isfinite(values).all():
        return False
    return bool((values >= 0).all() and np.allclose(values.sum(axis=-1), 1, atol=1e-3))


def noise(shape: tuple[int, ...]) -> np.ndarray:
    """Float32, the same each time: what is no softmax shows here, though its zeros for zeros may look like one."""
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def check_callables(names: dict[str, Any]) -> None:
    """NetworkError for a `loss` or `metrics` that is no function of outputs and targets."""
    for name in ("loss", "metrics"):
        value = names.get(name)
        if value is not None and not _takes_two(value):
            found = f"{name}{inspect.signature(value)}" if inspect.isfunction(value) else f"{name} is {value!r:.80}"
            raise NetworkError(
                f"{found} was found, expected a function {name}(outputs, targets).",
                advice=f"Define the function, or leave {name} out: then the default for the data set's task is used.",
            )


def _takes_two(value: Any) -> bool:
    if not callable(value):
        return False
    try:
        inspect.signature(value).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # a function of C without a signature
        return True
    return True


def named_values(found: Any) -> dict[str, Any]:
    """What a text's `metrics` gave. NetworkError when it is no dictionary."""
    if not isinstance(found, Mapping):
        raise NetworkError(
            f"metrics(outputs, targets) gave {type(found).__name__}.",
            advice='Return a dictionary of scalars, such as {"name": value}.',
        )
    return dict(found)


def _check_map(shape: tuple[int, ...], found: str, context: NetworkContext, map_layout: str) -> None:
    size = context.input_shape[1:]
    if len(shape) != 3 or shape[0] < context.num_classes or shape[1:] != size:
        raise NetworkError(
            f"The network gives {found} per picture; a score for each of {context.num_classes} classes at each of "
            f"{size[0]}×{size[1]} pixels is needed.",
            advice=f"Let the output be {map_layout}.",
        )


def batch_size_of(names: dict[str, Any]) -> int | None:
    """The text's own `BATCH_SIZE`."""
    value = names.get("BATCH_SIZE")
    if value is None:
        return None
    if not isinstance(value, int) or value < 1:
        raise NetworkError(f"BATCH_SIZE is {value!r}, expected a whole number of at least 1.", advice="Correct the network text.")
    return value


def short(error: BaseException) -> str:
    """Type and first line of an error."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


def _volume(shape: tuple[int, ...]) -> int:
    volume = 1
    for size in shape:
        volume *= size
    return volume


def context_from(meta: dict[str, Any]) -> NetworkContext:
    """The context in which the network of a snapshot was built, without pretrained weights."""
    label_shape = meta["label_shape"]
    return NetworkContext(
        task=meta["task"],
        input_shape=tuple(meta["input_shape"]),
        num_classes=len(meta["class_labels"]),
        label_shape=None if label_shape is None else tuple(label_shape),
        class_labels=tuple(meta["class_labels"]),
        label_kind=meta["label_kind"],
        box_sizes=tuple(meta.get("box_sizes", ())),
        input_scale=float((meta.get("preparation") or {}).get("std", 1.0)),
    )
