"""Attention rollout (Abnar and Zuidema, 2020): how much each patch of a picture reaches the answer of a vision transformer.

The attention of a block, averaged over its heads, and the way around it count half each; the blocks are multiplied. Known are
blocks of timm (whose fused attention, which shows no weights, is off meanwhile) and `nn.MultiheadAttention`, as torchvision has.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from digits.errors import BadRequest

NO_ATTENTION = "The network has no attention that is known: blocks of timm's vision transformers or nn.MultiheadAttention."
IN_WINDOWS = (
    "Its attention is not among all patches (windows, or several resolutions), so it cannot be followed through the blocks."
)
PREFIXES = (1, 0, 2, 5)  # tokens before those of the patches: a class token, none, one of a teacher, registers


def attention_parts(module: nn.Module) -> list[nn.Module]:
    """The modules whose attention can be recorded."""
    return [part for part in module.modules() if isinstance(part, nn.MultiheadAttention) or _is_of_timm(part)]


def rollout(module: nn.Module, x: Tensor) -> Tensor:
    """The map (h', w') of patches for one picture (1, C, h, w). BadRequest where the network has no attention, or in windows."""
    maps: list[Tensor] = []
    with _recorded(module, maps), torch.inference_mode():
        module(x)
    if not maps:
        raise BadRequest(NO_ATTENTION)
    tokens = maps[0].shape[-1]
    if any(one.shape[0] != 1 or tuple(one.shape[-2:]) != (tokens, tokens) for one in maps):
        raise BadRequest(IN_WINDOWS)
    around = torch.eye(tokens, device=x.device)
    joint = around
    for one in maps:  # (1, heads, T, T)
        mixed = (one[0].float().mean(dim=0) + around) / 2
        joint = (mixed / mixed.sum(dim=1, keepdim=True)) @ joint
    prefix, (rows, columns) = _grid(module, tokens, x.shape[2] / x.shape[3])
    reached = joint[0] if prefix and _answers_by_token(module) else joint[prefix:].mean(dim=0)
    return reached[prefix:].reshape(rows, columns)


def _is_of_timm(part: nn.Module) -> bool:
    return hasattr(part, "fused_attn") and isinstance(getattr(part, "attn_drop", None), nn.Module)


@contextlib.contextmanager
def _recorded(module: nn.Module, maps: list[Tensor]) -> Iterator[None]:
    parts = attention_parts(module)
    handles, fused = [], [(part, part.fused_attn) for part in parts if _is_of_timm(part)]
    try:
        for part in parts:
            if _is_of_timm(part):
                part.fused_attn = False
                handles.append(part.attn_drop.register_forward_hook(_keep_first(maps)))
            else:
                handles.append(part.register_forward_pre_hook(_with_weights, with_kwargs=True))
                handles.append(part.register_forward_hook(_keep_second(maps)))
        yield
    finally:
        for handle in handles:
            handle.remove()
        for part, was in fused:
            part.fused_attn = was


def _keep_first(maps: list[Tensor]) -> Any:
    return lambda _module, _inputs, output: maps.append(output.detach())


def _keep_second(maps: list[Tensor]) -> Any:
    return lambda _module, _inputs, output: maps.append(output[1].detach())


def _with_weights(_module: nn.Module, inputs: Any, options: dict[str, Any]) -> Any:
    return inputs, {**options, "need_weights": True, "average_attn_weights": False}


def _grid(module: nn.Module, tokens: int, aspect: float) -> tuple[int, tuple[int, int]]:
    """How many tokens stand before those of the patches, and the patches' rows and columns, for pictures of an aspect h / w."""
    declared = [part.num_prefix_tokens for part in module.modules() if isinstance(getattr(part, "num_prefix_tokens", None), int)]
    for prefix in (*declared, *PREFIXES):
        patches = tokens - prefix
        rows = round((patches * aspect) ** 0.5) if patches > 0 else 0
        if rows and patches % rows == 0 and abs(patches / rows**2 * aspect - 1) < 0.5:
            return prefix, (rows, patches // rows)
    raise BadRequest(IN_WINDOWS)


def _answers_by_token(module: nn.Module) -> bool:
    """Whether the first token is what the answer is made of; timm's networks say so."""
    pools = [part.global_pool for part in module.modules() if isinstance(getattr(part, "global_pool", None), str)]
    return not pools or pools[0] in ("token", "")
