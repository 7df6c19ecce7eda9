"""Optimizers by the names of the form (R 3.2), with their defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer

from digits.domain.training import Solver
from digits.engines.pytorch.dual_averaging import FIRST_SQUARES, AdagradDualAveraging
from digits.errors import TrainingError

# momentum None: the solver has none; weight decay: the field's usual value for nets trained from scratch
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


def make_optimizer(solver: Solver, rate: float, parameters: Iterable[torch.nn.Parameter], *, fused: bool) -> Optimizer:
    """The optimizer; `fused` requests the kernel that updates all weights at once where there is one.

    Raises TrainingError for solvers that are not known.
    """
    if solver.type not in DEFAULTS:
        raise TrainingError(f"There is no solver {solver.type}.", advice=f"Choose one of {', '.join(SUPPORTED)}.", code="solver")
    momentum, decay = DEFAULTS[solver.type]
    momentum = momentum if solver.momentum is None else solver.momentum
    decay = decay if solver.weight_decay is None else solver.weight_decay
    return _MAKERS[solver.type](list(parameters), rate, momentum, decay, solver, fused)


def _sgd(parameters: list[Any], rate: float, momentum: float, decay: float, solver: Solver, fused: bool) -> Optimizer:
    nesterov = solver.type == "NESTEROV" and momentum > 0
    return torch.optim.SGD(parameters, lr=rate, momentum=momentum, weight_decay=decay, nesterov=nesterov, fused=fused)


def _adagrad(parameters: list[Any], rate: float, _m: Any, decay: float, _s: Solver, fused: bool) -> Optimizer:
    return torch.optim.Adagrad(parameters, lr=rate, weight_decay=decay, fused=fused and not parameters[0].is_cuda)


def _ftrl(parameters: list[Any], rate: float, _m: Any, decay: float, _s: Solver, _fused: bool) -> Optimizer:
    """FTRL-Proximal without L1 and L2 terms, begun at the network's first weights, takes AdaGrad's steps (McMahan, 2011)."""
    return torch.optim.Adagrad(parameters, lr=rate, weight_decay=decay, initial_accumulator_value=FIRST_SQUARES)


def _adagradda(parameters: list[Any], rate: float, _m: Any, decay: float, _s: Solver, _fused: bool) -> Optimizer:
    return AdagradDualAveraging(parameters, rate, decay)


def _adadelta(parameters: list[Any], rate: float, _m: Any, decay: float, _s: Solver, _fused: bool) -> Optimizer:
    return torch.optim.Adadelta(parameters, lr=rate, weight_decay=decay)


def _adam(parameters: list[Any], rate: float, _m: Any, decay: float, _s: Solver, fused: bool) -> Optimizer:
    return torch.optim.Adam(parameters, lr=rate, weight_decay=decay, fused=fused)


def _adamw(parameters: list[Any], rate: float, _m: Any, decay: float, _s: Solver, fused: bool) -> Optimizer:
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=fused)


def _rmsprop(parameters: list[Any], rate: float, momentum: float, decay: float, solver: Solver, _fused: bool) -> Optimizer:
    return torch.optim.RMSprop(parameters, lr=rate, alpha=solver.rms_decay, momentum=momentum, weight_decay=decay)


_MAKERS: dict[str, Callable[..., Optimizer]] = {
    "SGD": _sgd,
    "MOMENTUM": _sgd,
    "NESTEROV": _sgd,
    "ADAGRAD": _adagrad,
    "ADADELTA": _adadelta,
    "ADAM": _adam,
    "ADAMW": _adamw,
    "RMSPROP": _rmsprop,
    "FTRL": _ftrl,
    "ADAGRADDA": _adagradda,
}
