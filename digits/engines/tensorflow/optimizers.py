"""Optimizers by the names of the form (R 3.2), with the defaults that the PyTorch engine has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from digits.domain.training import Solver
from digits.engines.tensorflow.dual_averaging import FIRST_SQUARES, AdagradDualAveraging
from digits.engines.tensorflow.start import keras
from digits.errors import TrainingError

# momentum None: the solver has none; weight decay is added to the gradient, but for AdamW, which takes it off the weights
DEFAULTS: dict[str, tuple[float | None, float]] = {
    "SGD": (0.9, 1e-4),
    "MOMENTUM": (0.9, 1e-4),
    "NESTEROV": (0.9, 1e-4),
    "ADAGRAD": (None, 0.0),
    "ADADELTA": (None, 0.0),
    "ADAM": (None, 0.0),
    "ADAMW": (None, 0.01),
    "RMSPROP": (0.0, 0.0),
    "FTRL": (None, 0.0),
    "ADAGRADDA": (None, 0.0),
}
SUPPORTED = tuple(DEFAULTS)


def make_optimizer(solver: Solver, rate: float, *, scaled: bool = False) -> tuple[Any, float]:
    """The optimizer, and the weight decay that is to be added to the gradients.

    `scaled` wraps it for half precision. Raises TrainingError for solvers that are not known.
    """
    if solver.type not in DEFAULTS:
        raise TrainingError(f"There is no solver {solver.type}.", advice=f"Choose one of {', '.join(SUPPORTED)}.", code="solver")
    momentum, decay = DEFAULTS[solver.type]
    momentum = momentum if solver.momentum is None else solver.momentum
    decay = decay if solver.weight_decay is None else solver.weight_decay
    optimizer = _MAKERS[solver.type](rate, momentum or 0.0, decay, solver)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer, 0.0 if solver.type == "ADAMW" else decay


def _sgd(rate: float, momentum: float, _decay: float, solver: Solver) -> Any:
    return keras.optimizers.SGD(rate, momentum=momentum, nesterov=solver.type == "NESTEROV" and momentum > 0)


def _adamw(rate: float, _momentum: float, decay: float, _solver: Solver) -> Any:
    return keras.optimizers.AdamW(rate, weight_decay=decay, epsilon=1e-8)


def _rmsprop(rate: float, momentum: float, _decay: float, solver: Solver) -> Any:
    return keras.optimizers.RMSprop(rate, rho=solver.rms_decay, momentum=momentum, epsilon=1e-8)


_MAKERS: dict[str, Callable[[float, float, float, Solver], Any]] = {
    "SGD": _sgd,
    "MOMENTUM": _sgd,
    "NESTEROV": _sgd,
    "ADAGRAD": lambda rate, _m, _d, _s: keras.optimizers.Adagrad(rate, initial_accumulator_value=0.0, epsilon=1e-10),
    "ADADELTA": lambda rate, _m, _d, _s: keras.optimizers.Adadelta(rate, rho=0.9, epsilon=1e-6),
    "ADAM": lambda rate, _m, _d, _s: keras.optimizers.Adam(rate, epsilon=1e-8),
    "ADAMW": _adamw,
    "RMSPROP": _rmsprop,
    "FTRL": lambda rate, _m, _d, _s: keras.optimizers.Adagrad(rate, initial_accumulator_value=FIRST_SQUARES, epsilon=1e-10),
    "ADAGRADDA": lambda rate, _m, _d, _s: AdagradDualAveraging(rate),
}
