"""Which layer of a PyTorch network made values that are no numbers (see `engines.training.origin`); on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from digits.engines.training.origin import LayerPass, Origin, Span, Spoilt, origin_of, span_of, spoilt_of


def origin_in(module: nn.Module, forward: Callable[[], object]) -> Origin | None:
    """Call `forward`, which has `module` work on a batch; None where that cannot be watched."""
    passes: list[LayerPass] = []
    given: list[Span] = []  # of the layers that are at work: some change their input

    def before(_: nn.Module, values: Any, named: Any) -> None:
        given.append(span_of(_arrays([values, named])))

    def after(name: str) -> Callable[..., None]:
        return lambda layer, _, made: passes.append(LayerPass(name, type(layer).__name__, given.pop(), span_of(_arrays(made))))

    layers = list(module.named_modules())
    handles = [layer.register_forward_pre_hook(before, with_kwargs=True) for _, layer in layers]
    handles += [layer.register_forward_hook(after(name)) for name, layer in layers]
    try:
        with torch.no_grad():
            forward()
    except Exception:  # whatever a network does not bear twice: why it diverged is then said without this
        return None
    finally:
        for handle in handles:
            handle.remove()
    return origin_of(passes, span_of(array for _, array in _weights(module)).largest)


def spoilt_in(module: nn.Module) -> Spoilt:
    """What a step made of the weights."""
    return spoilt_of(_weights(module))


def _weights(module: nn.Module) -> Iterator[tuple[str, np.ndarray]]:
    return ((name, _array(p)) for name, p in module.named_parameters() if p.is_floating_point())


def _arrays(value: Any) -> Iterator[np.ndarray]:
    """The floating-point tensors (…) in nested values."""
    if isinstance(value, Tensor):
        yield from [_array(value)] if value.is_floating_point() else []
    elif isinstance(value, Mapping):
        yield from _arrays(list(value.values()))
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes | dict):
        for one in value:
            yield from _arrays(one)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to("cpu", torch.float64 if tensor.dtype == torch.float64 else torch.float32).numpy()
