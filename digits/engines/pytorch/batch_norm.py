"""Batch normalisation over the shares that several ranks have of a batch: the numbers of one process with the whole batch.

It takes the place of `torch.nn.functional.batch_norm` in a forward pass, whichever module or text calls it. torch's own
SyncBatchNorm refuses the CPU, counts what stands in for a missing share, and replaces modules of libraries that do more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class SharedBatchNorm(TorchFunctionMode):
    """Inside the block, normalisations in training mode are over all ranks; all enter it with the same network. Without `counts`
    what this rank feeds its network stands in for a share that it does not have."""

    def __init__(self, counts: bool) -> None:
        super().__init__()
        self.counts = counts

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[Any], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is not F.batch_norm:
            return func(*args, **(kwargs or {}))
        return self._batch_norm(*args, **(kwargs or {}))

    def _batch_norm(
        self,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if not training:
            return F.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
        mean, variance, count = joined_statistics(x.detach(), self.counts)
        is_enough = self.counts and x.numel() > x.shape[1]  # known without waiting for a GPU
        if not is_enough and float(count) <= 1:
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {x.shape}")
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((variance * count / (count - 1)).to(running_var.dtype), momentum)
        return _Normalise.apply(x, weight, bias, mean, variance, count, eps, self.counts)


def joined_statistics(x: Tensor, counts: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and (biased) variance (C,) of each channel of x (N, C, …) over all ranks, and the count of its values, ()."""
    values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    variance, mean = torch.var_mean(values, _axes(x), correction=0)  # (C,)
    count = x.numel() // x.shape[1] if counts else 0
    own = torch.cat([mean.new_full((1,), count, dtype=torch.float64), mean.double(), variance.double()])
    if not counts:
        own.zero_()  # what stands in may be no number
    found = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(found, own)
    shares = torch.stack(found)  # (ranks, 1 + 2C)
    counted = shares[:, :1]
    means, variances = shares[:, 1:].chunk(2, dim=1)
    total = counted.sum()
    mean_of_all = (counted * means).sum(0) / total
    spread = (counted * (variances + (means - mean_of_all) ** 2)).sum(0) / total  # Chan 1979
    return mean_of_all.to(mean.dtype), spread.to(mean.dtype), total


class _Normalise(torch.autograd.Function):
    """(x − mean) / √(variance + eps) · weight + bias, whose gradient knows that mean and variance are those of all ranks' x."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        count: Tensor,
        eps: float,
        counts: bool,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, torch.rsqrt(variance + eps))
        ctx.count, ctx.counts, ctx.has_bias = count, counts, bias is not None
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        x, weight, mean, inverse = ctx.saved_tensors
        shape, axes = (1, -1, *[1] * (x.ndim - 2)), _axes(x)
        gradient = gradients[0].to(mean.dtype)
        normal = (x.to(mean.dtype) - mean.view(shape)) * inverse.view(shape)  # (N, C, …)
        sums = torch.stack([gradient.sum(axes), (gradient * normal).sum(axes)])  # (2, C)
        if not ctx.counts:
            sums = torch.zeros_like(sums)
        own = sums.clone()
        dist.all_reduce(sums)
        means = sums / ctx.count
        factor = (inverse if weight is None else inverse * weight).view(shape)
        found = factor * (gradient - means[0].view(shape) - normal * means[1].view(shape))
        if not ctx.counts:
            found = torch.zeros_like(found)
        to_weight = None if weight is None else own[1].to(weight.dtype)
        to_bias = own[0].to(mean.dtype) if ctx.has_bias else None
        return found.to(x.dtype), to_weight, to_bias, None, None, None, None, None


def _axes(x: Tensor) -> list[int]:
    return [0, *range(2, x.ndim)]
