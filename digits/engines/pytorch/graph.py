"""The graph of a PyTorch network for TensorBoard: what functions it calls for one picture, and what flows between them.

Each function of torch that a forward pass calls becomes a node, named by the module that calls it. Nothing is traced or compiled,
so a network that branches is shown as it ran this once; what leaves torch (NumPy, Python numbers) leaves the graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_flatten

from digits.engines.training.tensorboard import GraphNode

INPUT = "input"
UNSEEN = ("__get__", "__set__", "size", "dim", "numel", "is_floating_point", "shape")  # functions that compute nothing


def graph_of(module: nn.Module, x: Tensor) -> list[GraphNode]:
    """The nodes of a forward pass of `x` (N, C, H, W) float32, the input first."""
    scopes = {name: _scope_name(module, name) for name, _ in module.named_modules()}
    names = {}
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        owner, _, own = name.rpartition(".")
        names[id(value)] = _joined(scopes[owner], own)
    recorder = _Recorder(x, names)
    with ExitStack() as stack:
        for name, child in module.named_modules():
            stack.enter_context(_scope(recorder, scopes[name], child))
        stack.enter_context(recorder)
        module(x)
    return recorder.nodes


def _scope_name(module: nn.Module, name: str) -> str:
    """A module's path with slashes; what is only numbered, as in a Sequential, is called by its class too."""
    parts, path = [], ""
    for part in filter(None, name.split(".")):
        path = f"{path}.{part}" if path else part
        parts.append(f"{type(module.get_submodule(path)).__name__}_{part}" if part.isdigit() else part)
    return "/".join(parts)


def _joined(scope: str, name: str) -> str:
    return f"{scope}/{name}" if scope else name


class _Recorder(TorchFunctionMode):
    """Notes each call of a function of torch. `names` are those of parameters and buffers by id."""

    def __init__(self, x: Tensor, names: dict[int, str]) -> None:
        super().__init__()
        self.nodes = [GraphNode(INPUT, "Input", (), [tuple(x.shape)])]
        self.scopes: list[str] = []
        self._names = names
        self._made: dict[int, str] = {id(x): INPUT}
        self._kept: list[Any] = [x]  # an id is a tensor's own only while the tensor lives
        self._used: dict[str, int] = {INPUT: 1}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = function(*args, **(kwargs or {}))
        outputs = [value for value in tree_flatten(found)[0] if isinstance(value, Tensor)]
        name = (resolve_name(function) or getattr(function, "__name__", "")).rpartition(".")[2]
        if outputs and name not in UNSEEN:
            self._note(name.strip("_"), tree_flatten((args, kwargs or {}))[0], outputs)
        return found

    def _note(self, kind: str, values: list[Any], outputs: list[Tensor]) -> None:
        tensors = [value for value in values if isinstance(value, Tensor)]
        inputs = list(dict.fromkeys(source for value in tensors if (source := self._source(value))))
        name = self._free(_joined(self.scopes[-1] if self.scopes else "", kind))
        self.nodes.append(GraphNode(name, kind, tuple(inputs), [tuple(value.shape) for value in outputs]))
        self._made |= {id(value): name for value in outputs}
        self._kept += outputs

    def _source(self, value: Tensor) -> str:
        """The node that made a tensor; of a parameter a node of its own; empty for what came from elsewhere."""
        known = self._made.get(id(value), "")
        if known or id(value) not in self._names:
            return known
        name = self._free(self._names[id(value)])
        self.nodes.append(GraphNode(name, "Parameter", (), [tuple(value.shape)]))
        self._made[id(value)] = name
        return name

    def _free(self, name: str) -> str:
        """`name`, with a number where it is taken."""
        count = self._used[name] = self._used.get(name, 0) + 1
        return name if count == 1 else self._free(f"{name}_{count - 1}")


@contextmanager
def _scope(recorder: _Recorder, name: str, module: nn.Module) -> Iterator[None]:
    """What the module calls in the block is named after it."""
    hooks = [
        module.register_forward_pre_hook(lambda *_: recorder.scopes.append(name)),
        module.register_forward_hook(lambda *_: (recorder.scopes.pop(), None)[1], always_call=True),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
