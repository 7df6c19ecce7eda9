"""Every solver takes the same steps in both engines; AdaGrad with dual averaging is what its formula says."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
import torchvision  # noqa: F401 - its native parts cannot be loaded after TensorFlow's

from digits.domain.training import SOLVERS, Solver
from digits.engines.pytorch import optimizers as torch_solvers

RATES = (0.1, 0.1, 0.02, 0.02, 0.004, 0.004)
STEADY = (0.1,) * len(RATES)
MOMENTUM = ("SGD", "MOMENTUM", "NESTEROV")  # the velocity of Keras holds learning rates of earlier steps


def gradients(weights: np.ndarray, step: int) -> np.ndarray:
    """Of a bowl whose bottom moves, so that every step has another gradient."""
    return (weights - 0.1 * step).astype(np.float32)


@pytest.fixture
def start() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(4, 3)).astype(np.float32)


def torch_steps(solver: Solver, start: np.ndarray, rates: tuple[float, ...] = RATES) -> list[np.ndarray]:
    weights = torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = torch_solvers.make_optimizer(solver, rates[0], [weights], fused=False)
    seen = []
    for step, rate in enumerate(rates):
        for group in optimizer.param_groups:
            group["lr"] = rate
        weights.grad = torch.from_numpy(gradients(weights.detach().numpy(), step))
        optimizer.step()
        seen.append(weights.detach().numpy().copy())
    return seen


def keras_steps(solver: Solver, start: np.ndarray, rates: tuple[float, ...]) -> list[np.ndarray]:
    from digits.engines.tensorflow.optimizers import make_optimizer
    from digits.engines.tensorflow.start import keras

    weights = keras.Variable(start)
    optimizer, decay = make_optimizer(solver, rates[0])
    optimizer.build([weights])
    seen = []
    for step, rate in enumerate(rates):
        optimizer.learning_rate.assign(rate)
        now = weights.numpy()
        optimizer.apply([keras.ops.convert_to_tensor(gradients(now, step) + np.float32(decay) * now)], [weights])
        seen.append(weights.numpy().copy())
    return seen


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("name", SOLVERS)
def test_both_engines_take_the_same_steps(name: str, start: np.ndarray) -> None:
    solver = Solver(name, weight_decay=0.01)
    rates = STEADY if name in MOMENTUM else RATES
    for one, other in zip(torch_steps(solver, start, rates), keras_steps(solver, start, rates), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-4)


def test_dual_averaging_is_its_formula(start: np.ndarray) -> None:
    weights, total, squares = start.astype(np.float64), 0.0, 0.1
    for step, (rate, found) in enumerate(zip(RATES, torch_steps(Solver("ADAGRADDA"), start), strict=True)):
        gradient = gradients(weights, step).astype(np.float64)
        total, squares = total + rate * gradient, squares + gradient**2
        weights = start - total / np.sqrt(squares)
        np.testing.assert_allclose(found, weights, rtol=1e-5, atol=1e-6)
