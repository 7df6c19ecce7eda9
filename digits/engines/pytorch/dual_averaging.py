"""AdaGrad with dual averaging for PyTorch; the other engines' `dual_averaging` does the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from digits.domain.training import FIRST_SQUARES


class AdagradDualAveraging(Optimizer):
    """`w = w₀ − Σ ηᵢgᵢ / √(0.1 + Σ gᵢ²)` (Duchi, Hazan and Singer, 2011, section 3, without a regularizer).

    Dual averaging about the first weights w₀, because about zero a deep network forgets them in one step; each gradient counts
    with the learning rate of its own step, because otherwise a falling rate would draw the weights back.
    """

    def __init__(self, params: Iterable[Any], lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["start"] = parameter.clone()
            state["sum"] = torch.zeros_like(parameter)
            state["squares"] = torch.full_like(parameter, FIRST_SQUARES)
        if group["weight_decay"]:
            gradient = gradient.add(parameter, alpha=group["weight_decay"])
        state["sum"].add_(gradient, alpha=group["lr"])
        state["squares"].addcmul_(gradient, gradient)
        parameter.copy_(state["start"] - state["sum"] / state["squares"].sqrt())
