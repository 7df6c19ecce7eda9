"""The scripts of `docs/examples` and `docs/samples` as modules, for tests that use what they write."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).resolve().parents[1] / "docs"


def example(name: str, folder: str = "examples") -> ModuleType:
    """The module `docs/<folder>/<name>.py`."""
    spec = importlib.util.spec_from_file_location(f"{folder}_{name}", DOCS / folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
