"""The options of a built-in source: a frozen dataclass, made once from what a form, a script or an older job folder says.

A field that is left empty (None or "") has its default. Forms check values before a source sees them; scripts send texts, which
are read here, and nowhere else. What cannot be read raises DataError.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from digits.errors import DataError
from digits.utils.values import boolean, is_number, shown

Words = tuple[str, ...]  # written with commas between them


@dataclass(frozen=True)
class Options:
    """Base. Fields are of type `str`, `int`, `float`, `bool` or `Words`, or one of these or None."""

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """From values of a form or from userdata; names that are no field are left alone."""
        types = typing.get_type_hints(cls)
        given = {f.name: values.get(f.name) for f in fields(cls)}
        return cls(**{name: _read(types[name], v, name) for name, v in given.items() if v is not None and v != ""})


def _read(kind: Any, value: Any, name: str) -> Any:
    kind = next((one for one in typing.get_args(kind) if kind == one | None), kind) if kind != Words else kind
    if kind is str:
        return str(value)
    if kind == Words:
        words = value.split(",") if isinstance(value, str) else map(str, value)
        return tuple(word.strip() for word in words if word.strip())
    found = _of_text(kind, value) if isinstance(value, str) else kind(value)
    if found is None:
        expected = "yes or no" if kind is bool else "a number"
        raise DataError(f"{name} is {shown(str(value))}, expected {expected}.", advice="Correct it in the form.")
    return found


def _of_text(kind: type, text: str) -> Any:
    """What a text says; None where it says nothing of this kind."""
    if kind is bool:
        return boolean(text)
    text = text.strip()
    if not is_number(text):
        return None
    return int(text) if kind is int and text.lstrip("+-").isdigit() else kind(float(text))
