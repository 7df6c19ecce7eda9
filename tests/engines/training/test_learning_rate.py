"""Learning-rate policies against the formulas of their definition."""

from __future__ import annotations

import math
from typing import Any

import pytest

from digits.domain.training import LearningRate
from digits.engines.training.learning_rate import curve, multistep_values, rate_at
from digits.errors import BadRequest


@pytest.mark.parametrize("percent", [0.0, 1.0, 32.9, 33.0, 50.0, 66.0, 85.0, 99.5, 100.0])
@pytest.mark.parametrize(
    ("policy", "parameters", "formula"),
    [
        ("fixed", {}, lambda i: 0.01),
        ("step", {}, lambda i: 0.01 * 0.1 ** math.floor(i / 33)),
        ("step", {"lr_step_size": "25", "lr_step_gamma": "0.5"}, lambda i: 0.01 * 0.5 ** math.floor(i / 25)),
        ("multistep", {}, lambda i: 0.01 * 0.5 ** ((i >= 50) + (i >= 85))),
        ("exp", {"exp_gamma": 0.9}, lambda i: 0.01 * 0.9**i),
        ("inv", {}, lambda i: 0.01 * (1 + 0.1 * i) ** -0.5),
        ("poly", {}, lambda i: 0.01 * (1 - i / 100) ** 3),
        ("sigmoid", {}, lambda i: 0.01 / (1 + math.exp(0.1 * (i - 50)))),
        ("cosine", {}, lambda i: 0.01 * math.cos(math.pi * i / 200) ** 2),
    ],
)
def test_rates_follow_the_formula(policy: str, parameters: dict[str, Any], formula: Any, percent: float) -> None:
    assert rate_at(LearningRate(0.01, policy, parameters), percent) == pytest.approx(formula(percent), abs=1e-15)


def test_a_warm_up_rises_evenly_to_the_policy() -> None:
    points = curve(LearningRate(1.0, "cosine", warmup=10))
    assert points[:10] == pytest.approx([(0.01 + 0.99 * i / 10) * math.cos(math.pi * i / 200) ** 2 for i in range(10)])
    assert points[10:] == curve(LearningRate(1.0, "cosine"))[10:]


def test_a_curve_has_a_point_per_percent() -> None:
    points = curve(LearningRate(1.0, "poly", {"poly_power": 1}))
    assert len(points) == 101
    assert points == pytest.approx([1 - i / 100 for i in range(101)])


@pytest.mark.parametrize("text", ["50, 85", "[50,85]", [85, 50]])
def test_multistep_values_are_read_in_every_form(text: Any) -> None:
    assert multistep_values(text) == (50.0, 85.0)


@pytest.mark.parametrize(
    "rate",
    [
        LearningRate(0.1, "bogus"),
        LearningRate(0.1, "step", {"step_size": 0}),
        LearningRate(0.1, "step", {"step_size": "x"}),
        LearningRate(0.1, "multistep", {"multistep_values": "a,b"}),
    ],
)
def test_what_makes_no_sense_is_refused(rate: LearningRate) -> None:
    with pytest.raises(BadRequest):
        rate_at(rate, 10.0)


def test_a_steep_sigmoid_does_not_overflow() -> None:
    assert rate_at(LearningRate(1.0, "sigmoid", {"sigmoid_gamma": 1e6}), 100.0) == pytest.approx(0.0)
