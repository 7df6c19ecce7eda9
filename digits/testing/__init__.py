"""Public contract tests: one class per contract, which every implementation, also a plugin author's, inherits and passes."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "DataSourceContract": "digits.testing.data",
    "EngineContract": "digits.testing.engines",
    "ExecutorContract": "digits.testing.executors",
    "ExporterContract": "digits.testing.exporters",
    "JobStoreContract": "digits.testing.stores",
    "TaskContract": "digits.testing.tasks",
    "ViewContract": "digits.testing.view",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
