"""The compiler of `torch.compile`, `torch._dynamo`, kept out of processes that compile nothing.

Optimizers report every step to it, and torchvision takes one name of it; either loads all of it, with SymPy and most of
torch.distributed: 1.7 CPU seconds at the start of every training. Where it is not loaded nobody compiles, and stand-ins for these
few names do the same. A network text that compiles loads it; from then on nothing stands in for it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

NAME = "torch._dynamo"


class without_dynamo:
    """Inside the block the optimizers and torchvision do without the compiler, unless it was loaded before.

    Entered at each step, so no generator.
    """

    def __enter__(self) -> None:
        if NAME not in sys.modules:
            sys.modules.update(_STAND_INS)
            vars(torch)["_dynamo"] = _DYNAMO

    def __exit__(self, *_error: object) -> None:
        _leave()


def import_torchvision() -> None:
    """Import torchvision, in a tenth of the time that its `import` takes."""
    try:
        with without_dynamo():
            importlib.import_module("torchvision")
    except ImportError:  # a version that takes more of the compiler
        importlib.import_module("torchvision")


def is_loaded() -> bool:
    """Whether something of this process may be compiled."""
    return NAME in sys.modules


class _Dynamo(ModuleType):
    """What the compiler's marks mean where nothing is compiled: nothing. Any other name loads it."""

    @staticmethod
    def graph_break(*_: object, **__: object) -> None:
        return None

    @staticmethod
    def disable(fn: Callable[..., Any], *_: object, **__: object) -> Callable[..., Any]:
        return fn

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        _leave()
        return getattr(importlib.import_module(NAME), name)


def _is_compile_supported(device_type: str) -> bool:
    return bool(importlib.import_module(f"{NAME}.utils").is_compile_supported(device_type))


def _leave() -> None:
    if sys.modules.get(NAME) is _DYNAMO:
        for name in _STAND_INS:
            sys.modules.pop(name, None)
        vars(torch).pop("_dynamo", None)


_DYNAMO = _Dynamo(NAME)
_UTILS = ModuleType(f"{NAME}.utils")
vars(_UTILS)["is_compile_supported"] = _is_compile_supported
_STAND_INS: dict[str, ModuleType] = {NAME: _DYNAMO, _UTILS.__name__: _UTILS}
