"""Why a training diverged: its loss or its weights are no numbers any more (see `loss_watch`), and what is said of it follows
from what can be seen: a record that holds none, half precision, a layer or a loss that makes none of numbers, gradients that are
none, or steps that were too large. A batch in which nothing counts has no loss and ends nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from digits.engines.base import Records, TrainingRun
from digits.engines.training.loss_watch import Divergence
from digits.engines.training.origin import Origin, Spoilt
from digits.errors import TrainingError
from digits.storage.records.boxes import COORDINATES
from digits.utils.values import counted

USUAL_RATES = {"SGD": 0.01, "MOMENTUM": 0.01, "NESTEROV": 0.01, "ADAGRAD": 0.01, "RMSPROP": 0.001, "ADAM": 0.001, "ADAMW": 0.001}
LARGE = 1e6  # a loss or what a layer is given of this size, finite as it is, was on its way to infinity ...
LARGE_WEIGHT = 1e4  # ... and so were weights of this one
WHERE_NONE_ARISE = (
    "a logarithm or root of a number that is 0 or less, a division by zero, numbers too large to be squared or exponentiated"
)
CODE = "diverged"


def explain(run: TrainingRun, seen: Divergence, step: int, epoch: float, indices: np.ndarray, rate: float) -> TrainingError:
    """The error of a training that diverged at `step` (fractional `epoch`), whose batch has the records `indices` (n,), at the
    learning rate `rate`."""
    if step < 1:
        return TrainingError(
            "The weights that the training started from hold NaN or infinity.",
            advice="Start from another snapshot or file, or look at how the network text sets its first weights.",
            code=CODE,
        )
    message = f"The training diverged {'by' if seen.late else 'at'} step {step} (epoch {epoch:.2f}): {_what(seen)}."
    cause, advice = _cause(run, seen, indices, rate)
    return TrainingError(f"{message} {cause}".strip(), advice=advice, code=CODE)


def _cause(run: TrainingRun, seen: Divergence, indices: np.ndarray, rate: float) -> tuple[str, str]:
    """What led to it, as far as it can be seen, and what to try."""
    found = _bad_record(run, indices)
    if found:
        return found, "Correct that entry or leave it out, and create the data set again."
    lower = rate_advice(run, rate)
    if seen.scaled and seen.finite_weights:
        return (
            "The weights are numbers: values beyond 65,504 overflow in half precision (16-mixed).",
            "Train with bf16-mixed or 32-true precision. If it still diverges, try decreasing your learning rate.",
        )
    if seen.origin is not None and seen.origin.of_forward and _was_small(seen) and not _is_large(seen.origin):
        return _of_forward(seen.origin), f"Look there for {WHERE_NONE_ARISE}. {lower}"
    if seen.own_loss and seen.finite_weights and _was_small(seen):
        return _of_loss(seen), f"Look there for {WHERE_NONE_ARISE}."
    if seen.spoilt is not None and _has_no_gradient(seen, seen.spoilt):
        return _of_gradient(seen, seen.spoilt), f"Look for {WHERE_NONE_ARISE}, in the network and its loss. {lower}"
    if seen.afterwards and not seen.finite_weights and _was_small(seen):
        return f"{_grown(seen, rate)} Or the network's own forward or loss made it.", f"{lower} Else look for {WHERE_NONE_ARISE}."
    return _grown(seen, rate), lower


def _was_small(seen: Divergence) -> bool:
    """Whether the loss had not grown before."""
    return seen.before is None or abs(seen.before) < LARGE


def _is_large(origin: Origin) -> bool:
    return origin.largest_weight >= LARGE_WEIGHT or origin.largest_input >= LARGE


def _of_forward(origin: Origin) -> str:
    where = f"in layer {origin.layer} ({origin.kind})" if origin.layer else "outside of its layers"
    largest = f"the largest weight is {origin.largest_weight:.2g}, the largest input {origin.largest_input:.2g}"
    return f"The network's own forward makes {origin.value} {where}, of weights and input that are numbers: {largest}."


def _of_loss(seen: Divergence) -> str:
    maker = "forward or loss" if seen.origin is None else "loss"
    before = "The weights" if seen.before is None else f"The loss before it was {seen.before:.4g} and the weights"
    return f"{before} are numbers, so the network text's own {maker} made it."


def _has_no_gradient(seen: Divergence, spoilt: Spoilt) -> bool:
    """A step along gradients that are numbers, however large, makes infinite weights of finite ones, and not NaN."""
    small = seen.loss is not None and abs(seen.loss) < LARGE
    return seen.of_weights and small and spoilt.nan > 0 and not spoilt.span.infinite and spoilt.span.largest < LARGE_WEIGHT


def _of_gradient(seen: Divergence, spoilt: Spoilt) -> str:
    which = "all weights" if spoilt.nan == spoilt.of else f"{spoilt.nan} of {spoilt.of} weights, the last of them {spoilt.last},"
    return f"Its loss was {seen.loss:.4g}, but its gradients were no numbers: {which} hold NaN."


def rate_advice(run: TrainingRun, rate: float) -> str:
    """Which learning rate to try: a tenth of the one that was too high, but not beyond what is usual for the solver; where the
    policy had raised it to `rate`, that."""
    base, solver = run.spec.learning_rate.base, run.spec.solver.type
    wanted = min(base / 10, USUAL_RATES.get(solver, base / 10))
    if rate > 1.5 * base:
        return f"Try decreasing your learning rate: its policy made {rate:g} of {base:g}, so look at its parameters first."
    return f"Try decreasing your learning rate: {wanted:.2g} instead of {base:g}. A warm-up may help too."


def _grown(seen: Divergence, rate: float) -> str:
    if seen.before is not None and not seen.of_weights:
        return f"The loss of the step before was {seen.before:.4g}: at a learning rate of {rate:g} the steps grew beyond bounds."
    if seen.of_weights and seen.loss is not None:
        return f"Its loss was {seen.loss:.4g}: the step that followed, at a learning rate of {rate:g}, went beyond bounds."
    return ""


def _bad_record(run: TrainingRun, indices: np.ndarray) -> str:
    """Which record of the batch holds NaN or infinity; empty where none does."""
    for index in indices.tolist():
        parts = {"values": run.train.feature(index), "label": _label(run.train, index)}
        for name, values in parts.items():
            bad = _count(values)
            if bad:
                what = f"holds {counted(bad, 'value')} that {'is' if bad == 1 else 'are'} no number (NaN or infinite)"
                return f"{_name(run.train, index)} {what if name == 'values' else 'has a label that ' + what}."
    return ""


def _label(records: Records, index: int) -> Any:
    labels = records.labels(np.array([index]))
    return None if labels is None else labels[0]


def _count(values: Any) -> int:
    array: np.ndarray = np.asarray(values) if values is not None else np.zeros(0)
    if array.dtype.names is not None:
        return sum(_count(array[name]) for name in COORDINATES)
    return int(np.count_nonzero(~np.isfinite(array))) if array.dtype.kind == "f" else 0


def _name(records: Records, index: int) -> str:
    """A record as the pages name it, with its file where the data set knows it."""
    where = {str(records.column(name, np.array([index]))[0] or "") for name in ("key", "source")} - {""}
    known = f" ({', '.join(sorted(where, key=len))})" if where else ""
    return f"Record {index} of the training split{known}"


def _what(seen: Divergence) -> str:
    if seen.of_outputs:
        return f"with the weights after it all {counted(seen.of_outputs, 'output')} of the validation and the loss are no numbers"
    if seen.of_validation:
        return "with the weights after it the loss of the validation and that of the training are no numbers"
    if seen.of_weights:
        return "the weights after it hold NaN or infinity"
    which = f"its loss{'es' if len(seen.which) > 1 else ''} {' and '.join(seen.which)}" if seen.which else "its loss"
    return f"{which} {'are' if len(seen.which) > 1 else 'is'} {_word(seen.loss)}"


def _word(loss: float | None) -> str:
    if loss is None or np.isnan(loss):
        return "not a number (NaN)"
    return "infinite"
