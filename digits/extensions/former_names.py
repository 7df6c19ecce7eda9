"""Modules of plugins under the names that they had once, which frozen data sets and other people's code still say.

Holds: the former name gives the very same module, so that classes are the same; a package that is installed under that name goes
before, but for what a plugin of the renamed package has frozen itself. Submodules follow their package.
"""

from __future__ import annotations

import importlib
import io
import pickle
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from digits.extensions import packages


class FormerNames(MetaPathFinder):
    """Finds `former` and `former.x` as what `names` says `former` is called now."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = dict(names)

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        top, dot, rest = name.partition(".")
        now = self.names.get(top)
        if now is None or self._is_installed(top):
            return None
        return ModuleSpec(name, _SameModule(now + dot + rest))

    def _is_installed(self, top: str) -> bool:
        others = [finder for finder in sys.meta_path if not isinstance(finder, FormerNames)]
        return any(finder.find_spec(top, None) for finder in others if hasattr(finder, "find_spec"))


class _SameModule(Loader):
    """Loads nothing: hands out the module that has the name `now`."""

    def __init__(self, now: str) -> None:
        self.now = now

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.now)
        self.own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.own_spec  # the import system has put in that of the former name


class Unpickler(pickle.Unpickler):
    """Reads what a plugin of the class `cls` froze, today or before its package was renamed; None: whoever froze it."""

    def __init__(self, frozen: bytes, cls: type | None) -> None:
        super().__init__(io.BytesIO(frozen))
        self.package = cls.__module__.partition(".")[0] if cls is not None else ""
        renamed = packages.former_names() if self.package not in ("", "digits") else {}
        self.former = {former for former, now in renamed.items() if now == self.package}

    def find_class(self, module: str, name: str) -> Any:
        top, dot, rest = module.partition(".")
        return super().find_class((self.package if top in self.former else top) + dot + rest, name)


def install() -> None:
    """Let this process import modules under their former names. Loads nothing; safe to call often."""
    names = packages.former_names()
    for finder in sys.meta_path:
        if isinstance(finder, FormerNames):
            finder.names = names
            return
    sys.meta_path.insert(0, FormerNames(names))
