"""Both engines in one process, for comparisons: importing this loads neither."""

from __future__ import annotations

import importlib.util
from importlib import import_module
from typing import Any

import pytest

HAS_TENSORFLOW = importlib.util.find_spec("tensorflow") is not None
ENGINES = (
    "pytorch",
    pytest.param("tensorflow", marks=pytest.mark.skipif(not HAS_TENSORFLOW, reason="TensorFlow is not installed")),
)


def part(engine: str, name: str) -> Any:
    """The module `name` of an engine, e.g. `inputs`.

    TensorFlow is loaded after Triton, which torchvision imports and which crashes the process when it comes second.
    """
    if engine == "tensorflow" and importlib.util.find_spec("triton") is not None:
        import_module("triton")
    return import_module(f"digits.engines.{engine}.{name}")
