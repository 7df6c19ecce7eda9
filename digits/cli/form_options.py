"""Options made from a form's fields, so that page and command never differ."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from digits.cli import OF_A_FORM
from digits.service.forms import FormModel, extra_of

F = TypeVar("F", bound=Callable[..., Any])


def form_options(model: type[FormModel], names: Mapping[str, str] | None = None, skip: tuple[str, ...] = ()) -> Callable[[F], F]:
    """One option per field of a form. `names` gives a field another option name; `skip` leaves fields out.

    The command gets the given values in the keyword `fields`, by field name; what was not given is missing there.
    """

    def decorate(function: F) -> F:
        def wrapper(**arguments: Any) -> Any:
            keys = {_parameter(field): field for field in model.model_fields if field not in skip}
            fields = {keys[k]: v for k, v in arguments.items() if k in keys and v is not None}
            rest = {k: v for k, v in arguments.items() if k not in keys}
            return function(fields=fields, **rest)

        wrapper.__name__, wrapper.__doc__ = function.__name__, function.__doc__
        wrapper.__dict__.update(function.__dict__)
        for field in reversed([f for f in model.model_fields if f not in skip]):
            wrapper = _option(model, field, (names or {}).get(field, field))(wrapper)
        return wrapper  # type: ignore[return-value]

    return decorate


def _parameter(field: str) -> str:
    return f"{OF_A_FORM}{field}"


def _option(model: type[FormModel], field: str, name: str) -> Callable[[Any], Any]:
    info = model.model_fields[field]
    extra = extra_of(info)
    flag = name.replace("_", "-")
    default = info.get_default(call_default_factory=True)
    text = ". ".join(part.rstrip(".") for part in (info.title or name, extra.get("help", "")) if part)
    if bool in (info.annotation,):
        return click.option(f"--{flag}/--no-{flag}", _parameter(field), default=None, help=f"{text}.")
    choices = extra.get("choices") or {}
    shown = "" if default in (None, "", ...) or info.is_required() else f" [default: {default}]"
    metavar = "|".join(choices) if choices and len(choices) <= 8 else None
    return click.option(f"--{flag}", _parameter(field), default=None, metavar=metavar, help=f"{text}.{shown}")


def absolute_paths(model: type[FormModel], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The given fields with every path made absolute, because the server knows no current directory."""
    known = {name: extra_of(info) for name, info in model.model_fields.items()}
    path_fields = {name for name, extra in known.items() if extra.get("widget") in ("path", "upload")}

    def absolute(name: str, text: str) -> str:
        parts = text.split(os.pathsep) if known[name].get("several") else [text]
        return os.pathsep.join(str(Path(part).expanduser().absolute()) for part in parts)

    return {name: absolute(name, value) if name in path_fields and value else value for name, value in fields.items()}
