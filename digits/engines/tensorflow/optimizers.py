"""Optimizers by the names of the form (R 3.2), which take the steps that those of the PyTorch engine take.

Weight decay is added to the gradient, but for AdamW, which takes it off the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from digits.domain.training import FIRST_SQUARES, Solver
from digits.engines.tensorflow.dual_averaging import AdagradDualAveraging
from digits.engines.tensorflow.start import keras
from digits.engines.tensorflow.update_steps import Adagrad, Adam, AdamW, Momentum, RMSprop


def make_optimizer(solver: Solver, rate: float, *, scaled: bool = False) -> tuple[Any, float]:
    """The optimizer, and the weight decay that is to be added to the gradients.

    `scaled` wraps it for half precision. Raises TrainingError for solvers that are not known.
    """
    momentum, decay = solver.settled()
    optimizer = _MAKERS[solver.type](rate, momentum or 0.0, decay, solver)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer, 0.0 if solver.type == "ADAMW" else decay


def _sgd(rate: float, momentum: float, _decay: float, solver: Solver) -> Any:
    return Momentum(rate, momentum=momentum, nesterov=solver.type == "NESTEROV" and momentum > 0)


def _adamw(rate: float, _momentum: float, decay: float, _solver: Solver) -> Any:
    return AdamW(rate, weight_decay=decay, epsilon=1e-8)


def _rmsprop(rate: float, momentum: float, _decay: float, solver: Solver) -> Any:
    return RMSprop(rate, rho=solver.rms_decay, momentum=momentum, epsilon=1e-8)


_MAKERS: dict[str, Callable[[float, float, float, Solver], Any]] = {
    "SGD": _sgd,
    "MOMENTUM": _sgd,
    "NESTEROV": _sgd,
    "ADAGRAD": lambda rate, _m, _d, _s: Adagrad(rate, initial_accumulator_value=0.0, epsilon=1e-10),
    "ADADELTA": lambda rate, _m, _d, _s: keras.optimizers.Adadelta(rate, rho=0.9, epsilon=1e-6),
    "ADAM": lambda rate, _m, _d, _s: Adam(rate, epsilon=1e-8),
    "ADAMW": _adamw,
    "RMSPROP": _rmsprop,
    "FTRL": lambda rate, _m, _d, _s: Adagrad(rate, initial_accumulator_value=FIRST_SQUARES, epsilon=1e-10),
    "ADAGRADDA": lambda rate, _m, _d, _s: AdagradDualAveraging(rate),
}
