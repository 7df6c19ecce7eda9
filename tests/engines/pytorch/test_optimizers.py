"""Every solver takes the same steps in both engines; AdaGrad with dual averaging is what its formula says."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchvision  # noqa: F401 - its native parts cannot be loaded after TensorFlow's

from digits.domain.training import SOLVERS, Solver
from digits.engines.pytorch import optimizers as torch_solvers

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")

RATES = (0.1, 0.1, 0.02, 0.02, 0.0, 0.004, 0.004)
TINY = [Solver(name, weight_decay=0.0) for name in SOLVERS] + [Solver("RMSPROP", momentum=0.9), Solver("SGD", momentum=0.0)]
WITH_TENSORFLOW = pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
Gradient = Callable[[np.ndarray, int], np.ndarray]


def gradients(weights: np.ndarray, step: int) -> np.ndarray:
    """Of a bowl whose bottom moves, so that every step has another gradient."""
    return (weights - 0.1 * step).astype(np.float32)


@pytest.fixture
def start() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(4, 3)).astype(np.float32)


def torch_steps(solver: Solver, start: np.ndarray, gradient: Gradient = gradients) -> list[np.ndarray]:
    weights = torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = torch_solvers.make_optimizer(solver, RATES[0], [weights], fused=False)
    seen = []
    for step, rate in enumerate(RATES):
        for group in optimizer.param_groups:
            group["lr"] = rate
        weights.grad = torch.from_numpy(gradient(weights.detach().numpy(), step))
        optimizer.step()
        seen.append(weights.detach().numpy().copy())
    return seen


def keras_steps(solver: Solver, start: np.ndarray, gradient: Gradient = gradients) -> list[np.ndarray]:
    from digits.engines.tensorflow.optimizers import make_optimizer
    from digits.engines.tensorflow.start import keras

    weights = keras.Variable(start)
    optimizer, decay = make_optimizer(solver, RATES[0])
    optimizer.build([weights])
    seen = []
    for step, rate in enumerate(RATES):
        optimizer.learning_rate.assign(rate)
        now = weights.numpy()
        optimizer.apply([keras.ops.convert_to_tensor(gradient(now, step) + np.float32(decay) * now)], [weights])
        seen.append(weights.numpy().copy())
    return seen


@WITH_TENSORFLOW
@pytest.mark.parametrize("name", SOLVERS)
def test_both_engines_take_the_same_steps(name: str, start: np.ndarray) -> None:
    solver = Solver(name, weight_decay=0.01)
    for one, other in zip(torch_steps(solver, start), keras_steps(solver, start), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@WITH_TENSORFLOW
@pytest.mark.parametrize("solver", TINY, ids=lambda solver: f"{solver.type} {solver.momentum}")
@pytest.mark.parametrize("size", [1.0, 1e-5, 1e-7])
def test_both_engines_take_the_same_steps_at_tiny_gradients(solver: Solver, size: float, start: np.ndarray) -> None:
    """Epsilon, which differs by where it is added, decides about steps of small gradients."""
    nought = np.zeros_like(start)
    ours, theirs = (
        steps(solver, nought, gradient=lambda _weights, step: np.float32(size) * (start + step))
        for steps in (torch_steps, keras_steps)
    )
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5 * np.abs(one).max())


def test_dual_averaging_is_its_formula(start: np.ndarray) -> None:
    weights, total, squares = start.astype(np.float64), 0.0, 0.1
    for step, (rate, found) in enumerate(zip(RATES, torch_steps(Solver("ADAGRADDA"), start), strict=True)):
        gradient = gradients(weights, step).astype(np.float64)
        total, squares = total + rate * gradient, squares + gradient**2
        weights = start - total / np.sqrt(squares)
        np.testing.assert_allclose(found, weights, rtol=1e-5, atol=1e-6)
