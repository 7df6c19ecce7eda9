"""Keras' optimizers with the formulas of PyTorch: a velocity is of gradients alone, so that a changed learning rate acts on the
whole next step, and epsilon is added to the root of mean squares, not to what the root is taken of."""

from __future__ import annotations

import math
from typing import Any

from digits.engines.tensorflow.start import keras

ops = keras.ops


class Momentum(keras.optimizers.SGD):
    """`v = μv − g`, `w += ηv`; with Nesterov's look ahead `w += η(μv − g)` (torch.optim.SGD, but for the sign of v)."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate, gradient = (ops.cast(value, variable.dtype) for value in (learning_rate, gradient))
        if not self.momentum:
            self.assign_sub(variable, rate * gradient)
            return
        velocity = self.momentums[self._get_variable_index(variable)]
        self.assign(velocity, self.momentum * velocity - gradient)
        self.assign_add(variable, rate * (self.momentum * velocity - gradient if self.nesterov else velocity))


class RMSprop(keras.optimizers.RMSprop):
    """`s = ρs + (1 − ρ)g²`, `v = μv + g / (√s + ε)`, `w −= ηv` (torch.optim.RMSprop, not centred)."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate, gradient = (ops.cast(value, variable.dtype) for value in (learning_rate, gradient))
        place = self._get_variable_index(variable)
        squares = self._velocities[place]
        self.assign(squares, self.rho * squares + (1 - self.rho) * ops.square(gradient))
        step = gradient / (ops.sqrt(squares) + self.epsilon)
        if self.momentum:
            self.assign(self._momentums[place], self.momentum * self._momentums[place] + step)
            step = self._momentums[place]
        self.assign_sub(variable, rate * step)


class Adagrad(keras.optimizers.Adagrad):
    """`s += g²`, `w −= ηg / (√s + ε)` (torch.optim.Adagrad)."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        rate, gradient = (ops.cast(value, variable.dtype) for value in (learning_rate, gradient))
        squares = self._accumulators[self._get_variable_index(variable)]
        self.assign_add(squares, ops.square(gradient))
        self.assign_sub(variable, rate * gradient / (ops.sqrt(squares) + self.epsilon))


class Adam(keras.optimizers.Adam):
    """`w −= η m̂ / (√ŝ + ε)` of the means without their bias (torch.optim.Adam)."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        _adam_step(self, gradient, variable, learning_rate)


class AdamW(keras.optimizers.AdamW):
    """As `Adam`; Keras takes the weight decay off the weights before it (torch.optim.AdamW)."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        _adam_step(self, gradient, variable, learning_rate)


def _adam_step(adam: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
    rate, gradient = (ops.cast(value, variable.dtype) for value in (learning_rate, gradient))
    place = adam._get_variable_index(variable)
    mean, squares = adam._momentums[place], adam._velocities[place]
    adam.assign_add(mean, (1 - adam.beta_1) * (gradient - mean))
    adam.assign_add(squares, (1 - adam.beta_2) * (ops.square(gradient) - squares))
    number = ops.cast(adam.iterations + 1, "float32")
    # 1 − βⁿ, of which a subtraction in float32 leaves four digits in the first steps
    biases = (-ops.expm1(number * math.log(beta)) for beta in (adam.beta_1, adam.beta_2))
    bias, squares_bias = (ops.cast(value, variable.dtype) for value in biases)
    adam.assign_sub(variable, rate / bias * mean / (ops.sqrt(squares / squares_bias) + adam.epsilon))
