"""Whether what a training keeps is finite: weights, statistics and the optimizer's own numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def watched(module: nn.Module) -> list[Tensor]:
    """The tensors (…) that must stay numbers: what is learnt, and what else was finite when the training began. Buffers such as
    masks may hold infinity by right."""
    learnt = [p for p in module.parameters() if p.requires_grad]
    others = [*(p for p in module.parameters() if not p.requires_grad), *module.buffers()]
    return [*learnt, *(tensor for tensor in others if all_finite([tensor]))]


@torch.no_grad()
def all_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether tensors (…) of one device hold neither NaN nor infinity; on a GPU one answer is waited for."""
    known = [tensor for tensor in tensors if tensor.is_floating_point() and tensor.numel()]
    if not known:
        return True
    if known[0].is_cuda:
        ends = list(torch._foreach_norm(known, torch.inf))  # of NaN it is NaN, and so are both ends
    else:
        ends = [end for tensor in known for end in torch.aminmax(tensor)]  # a CPU's norm takes six times as long
    return bool(torch.isfinite(torch.stack([end.double() for end in ends])).all())
