"""`torch_export`: a program of torch.export, `model.pt2`, which runs without the network's text; and what stands in the way of
one, with the layer where it stands."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from digits.engines.base import Exporter, Predictor, Program
from digits.engines.pytorch import portable
from digits.errors import ExportError

FILE = "model.pt2"
FIXED = "Its steps may depend on the numbers it sees, or on the size of the batch; docs/export.md says what can be traced."
NETWORK = "network."  # begins the paths of the network's own layers
NODE = re.compile(r"translating node %?(\w+)|%(\w+) ?: ")
OPERATOR = re.compile(r"OpOverload\(op='(\w+\.\w+)'")
MOST = 300  # characters of a message that is not ours


class ProgramExporter(Exporter):
    name = "torch_export"
    runtime = "torch.export"

    def check(self, predictor: Predictor) -> list[str]:
        return portable.check(predictor)

    def write(self, predictor: Predictor, folder: Path, options: Mapping[str, Any]) -> list[Path]:
        torch.export.save(traced(portable.Portable(predictor), portable.example(predictor)), folder / FILE)  # type: ignore[arg-type]
        return [folder / FILE]

    def run(self, folder: Path) -> Program:
        module = torch.export.load(folder / FILE).module()

        def program(features: np.ndarray) -> dict[str, np.ndarray]:
            with torch.no_grad():
                return {name: value.numpy() for name, value in module(torch.from_numpy(features)).items()}

        return program


def traced(module: portable.Portable, features: torch.Tensor, *, sizes: bool = False) -> torch.export.ExportedProgram:
    """The steps of a module for features (N, C, H, W) float32 of any N, and of any H and W that it takes where `sizes` are free;
    `features` is an example. ExportError where they cannot be written down, with the layer that is in the way."""
    free: dict[int, Any] = {0: torch.export.Dim("batch")}
    if sizes:
        free |= {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    with _layers_entered(module) as entered:
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of torchvision and torch about each other
                return torch.export.export(module, (features,), dynamic_shapes=(free,))
        except Exception as error:  # of a dozen classes, private ones among them
            where = f" in {entered[-1]}" if entered else ""
            raise ExportError(f"torch.export cannot write this network down{where}: {_first(error)}", advice=FIXED) from error


def refused(error: Exception, program: torch.export.ExportedProgram) -> str:
    """What a translation of a program says, with the operator and the layer that it stopped at where it names them."""
    texts: list[str] = []
    at: BaseException | None = error
    while at is not None and len(texts) < 8:
        texts.append(str(at))
        at = at.__cause__ or at.__context__
    said = next((line.strip() for text in reversed(texts) for line in text.splitlines() if line.strip()), type(error).__name__)
    names = {name for text in texts for found in NODE.findall(text) for name in found if name}
    operators = {name for text in texts for name in OPERATOR.findall(text)}
    steps = [node for node in program.graph.nodes if node.op == "call_function"]
    last = tuple(name.rpartition(".")[2] for name in operators)  # the translation takes steps apart: aten.special_x calls prims.x
    found = [node for node in steps if node.name in names or _operator(node) in operators]
    found += [node for node in steps if last and _operator(node).endswith(last)]
    if not found:
        return said[:MOST]
    layer = layer_of(found[0])
    return f"the operator {_operator(found[0])}{f' in {layer}' if layer else ''} is not known to it. {said[:MOST]}"


def _operator(node: Any) -> str:
    """`aten.relu` of a step that calls `aten.relu.default`."""
    return ".".join(str(node.target).split(".")[:2])


def layer_of(node: Any) -> str:
    """The layer of the network that a step comes from: `layer features.3 (Conv2d)`; empty where it is none of the network's."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    for path, kind in reversed(stack):
        if str(path).startswith(NETWORK):
            name = kind if isinstance(kind, str) else kind.__name__
            return f"layer {str(path).removeprefix(NETWORK)} ({name.rsplit('.', 1)[-1]})"
    return ""


@contextmanager
def _layers_entered(module: nn.Module) -> Iterator[list[str]]:
    """The layers of the network in which the work is at a moment, the innermost last; after an error those it came from."""
    entered: list[str] = []
    handles = []

    def enter(path: str) -> Any:
        name = path.removeprefix(NETWORK)

        def hook(layer: nn.Module, _: Any) -> None:
            kind = type(layer).__name__
            entered.append(f"layer {name} ({kind})" if name != path else f"the forward of {kind}")

        return hook

    def leave(*_: Any) -> None:
        if entered:
            entered.pop()

    for name, layer in module.named_modules():
        if name.startswith(NETWORK) or f"{name}." == NETWORK:
            handles += [layer.register_forward_pre_hook(enter(name)), layer.register_forward_hook(leave)]
    try:
        yield entered
    finally:
        for handle in handles:
            handle.remove()


def _first(error: Exception) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text[:MOST]}"
