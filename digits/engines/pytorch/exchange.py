"""What the ranks of a training exchange at a step: gradients, buffers of their networks, numbers.

Holds: every rank calls the same functions in the same order. Numbers and objects in the memory of the CPU go by gloo, so that
nothing waits for a GPU; tensors go where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.instancenorm import _InstanceNorm

BUCKET = 1 << 24  # numbers that are exchanged at once


def place() -> tuple[int, int]:
    """The number of this process among those of the training, from 0, and how many there are."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def sum_gradients(parameters: Sequence[Tensor]) -> None:
    """The gradients of `parameters`, of any shapes (…, n), become the sums over all ranks. One that only others have counts as 0
    here; that of a parameter which no rank used stays None, so that an optimizer leaves it alone, as on one process."""
    for bucket in _buckets(parameters):
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
        used = torch.tensor([float(p.grad is not None) for p in bucket], dtype=gradients[0].dtype, device=gradients[0].device)
        flat = torch.cat([*(gradient.reshape(-1) for gradient in gradients), used])
        dist.all_reduce(flat)
        pieces = flat[: -len(bucket)].split([p.numel() for p in bucket])
        torch._foreach_copy_(gradients, [piece.view_as(p) for piece, p in zip(pieces, bucket, strict=True)])
        if any(p.grad is None for p in bucket):
            for parameter, gradient, ranks in zip(bucket, gradients, flat[-len(bucket) :].tolist(), strict=True):
                parameter.grad = gradient if ranks else None


def share_buffers(module: nn.Module, records: int, *, average: bool) -> None:
    """Makes the buffers of all ranks equal, after a batch of which this rank had so many records. Those of normalisations become
    their means, each rank's as often as it had records (without `average` only where they are of each picture, since those of a
    batch are over all ranks already); all others are those of rank 0."""
    statistics, of_pictures, others = buffers_of(module)
    averaged = [*of_pictures, *(statistics if average else ())]
    if averaged:
        share = records / float(sum_numbers(np.array([records]))[0])
        for bucket in _buckets(averaged):
            flat = torch.cat([buffer.reshape(-1) for buffer in bucket])
            flat = flat * share if share else torch.zeros_like(flat)  # what stands in for a share may be no number
            dist.all_reduce(flat)
            _spread(flat, bucket)
    for bucket in _buckets(others):
        flat = torch.cat([buffer.reshape(-1) for buffer in bucket])
        dist.broadcast(flat, 0)
        _spread(flat, bucket)


def share_network(module: nn.Module) -> None:
    """Every rank begins with the weights and buffers of rank 0, also where a text builds its network by chance of its own."""
    with torch.no_grad():
        for bucket in _buckets([*module.parameters(), *module.buffers()]):
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in bucket])
            dist.broadcast(flat, 0)
            _spread(flat, bucket)


def buffers_of(module: nn.Module) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Running statistics (C,) of normalisations of batches and of those of each picture, where they learn, and the other buffers
    that are floating-point numbers, of any shapes."""
    norms = [child for child in module.modules() if isinstance(child, _NormBase) and child.training]
    found: tuple[list[Tensor], list[Tensor]] = [], []
    for norm in norms:
        found[isinstance(norm, _InstanceNorm)].extend(b for b in norm.buffers(recurse=False) if b.is_floating_point())
    known = {id(buffer) for buffers in found for buffer in buffers}
    return *found, [b for b in module.buffers() if b.is_floating_point() and id(b) not in known]


def sum_numbers(numbers: np.ndarray) -> np.ndarray:
    """The sum of `numbers` (n,) over all ranks, of their type."""
    tensor = torch.from_numpy(np.array(numbers))
    dist.all_reduce(tensor)
    return tensor.numpy()


def from_rank_0(flags: Sequence[bool]) -> tuple[bool, ...]:
    """What rank 0 says."""
    tensor = torch.tensor(flags, dtype=torch.uint8)
    dist.broadcast(tensor, 0)
    return tuple(bool(flag) for flag in tensor.tolist())


def gather(value: Any) -> list[Any]:
    """What each rank has, in their order; by pickle, between our own processes."""
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, value)
    return found


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Groups of one type, none much larger than it needs to be."""
    groups: dict[torch.dtype, list[list[Tensor]]] = {}
    for tensor in tensors:
        found = groups.setdefault(tensor.dtype, [[]])
        if found[-1] and sum(t.numel() for t in found[-1]) + tensor.numel() > BUCKET:
            found.append([])
        found[-1].append(tensor)
    for found in groups.values():
        yield from found


def _spread(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    for piece, tensor in zip(flat.split([t.numel() for t in tensors]), tensors, strict=True):
        tensor.copy_(piece.view_as(tensor))
