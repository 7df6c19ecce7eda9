"""Python layer files: layers of a user's own, in a file that travels with a model and that its network text imports.

Holds: a copy lies in the model's folder under the name that the original gave it, `digits_python_layers.py` (or `.pyc`), and is
imported as `digits_python_layers` or, where nothing else has that name, as the module it was before. It is code: it runs where
the network text does, when that imports it, within its limit of time, and never in the server. One process uses one such file.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader, SourcelessFileLoader
from pathlib import Path
from types import ModuleType

from digits.errors import NetworkError
from digits.storage.folders import JobFolder

MODULE = "digits_python_layers"
SUFFIXES = (".py", ".pyc")
OURS = frozenset({MODULE, "network", "predict", "predicting"})  # modules of an archive: no file takes their names


@dataclass(frozen=True)
class LayerFile:
    """A layer file: where it lies, and the name that its user knows it by, e.g. `my_layers.py`. Of one that lies where others may
    change it `data` is what was read and looked at: the file is not opened again."""

    path: Path
    name: str
    data: bytes | None = field(default=None, repr=False)

    @property
    def copy_name(self) -> str:
        """Of the file in the model's folder and in archives."""
        return copy_name(self.name)

    @property
    def own_module(self) -> str:
        """The module that the file was under its own name; empty where that is no name of a module, or one of ours."""
        stem = Path(self.name).stem
        return stem if stem.isidentifier() and stem not in OURS else ""


def copy_name(name: str) -> str:
    """What the copy of a layer file is called."""
    return MODULE + Path(name).suffix.lower()


def layer_file(folder: Path, name: str) -> LayerFile | None:
    """The file in a model's folder, whose user knows it as `name`; None for an empty name. NetworkError where it is gone."""
    if not name:
        return None
    path = folder / copy_name(name)
    if not path.is_file():
        raise NetworkError(
            f"The Python layer file {name} is not in the model's folder any more ({path}).", advice="Put it back there."
        )
    return LayerFile(path, name)


def layer_file_of(folder: JobFolder) -> LayerFile | None:
    """The layer file of a model's job; None where it has none, or what was requested is not known any more. NetworkError where
    it is gone."""
    return layer_file(folder.path, str(folder.spec().get("python_layers") or "")) if folder.exists() else None


def use(file: LayerFile | None) -> None:
    """From now on network texts of this process import from this file, and from no other that was in use before."""
    before = [finder for finder in sys.meta_path if isinstance(finder, _Finder)]
    for finder in before:
        sys.meta_path.remove(finder)
        if finder.loaded is not None and sys.modules.get(finder.module) is finder.loaded:
            del sys.modules[finder.module]
    if file is None:
        return
    sys.meta_path.insert(0, _Finder(MODULE, file))
    if file.own_module:
        sys.meta_path.append(_Finder(file.own_module, file))  # what is installed under that name comes first


def file_in_use() -> LayerFile | None:
    """The file that this process uses."""
    return next((finder.file for finder in sys.meta_path if isinstance(finder, _Finder)), None)


class _Finder(MetaPathFinder):
    """Finds one module: the file under the name of its copy, or the same module object under the name that it had."""

    def __init__(self, module: str, file: LayerFile) -> None:
        self.module, self.file = module, file
        self.loaded: ModuleType | None = None

    def content(self, path: str) -> bytes | None:
        """What was read of the file; None where it is to be read, and for any other path."""
        return self.file.data if path == str(self.file.path) else None

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self.module:
            return None
        if name != MODULE:
            return ModuleSpec(name, _SameModule(self))
        kind = _Sourceless if self.file.path.suffix.lower() == ".pyc" else _Source
        return importlib.util.spec_from_file_location(name, self.file.path, loader=kind(self, name, str(self.file.path)))


class _Source(SourceFileLoader):
    """Compiles each time: a model's folder holds no `__pycache__`."""

    def __init__(self, finder: _Finder, name: str, path: str) -> None:
        super().__init__(name, path)
        self._finder = finder

    def exec_module(self, module: ModuleType) -> None:
        self._finder.loaded = module
        super().exec_module(module)

    def get_data(self, path: str) -> bytes:
        data = self._finder.content(path)
        return super().get_data(path) if data is None else data

    def set_data(self, path: str, data: bytes, *, _mode: int = 0o666) -> None:  # type: ignore[override]
        pass


class _Sourceless(SourcelessFileLoader):
    def __init__(self, finder: _Finder, name: str, path: str) -> None:
        super().__init__(name, path)
        self._finder = finder

    def exec_module(self, module: ModuleType) -> None:
        self._finder.loaded = module
        super().exec_module(module)

    def get_data(self, path: str) -> bytes:
        data = self._finder.content(path)
        return super().get_data(path) if data is None else data


class _SameModule(Loader):
    """Gives the module of the copy under another name, as it is."""

    def __init__(self, finder: _Finder) -> None:
        self._finder = finder

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(MODULE)
        self._spec, self._finder.loaded = module.__spec__, module
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # which the import has just replaced
