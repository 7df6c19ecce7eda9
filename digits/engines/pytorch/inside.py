"""Arrays of the layers of a torch module: what each holds, what it gave for a picture, vectors of pictures, random weights."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from digits.domain.inside import INPUT_LAYER
from digits.engines.base import without_batch
from digits.engines.inside import NO_PICTURE, NO_TENSOR, NOT_USED, LayerArrays, check_layer, pooled
from digits.engines.pytorch.build import WHOLE, layers_of
from digits.errors import BadRequest

Outputs = dict[str, list[dict[str, Tensor]]]  # of each layer, what each of its uses gave


def layer_arrays(module: nn.Module, x: Tensor | None, names: Collection[str] | None) -> list[LayerArrays]:
    """The layers of those names, for a picture (1, C, h, w) what they gave; the picture itself is the first."""
    parts = [(name or WHOLE, child) for name, child in layers_of(module)]
    if names is not None:
        for name in names:
            check_layer(name, [INPUT_LAYER, *(known for known, _ in parts)])
    wanted = [(name, child) for name, child in parts if names is None or name in names]
    found: Outputs = {}
    data = [] if x is None else [LayerArrays(INPUT_LAYER, "Input", 0, activations={"output": _array(x[0]).copy()})]
    if x is not None:
        with recorded(wanted, found, kept=True):
            module(x)
    chosen = data if names is None or INPUT_LAYER in names else []
    return [*chosen, *(_layer(name, child, found.get(name), x is not None) for name, child in wanted)]


@contextlib.contextmanager
def recorded(parts: Collection[tuple[str, nn.Module]], found: Outputs, *, kept: bool = False) -> Iterator[None]:
    """In the block `found` gets what each of the parts gives, in the order of their first work; `kept` as it was at that moment,
    whatever writes over it later, as an activation in place does."""
    handles = [child.register_forward_hook(_recorder(found, name, kept)) for name, child in parts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _recorder(found: Outputs, name: str, kept: bool) -> Any:
    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        given = [value for value in _flat(output) if isinstance(value, Tensor)]
        tensors = [value.detach().clone() for value in given] if kept else given
        found.setdefault(name, []).append({f"output{i or ''}": value for i, value in enumerate(tensors)})

    return hook


def _flat(value: Any) -> Iterator[Any]:
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else None
    if parts is None:
        yield value
        return
    for part in parts:
        yield from _flat(part)


def _layer(name: str, module: nn.Module, uses: list[dict[str, Tensor]] | None, has_picture: bool) -> LayerArrays:
    activations = {key: without_batch(_array(value)) for key, value in uses[-1].items()} if uses else {}
    reason = "" if activations else NO_PICTURE if not has_picture else NOT_USED if uses is None else NO_TENSOR
    note = f"The network used it {len(uses)} times; shown is the last." if uses and len(uses) > 1 else ""
    parameters = sum(0 if is_lazy(p) else p.numel() for p in module.parameters(recurse=False))
    return LayerArrays(name, type(module).__name__, parameters, _weights(module), activations, reason, note)


def _weights(module: nn.Module) -> dict[str, np.ndarray]:
    """Its own parameters and other arrays of numbers; what it multiplies by first."""
    own: dict[str, Any] = {**dict(module.named_parameters(recurse=False)), **dict(module.named_buffers(recurse=False))}
    main = own if "weight" in own else {}
    weight = getattr(module, "weight", None)
    if isinstance(weight, Tensor) and not main:  # computed from others, as by a weight norm
        own = {"weight": weight, **own}
    named = sorted(own.items(), key=lambda item: item[0] != "weight")
    return {
        name: _array(value)
        for name, value in named
        if isinstance(value, Tensor) and not is_lazy(value) and value.is_floating_point()
    }


def _array(value: Tensor) -> np.ndarray:
    return value.detach().float().cpu().numpy()


@contextlib.contextmanager
def random_weights(module: nn.Module, seed: int) -> Iterator[None]:
    """As `LooksInside.random_weights`."""
    parameters = [p for p in module.parameters() if p.is_floating_point()]
    before = [p.detach().clone() for p in parameters]
    generator = torch.Generator(parameters[0].device if parameters else "cpu").manual_seed(seed)
    try:
        with torch.no_grad():
            for p in parameters:
                deviation = float(p.std(correction=0)) if p.numel() > 1 else 0.0
                p.normal_(float(p.mean()), deviation, generator=generator) if np.isfinite(deviation) else p.zero_()
        yield
    finally:
        with torch.no_grad():
            for p, values in zip(parameters, before, strict=True):
                p.copy_(values)


def vectors(module: nn.Module, x: Tensor, layer: str) -> np.ndarray:
    """Vectors (N, D) float32 of network input (N, C, h, w): what a layer gave for it, averaged over places or tokens."""
    parts = [(name or WHOLE, child) for name, child in layers_of(module)]
    check_layer(layer, [name for name, _ in parts])
    found: Outputs = {}
    with recorded([part for part in parts if part[0] == layer], found, kept=True), torch.inference_mode():
        module(x)
    value = next(iter(found[layer][-1].values()), None) if layer in found else None
    if value is None or value.ndim < 2 or len(value) != len(x):
        raise BadRequest(f"{layer} gives no array for each picture.", advice="Choose another layer.")
    return pooled(_array(value))


def vector_layer(module: nn.Module, x: Tensor, *, of_places: bool) -> str:
    """The layer that works right before the last one that was learnt, for input (1, C, h, w); of a network whose answer lies over
    the picture that with the smallest maps."""
    parts = [(name or WHOLE, child) for name, child in layers_of(module)]
    found: Outputs = {}
    with recorded(parts, found), torch.inference_mode():
        module(x)
    by_name = dict(parts)
    shapes = [(name, value.shape) for name, uses in found.items() for value in list(uses[-1].values())[:1]]
    usable = [(name, shape) for name, shape in shapes if len(shape) > 1 and shape[0] == len(x)]
    if of_places:
        maps = [(name, shape) for name, shape in usable if len(shape) == 4]
        sizes = [int(np.prod(shape[2:])) for _, shape in maps]
        if maps:
            return [name for (name, _), size in zip(maps, sizes, strict=True) if size == min(sizes)][-1]
    learnt = [place for place, (name, _) in enumerate(usable) if next(by_name[name].parameters(recurse=False), None) is not None]
    if not usable:
        raise BadRequest("No layer gives an array for each picture.")
    return usable[max(0, learnt[-1] - 1) if learnt else -1][0]
