"""Libraries that crash the process when they are imported in the wrong order: the one that must come first always does."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class FirstThings(MetaPathFinder):
    """Imports the `first` modules, where they are installed, right before the first import of `name`; finds nothing itself."""

    def __init__(self, name: str, first: Sequence[str]) -> None:
        self.name = name
        self.first = first

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name == self.name:
            sys.meta_path.remove(self)
            for module in self.first:
                with contextlib.suppress(ImportError):
                    importlib.import_module(module)
        return None


def install(rules: Mapping[str, Sequence[str]]) -> None:
    """Watch the imports of this process: before `name` come `rules[name]`. Once is enough; loads nothing now."""
    watched = {finder.name for finder in sys.meta_path if isinstance(finder, FirstThings)}
    for name, first in rules.items():
        if first and name not in watched:
            sys.meta_path.insert(0, FirstThings(name, first))
