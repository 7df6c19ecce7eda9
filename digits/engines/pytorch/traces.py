"""Execution traces of PyTorch: its own profiler, with the layers of the network and the parts of a step marked."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.autograd.profiler import profile, record_function  # torch.profiler would load the compiler

from digits.engines.pytorch.dynamo import is_loaded
from digits.engines.training.trace_parts import BACKWARD, FORWARD, OPTIMIZER
from digits.engines.training.traces import Recorder, Span

PART, LAYER = "digits.part: ", "digits.layer: "
OF_BACKWARD = "autograd::engine::evaluate_function: "
OF_OPTIMIZER = ("Optimizer.step#", "Optimizer.zero_grad#")
ON_DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
ON_HOST = ("cpu_op", "user_annotation")


class TorchRecorder(Recorder):
    """See `Recorder`. `module` is what the step calls."""

    def __init__(self, module: nn.Module, on_gpu: bool) -> None:
        self.module, self.on_gpu = module, on_gpu
        self.profile: profile | None = None
        self.handles: list[Any] = []
        self.open: list[Any] = []  # marks of layers that are at work

    def start(self) -> None:
        self._settle()
        found = profile(use_kineto=True, use_device="cuda" if self.on_gpu else None)
        found.__enter__()
        self.profile = found
        for label, layer in [(f"{PART}{FORWARD}", self.module), *_labelled(self.module)]:
            self.handles.append(layer.register_forward_pre_hook(self._enter(label)))
            self.handles.append(layer.register_forward_hook(self._leave, always_call=True))

    def mark(self, part: str) -> AbstractContextManager[Any]:
        return record_function(f"{PART}{part}")

    def stop(self) -> list[Span]:
        assert self.profile is not None
        self._settle()
        found, self.profile = self.profile, None
        self._unhook()
        found.__exit__(None, None, None)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trace.json"
            found.export_chrome_trace(str(path))
            return list(spans_of(json.loads(path.read_bytes())["traceEvents"]))

    def drop(self) -> None:
        found, self.profile = self.profile, None
        self._unhook()
        if found is not None:
            found.__exit__(None, None, None)

    def _settle(self) -> None:
        if self.on_gpu:
            torch.cuda.synchronize()

    def _unhook(self) -> None:
        for handle in self.handles:
            handle.remove()
        self.handles, self.open = [], []

    def _enter(self, label: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any) -> None:
            if label.startswith(PART):
                self._settle()
            mark = record_function(label)
            mark.__enter__()
            self.open.append(mark)

        return hook

    def _leave(self, module: nn.Module, _inputs: Any, _output: Any) -> None:
        if module is self.module:
            self._settle()
        if self.open:
            self.open.pop().__exit__(None, None, None)


def _labelled(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The layers of a network by what a trace calls them; none where one may be compiled, which a mark would do anew."""
    if is_loaded() or any(isinstance(layer, torch.jit.ScriptModule) for layer in module.modules()):
        return
    for name, layer in module.named_modules():
        if name:
            yield f"{LAYER}{name} ({type(layer).__name__})", layer


def spans_of(events: list[dict[str, Any]]) -> Iterator[Span]:
    """What a trace of PyTorch's profiler has in it."""
    threads = {
        (event["pid"], event["tid"]): str(event["args"]["name"])
        for event in events
        if event.get("ph") == "M" and event.get("name") == "thread_name"
    }
    for event in events:
        kind, on_device = str(event.get("cat", "")), event.get("cat") in ON_DEVICE
        if event.get("ph") != "X" or not (on_device or kind in ON_HOST):
            continue
        name, thread = str(event["name"]), (event["pid"], event["tid"])
        where: dict[str, Any] = {"start": float(event["ts"]), "length": float(event.get("dur", 0.0))}
        where["thread"] = threads.get(thread, f"thread {thread[1]}")
        yield Span(**described(name), **where, on_device=on_device)


def described(name: str) -> dict[str, Any]:
    """What an event of this name stands for."""
    if name.startswith(PART):
        part = name.removeprefix(PART)
        return {"name": part, "kind": "part", "part": part}
    if name.startswith(LAYER):
        return {"name": name.removeprefix(LAYER), "kind": "layer"}
    if name.startswith(OF_BACKWARD):
        return {"name": name.removeprefix(OF_BACKWARD), "kind": "layer", "part": BACKWARD}
    if name.startswith(OF_OPTIMIZER):
        return {"name": name.partition("#")[0], "kind": "part", "part": OPTIMIZER}
    return {"name": name}
