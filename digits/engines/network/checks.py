"""Whether what a network text gives fits the data, and other properties of texts that every engine checks alike."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from digits.domain.inference import main_output
from digits.engines.base import NetworkContext
from digits.engines.network.several_losses import takes_network
from digits.errors import NetworkError
from digits.tasks import Labels, Task, get, of

NETWORK_FILE = "network.py"  # in a model's folder
PROBABILITIES = "probabilities"  # key of a snapshot's metadata: the network ends in a softmax of its own
SOFTMAX_NOTE = (
    "The network ends in a softmax: its probabilities are taken as they are. Scores without it are a little more exact."
)
SOFTMAX_OF_ONE_MODE = (
    "The network ends in a softmax in {} mode alone: the loss of the training takes the {} that it gives in training mode, "
    "validation and predictions the {} of evaluation mode. Leave the softmax out: a loss on scores has its own."
)
SIGMOID_NOTE = (
    "The network seems to end in a sigmoid: all its outputs for noise lie between 0 and 1. Loss, metrics and predictions take "
    "scores and put them through a sigmoid of their own, so that every label would have a probability above one half."
    " Leave it out."
)
ALL_EVALUATION = (
    "The network is in evaluation mode as a whole (its text calls eval() on it), and stays so while it trains: normalisation "
    "keeps its statistics, nothing drops out. Where that is not meant, leave eval() out, or call it "
    "on the parts that are to stay so."
)
NUMBERS_ADVICE = (
    " Where the whole numbers are no classes, give the labels as floats, or write a loss(outputs, targets) of your own."
)
SEVERAL = 16  # pictures of noise: that all scores of all of them lie in [0, 1] is no chance
UNKNOWN_SIZES = "Which sizes the layers give is not known without a data set: fed with zeros of {}, the network fails. {}"
MAP_LAYOUT = "(N, context.num_classes, H, W)"


def labels_of(context: NetworkContext) -> Labels:
    """The labels that a context describes."""
    names = context.class_labels or tuple(str(i) for i in range(context.num_classes))
    return Labels(context.label_kind, context.label_shape, class_labels=names)


def task_of(context: NetworkContext) -> Task:
    """The task of a context, as its labels make it."""
    return of(context.task, labels_of(context))


def check_outputs(shapes: dict[str, tuple[int, ...]], context: NetworkContext, map_layout: str = MAP_LAYOUT) -> None:
    """NetworkError where a default loss cannot compare the main output with the labels. More scores than classes are fine."""
    shape = main_output(shapes)
    task = task_of(context)
    problem = task.output_problem(shape, labels_of(context), context.input_shape[1:])
    if problem is None:
        return
    found = "×".join(map(str, shape)) or "a single number"
    advice = problem[1] or f"Let the output be {map_layout}."
    if task is not get(context.task) and math.prod(shape) == 1:
        advice += NUMBERS_ADVICE
    raise NetworkError(f"The network gives {found} per picture; {problem[0]}.", advice=advice)


def needs_scores(context: NetworkContext) -> bool:
    """Whether the main output is held against classes whatever loss a text has: hits are counted, pages show probabilities."""
    return task_of(context).counts_hits


def unknown_sizes(context: NetworkContext, error: NetworkError) -> str:
    """What is said of a network that was not judged and could not work with zeros."""
    return UNKNOWN_SIZES.format("×".join(map(str, context.input_shape)), error.message)


def activation(context: NetworkContext) -> str:
    """How outputs become probabilities of classes (see `Task.activation`)."""
    return task_of(context).activation(labels_of(context))


def softmax_note(evaluation: bool, training: bool) -> str:
    """What is said of a network whose outputs are probabilities already, in evaluation mode and in training mode."""
    if evaluation == training:
        return SOFTMAX_NOTE if evaluation else ""
    words = ("scores", "probabilities")
    return SOFTMAX_OF_ONE_MODE.format("evaluation" if evaluation else "training", words[training], words[evaluation])


def are_probabilities(values: np.ndarray) -> bool:
    """Whether scores (…, K) look as after a softmax: none below 0, and they sum to 1."""
    if values.ndim < 2 or values.shape[-1] < 2 or not np.isfinite(values).all():
        return False
    return bool((values >= 0).all() and np.allclose(values.sum(axis=-1), 1, atol=1e-3))


def looks_like_sigmoid(values: np.ndarray) -> bool:
    """Whether scores (N, K) of pictures of noise look as after a sigmoid: all in [0, 1], and not the same for all."""
    return bool(np.isfinite(values).all() and (values >= 0).all() and (values <= 1).all() and np.ptp(values, axis=0).max() > 1e-6)


def noise(shape: tuple[int, ...]) -> np.ndarray:
    """Normal noise of `shape`, e.g. (N, C, H, W), float32, the same each time: what is no softmax shows here, though its zeros
    for zeros may look like one."""
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def check_callables(names: dict[str, Any]) -> None:
    """NetworkError for a `loss` or `metrics` that is no function of outputs and targets; `loss` may take the network too."""
    for name in ("loss", "metrics"):
        value = names.get(name)
        if value is not None and not _takes_two(value) and not (name == "loss" and takes_network(value)):
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


def batch_size_of(names: dict[str, Any]) -> int | None:
    """The text's own `BATCH_SIZE`."""
    value = names.get("BATCH_SIZE")
    if value is None:
        return None
    if not isinstance(value, int) or value < 1:
        raise NetworkError(f"BATCH_SIZE is {value!r}, expected a whole number of at least 1.", advice="Correct the network text.")
    return value


def export_shape_of(names: dict[str, Any]) -> tuple[int, ...] | None:
    """The text's own `EXPORT_SHAPE`: (C, H, W) of the numbers that exports take in the place of pictures."""
    value = names.get("EXPORT_SHAPE")
    if value is None:
        return None
    if not isinstance(value, tuple | list) or len(value) != 3 or not all(isinstance(n, int) and n > 0 for n in value):
        raise NetworkError(
            f"EXPORT_SHAPE is {value!r}, expected three whole numbers (C, H, W).", advice="Correct the network text."
        )
    return tuple(value)


def short(error: BaseException) -> str:
    """Type and first line of an error."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


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
