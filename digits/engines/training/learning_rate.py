"""Learning-rate policies as pure functions of the training's progress; no framework needed, so the page draws them too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from digits.domain.training import LR_POLICIES, LearningRate
from digits.errors import BadRequest

POINTS = 101  # of a drawn curve: one per percent
FIRST = 0.01  # part of the rate that a warm-up begins with


def rate_at(rate: LearningRate, percent: float) -> float:
    """The learning rate at `percent` (0 to 100) of the training.

    Raises BadRequest for an unknown policy or a parameter that is no number.
    """
    if rate.policy not in LR_POLICIES:
        raise BadRequest(f"There is no learning-rate policy {rate.policy!r}.", advice=f"Choose one of {', '.join(LR_POLICIES)}.")
    return rate.base * _FACTORS[rate.policy](_parameters(rate), percent) * _warm(rate.warmup, percent)


def curve(rate: LearningRate, points: int = POINTS) -> list[float]:
    """The rate at `points` evenly spaced moments from 0 to 100 %."""
    return [rate_at(rate, 100.0 * i / (points - 1)) for i in range(points)]


def multistep_values(text: Any) -> tuple[float, ...]:
    """Percentages of `50, 85` or `[50, 85]` or a list of numbers, ascending. BadRequest where it is something else."""
    parts = text.strip().strip("[]").split(",") if isinstance(text, str) else text
    try:
        return tuple(sorted(float(part) for part in parts if str(part).strip()))
    except (TypeError, ValueError) as error:
        raise BadRequest(f"{text!r} is not a list of percentages.", advice="Write for example 50, 85.") from error


def _parameters(rate: LearningRate) -> dict[str, Any]:
    """Defaults with what was given laid over; a `lr_` before a name (as the form has it) is dropped, empty values too."""
    given = {name.removeprefix("lr_"): value for name, value in rate.parameters.items() if value not in (None, "")}
    known = LR_POLICIES[rate.policy].parameters
    merged = {name: given.get(name, default) for name, default in known.items()}
    return {name: value if name == "multistep_values" else _number(name, value) for name, value in merged.items()}


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise BadRequest(f"{name} is {value!r}, expected a number.") from error


def _warm(warmup: float, percent: float) -> float:
    """How warm the training is: rises evenly to 1 at `warmup` percent."""
    return FIRST + (1 - FIRST) * percent / warmup if percent < warmup else 1.0


def _step(p: Mapping[str, Any], i: float) -> float:
    if p["step_size"] <= 0:
        raise BadRequest(f"step_size is {p['step_size']}, expected more than 0 (percent of the training).")
    return p["step_gamma"] ** math.floor(i / p["step_size"])


def _multistep(p: Mapping[str, Any], i: float) -> float:
    return p["multistep_gamma"] ** sum(i >= value for value in multistep_values(p["multistep_values"]))


def _sigmoid(p: Mapping[str, Any], i: float) -> float:
    exponent = p["sigmoid_gamma"] * (i - p["sigmoid_step"])
    return 1.0 / (1.0 + math.exp(min(exponent, 700.0)))  # exp overflows beyond 709


_FACTORS = {
    "fixed": lambda p, i: 1.0,
    "step": _step,
    "multistep": _multistep,
    "exp": lambda p, i: p["exp_gamma"] ** i,
    "inv": lambda p, i: (1.0 + p["inv_gamma"] * i) ** -p["inv_power"],
    "poly": lambda p, i: (1.0 - min(i, 100.0) / 100.0) ** p["poly_power"],
    "sigmoid": _sigmoid,
    "cosine": lambda p, i: (1.0 + math.cos(math.pi * min(i, 100.0) / 100.0)) / 2.0,
}
