"""Optimizers by the names of the form (R 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer

from digits.domain.training import FIRST_SQUARES, Solver
from digits.engines.pytorch.dual_averaging import AdagradDualAveraging


def make_optimizer(solver: Solver, rate: float, parameters: Iterable[torch.nn.Parameter], *, fused: bool) -> Optimizer:
    """The optimizer; `fused` requests the kernel that updates all weights at once where there is one.

    Raises TrainingError for solvers that are not known.
    """
    momentum, decay = solver.settled()
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
