"""TensorFlow and torchvision in one process: TensorFlow imported first makes torchvision crash the process, so it never is."""

from __future__ import annotations

import contextlib
import importlib
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class TorchvisionFirst(MetaPathFinder):
    """Imports torchvision, where it is installed, right before the first import of TensorFlow; finds nothing itself."""

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name == "tensorflow":
            sys.meta_path.remove(self)
            with contextlib.suppress(ImportError):
                importlib.import_module("torchvision")
        return None


def install() -> None:
    """Watch the imports of this process; once is enough. Loads nothing now."""
    if not any(isinstance(finder, TorchvisionFirst) for finder in sys.meta_path):
        sys.meta_path.insert(0, TorchvisionFirst())
