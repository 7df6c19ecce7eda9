"""What plugins may import: constants, pictures, form fields, errors. Names are kept from release to release.

`from digits import utils; utils.forms.IntegerField` works without importing the submodule; importing this package loads
neither Flask nor Pillow.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, TypeVar

_SUBMODULES = frozenset({"constants", "errors", "fetch", "forms", "image", "lmdbreader"})
_MARK = "__digits_override__"

T = TypeVar("T")


def override(method: T) -> T:
    """Mark a method (also a static or class method) as one that a base class defines; `subclass` checks the mark."""
    setattr(getattr(method, "__func__", method), _MARK, True)
    return method


def subclass(cls: type[T]) -> type[T]:
    """Check that a base class has each method marked with `override`. Raises AttributeError naming the one that it lacks."""
    for name, member in vars(cls).items():
        if not getattr(getattr(member, "__func__", member), _MARK, False):
            continue
        if not any(hasattr(base, name) for base in cls.__mro__[1:]):
            bases = ", ".join(base.__name__ for base in cls.__bases__)
            raise AttributeError(
                f"{cls.__name__}.{name} is marked @override, but {bases} has no {name}. Is the name spelled right?"
            )
    return cls


def __getattr__(name: str) -> ModuleType:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[Any]:
    return sorted({*globals(), *_SUBMODULES})
