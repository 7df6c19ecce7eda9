"""The gradients of a group of accumulated batches, on one rank or several: those of the mean over everything that counts in it.

Holds: while a group is open, a parameter's gradient is that of the mean so far (never of a sum, which may not fit half
precision), of which each rank has its summand; the batch that closes it adds them up. Nothing here waits for a GPU but `close`,
and that only where the weight may be 0 and only for the forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from digits.engines.network.losses import SameParts
from digits.engines.pytorch.exchange import gather, sum_gradients
from digits.engines.training.totals import LossPart, LossValue


class GroupGradients:
    """Gradients of `parameters`. `backward(scalar, **options)` is torch's or Fabric's."""

    def __init__(self, parameters: Sequence[Tensor], backward: Callable[..., None], device: torch.device, world: int) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        self.backward, self.device, self.world = backward, device, world
        self.on_gpu = device.type == "cuda"
        self.weights: list[Any] = []  # of each part of the loss, so far in this group, on all ranks
        self.means: list[list[Tensor | None]] = []  # gradients of each part, where there are several
        self.is_open = False  # whether gradients of batches before wait for the one that closes the group
        self.same, self.agreed = SameParts(), False  # on what the parts of the loss are, over all ranks

    def add(self, loss: LossValue, counts: bool) -> Callable[[], bool]:
        """A batch after which others follow; without `counts` it weighs nothing. What comes back says that no step is due."""
        parts, before = self._parts(loss, counts), self._before(loss)
        now = [old + new for old, new in zip(before, self._over_ranks(parts), strict=True)]
        for i, part in enumerate(parts):
            if len(parts) > 1:
                self._exchange(self.means[i])
            self._scale(before[i] * _inverse(now[i]))
            self._descend(part.sum, _inverse(now[i]) if counts else 0.0, retain_graph=i < len(parts) - 1)
            if len(parts) > 1:
                self.means[i] = [p.grad for p in self.parameters]
        self.weights, self.is_open = now, True
        return lambda: False

    def close(self, loss: LossValue, counts: bool) -> Callable[[], bool]:
        """The last batch of a group. The gradients are those of the mean over the group and all ranks; what comes back says
        whether anything counted."""
        parts, before = self._parts(loss, counts), self._before(loss)
        whole = [old + new for old, new in zip(before, self._over_ranks(parts), strict=True)]
        factors = [_inverse(weight) for weight in whole]
        moves = self._counts(whole)
        if self.is_open:
            self._join([old * factor for old, factor in zip(before, factors, strict=True)])
        terms = [
            _over(part, weight, factor)
            for part, weight, factor in zip(parts, whole, factors, strict=True)
            if isinstance(factor, Tensor) or factor
        ]
        if terms:
            self._descend(sum(terms[1:], terms[0]), 1.0 if counts else 0.0)
        if self.world > 1:
            sum_gradients(self.parameters)
        self.weights, self.means, self.is_open = [], [], False
        return moves

    def clear(self) -> None:
        """After a step: what `Optimizer.zero_grad` does, without what that costs around it."""
        for parameter in self.parameters:
            parameter.grad = None

    def _parts(self, loss: LossValue, counts: bool) -> list[LossPart]:
        """The parts with their weights as numbers wherever that costs no waiting."""
        if not counts:
            return [LossPart(part.sum, 0.0) for part in loss.parts]
        return [part if part.is_mean else LossPart(part.value, self._known(part.weight)) for part in loss.parts]

    def _known(self, weight: Any) -> Any:
        return weight.float() if self.on_gpu and isinstance(weight, Tensor) else float(weight)

    def _before(self, loss: LossValue) -> list[Any]:
        """What each part weighed before; a group begins with nothing."""
        if not self.agreed and self.world > 1:
            for names in gather(loss.names):
                self.same.check(names)
        self.agreed = True
        missing = len(loss.parts) - len(self.weights)
        self.weights += [0.0] * missing
        self.means += [[None] * len(self.parameters) for _ in range(missing)]
        return self.weights

    def _descend(self, total: Tensor, factor: Any, **options: Any) -> None:
        """Backward of `total` times `factor`: as a product, since `backward(gradient=…)` would load SymPy at the first step. What
        counts 0 here is left out, unless other ranks wait for the exchanges of this one."""
        if isinstance(factor, Tensor):
            total = total * factor.to(total.dtype)
        elif factor != 1.0:
            if factor == 0 and self.world == 1:
                return
            total = total * factor
        self.backward(total, **options)

    def _scale(self, factor: Any) -> None:
        found = [p.grad for p in self.parameters if p.grad is not None]
        if found:
            torch._foreach_mul_(found, factor)

    def _exchange(self, gradients: Sequence[Tensor | None]) -> None:
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient

    def _join(self, factors: list[Any]) -> None:
        """Bring the gradients of the parts so far together, each times its factor."""
        if len(factors) == 1:
            self._scale(factors[0])
            return
        sums: list[Tensor | None] = [None] * len(self.parameters)
        for gradients, factor in zip(self.means, factors, strict=True):
            for i, gradient in enumerate(gradients):
                if gradient is not None:
                    sums[i] = gradient * factor if sums[i] is None else sums[i] + gradient * factor
        self._exchange(sums)

    def _over_ranks(self, parts: list[LossPart]) -> list[Any]:
        """How much each part of the loss of a batch weighs on all ranks together. They must scale alike at every batch, for what
        one of them normalises depends on all."""
        own = [part.weight for part in parts]
        if self.world == 1:
            return own
        options = {"dtype": torch.float64, "device": self.device}
        weights = torch.stack([w.double() if isinstance(w, Tensor) else torch.full((), w, **options) for w in own])
        dist.all_reduce(weights)
        return list(weights) if self.on_gpu else weights.tolist()

    def _counts(self, weights: list[Any]) -> Callable[[], bool]:
        """Whether any is not 0, to be called once the backward pass is on its way: a GPU's numbers are read beside it."""
        known = [w for w in weights if not isinstance(w, Tensor)]
        unknown = [w for w in weights if isinstance(w, Tensor)]
        if any(known) or not unknown:
            return lambda: any(known)
        found = torch.stack(unknown).to("cpu", non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()

        def anything() -> bool:
            arrived.synchronize()
            return bool((found != 0).any())

        return anything


def _over(part: LossPart, whole: Any, inverse: Any) -> Tensor:
    """The sum of a part divided by `whole`, whose inverse that is: most often the batch is the whole, and its mean at hand."""
    if not part.is_mean:
        return part.value * inverse
    is_all = not isinstance(whole, Tensor) and whole == part.weight
    return part.value if is_all else part.value * (part.weight * inverse)


def _inverse(weight: Any) -> Any:
    """1 / weight, and 0 of 0."""
    if not isinstance(weight, Tensor):
        return 1.0 / weight if weight else 0.0
    return torch.where(weight == 0, torch.zeros_like(weight), 1.0 / weight)
