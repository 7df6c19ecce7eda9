"""AdaGrad with dual averaging for Keras; `digits.engines.pytorch.dual_averaging` has the same for PyTorch and says what it is."""

from __future__ import annotations

from typing import Any

from digits.domain.training import FIRST_SQUARES
from digits.engines.tensorflow.start import keras


class AdagradDualAveraging(keras.optimizers.Optimizer):
    """Of each variable: where it began, the sum of gradients times their learning rates, the sum of squared gradients."""

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        super().build(variables)
        self._starts = self.add_optimizer_variables(variables, "start")
        self._sums = self.add_optimizer_variables(variables, "sum")
        squares = keras.initializers.Constant(FIRST_SQUARES)
        self._squares = self.add_optimizer_variables(variables, "squares", initializer=squares)
        for start, variable in zip(self._starts, variables, strict=True):
            start.assign(variable)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        place = self._get_variable_index(variable)
        gradient = keras.ops.cast(gradient, variable.dtype)
        self.assign_add(self._sums[place], gradient * keras.ops.cast(learning_rate, variable.dtype))
        self.assign_add(self._squares[place], keras.ops.square(gradient))
        self.assign(variable, self._starts[place] - self._sums[place] / keras.ops.sqrt(self._squares[place]))
