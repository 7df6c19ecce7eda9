"""Forms: one definition (a pydantic model) gives the page's fields, the checks, the error messages and the OpenAPI schema.

Values arrive as the original's clients send them: everything is text, blank means "not given", booleans are `y`, `true`,
`on` or `1`, lists are `a, b` or `[a, b]`, fields that the form does not know are ignored. A page names the boxes it shows
(`boxes[]`, see `web.http.arguments.form_values`), so one that is not ticked arrives as `false`; what a box means that a script
leaves out says the field's `unsent`.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from digits.errors import FormErrors
from digits.utils.values import boolean, is_number, shown

ZERO_BYTE = "A text cannot contain a zero byte."


class FormModel(BaseModel):
    """Base of every form. Unknown fields are ignored; `option` declares the fields."""

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True, validate_default=False)


def option(
    default: Any,
    title: str,
    help: str = "",
    *,
    choices: Mapping[str, str] | None = None,
    widget: str = "",
    advanced: bool = False,
    unsent: bool = False,
    several: bool = False,
    **constraints: Any,
) -> Any:
    """One field: its label, the sentence that explains it, and how it is shown.

    `choices` maps each value to its label (checked when the form is read). `widget` is `text`, `number`, `checkbox`,
    `select`, `path` (server path with completion and Browse), `upload`, `textarea`, `code` or `hidden`; empty: by type.
    `unsent` is the value of a boolean that a script does not send at all (HTML forms leave out what is not ticked); of a path,
    `several` may stand with `os.pathsep` between them.
    Constraints (`ge`, `le`, `gt`, `lt`, `min_length`, …) are pydantic's.
    """
    extra: dict[str, Any] = {
        "help": help,
        "widget": widget,
        "advanced": advanced,
        "choices": dict(choices or {}),
        "unsent": unsent,
        "several": several,
    }
    return Field(default, title=title, description=help, json_schema_extra=extra, **constraints)


M = TypeVar("M", bound=FormModel)


def parse(model: type[M], values: Mapping[str, Any]) -> M:
    """Read and check a form. Raises FormErrors with one list of messages per wrong field.

    A boolean that is not sent, or blank, takes its `unsent` value. Of a repeated field that holds one value the last counts.
    """
    errors: dict[str, list[str]] = {}
    cleaned: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        raw = values.get(name)
        if _is_bool(info) and _is_blank(raw):
            cleaned[name] = bool(extra_of(info).get("unsent"))
            continue
        if raw is None:
            continue
        value = _clean(raw, info)
        if value is None and not _is_bool(info):
            continue
        if "\0" in str(value):
            errors[name] = [ZERO_BYTE]
            continue
        if problem := _number_problem(value, info):
            errors[name] = [problem + _list_hint(raw, info)]
            continue
        choices = extra_of(info).get("choices") or {}
        if choices and any(str(v) not in choices for v in (value if isinstance(value, list) else [value])):
            errors[name] = [f"{raw!r} is not one of {', '.join(choices)}."]
            continue
        cleaned[name] = value
    try:
        form = model.model_validate(cleaned)
    except ValidationError as error:
        for item in error.errors():
            key = str(item["loc"][0]) if item["loc"] else "form"
            found = model.model_fields.get(key)
            hint = _list_hint(values.get(key), found) if found is not None and key not in errors else ""
            errors.setdefault(key, []).append(_message(item) + hint)
        raise FormErrors(errors) from error
    if errors:
        raise FormErrors(errors)
    return form


@dataclass(frozen=True)
class FieldView:
    """What a template needs to draw one field."""

    name: str
    title: str
    help: str
    widget: str
    choices: dict[str, str]
    value: Any
    errors: list[str]
    required: bool
    advanced: bool
    minimum: float | None
    maximum: float | None
    step: str


@dataclass(frozen=True)
class BoundForm:
    """A form class with the values to show and the messages of the last try; `form["name"]` is a `FieldView`."""

    model: type[FormModel]
    values: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[str, list[str]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> FieldView:
        info = self.model.model_fields[name]
        extra = extra_of(info)
        default = None if info.is_required() else info.get_default(call_default_factory=True)
        value = self.values.get(name, default)
        if _is_bool(info):
            value = _clean("" if value is None else value, info) is True
        elif isinstance(value, list | tuple) and not _is_list(info):
            value = value[-1] if value else ""
        if isinstance(value, list | tuple) and not extra.get("choices"):
            value = ", ".join(str(_short(v)) for v in value)
        return FieldView(
            name=name,
            title=info.title or name,
            help=extra.get("help", ""),
            widget=extra.get("widget") or _default_widget(info, extra),
            choices=extra.get("choices") or {},
            value="" if value is None or value is ... else _short(value),
            errors=list(self.errors.get(name, [])),
            required=info.is_required(),
            advanced=bool(extra.get("advanced")),
            minimum=_bound(info, ("ge", "gt")),
            maximum=_bound(info, ("le", "lt")),
            step="1" if int in _types(info) else "any",
        )

    def __iter__(self) -> Any:
        return (self[name] for name in self.model.model_fields)

    @property
    def other_errors(self) -> dict[str, list[str]]:
        """Messages that belong to no field of this form."""
        return {k: list(v) for k, v in self.errors.items() if k not in self.model.model_fields}


def extra_of(info: FieldInfo) -> dict[str, Any]:
    """What `option` noted beside pydantic's own constraints."""
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def _short(value: Any) -> Any:
    """33.0 as 33, as people write it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _types(info: FieldInfo) -> tuple[Any, ...]:
    annotation = info.annotation
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(a for a in get_args(annotation) if a is not type(None))
    return (annotation,)


def _is_bool(info: FieldInfo) -> bool:
    return bool in _types(info)


def _is_blank(raw: Any) -> bool:
    last = raw[-1] if isinstance(raw, list | tuple) and raw else raw  # of a repeated field the last counts
    return last is None or (isinstance(last, str) and not last.strip())


def _is_list(info: FieldInfo) -> bool:
    return any(get_origin(t) in (list, tuple) for t in _types(info))


def _clean(raw: Any, info: FieldInfo) -> Any:
    if _is_list(info):
        return _clean_list(raw)
    if isinstance(raw, list | tuple):
        raw = raw[-1] if raw else ""
    if _is_bool(info):
        return raw if isinstance(raw, bool) else _boolean(str(raw))
    if isinstance(raw, str):
        text = raw.strip()
        if text == "" and not (info.is_required() and str in _types(info)):
            return None
        return text
    return raw


def _number_problem(value: Any, info: FieldInfo) -> str:
    """What is wrong with the texts of a field of numbers: they are read as everywhere else (`digits.utils.values`)."""
    wanted = _numbers_in(info)
    if not wanted & {int, float} or wanted & {str, bool}:
        return ""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str) and not is_number(item.strip()):
            return f"{shown(item)} is not a {'' if float in wanted else 'whole '}number."
    return ""


def _numbers_in(info: FieldInfo) -> set[Any]:
    """The types of a field's values, those of a list too."""
    return {a for t in _types(info) for a in (_bare(t), *(_bare(x) for x in get_args(t)))}


def _list_hint(raw: Any, info: FieldInfo) -> str:
    """How a list of numbers is written, where a text that was meant as one is wrong: `0,01` is two numbers."""
    texts = [text for text in (raw if isinstance(raw, list | tuple) else [raw]) if isinstance(text, str)]
    if not _is_list(info) or not _numbers_in(info) & {int, float} or not any(re.search("[,;]", text) for text in texts):
        return ""
    decimal = "A decimal has a point, as in 0.01; s" if float in _numbers_in(info) else "S"
    example = "0.1, 0.01" if float in _numbers_in(info) else "16, 32"
    return f" {decimal}everal values have commas between them, as in {example}."


def _bare(annotation: Any) -> Any:
    """The type behind `Annotated`."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _clean_list(raw: Any) -> list[Any] | None:
    items = raw if isinstance(raw, list | tuple) else [raw]
    parts: list[Any] = []
    for item in items:
        if isinstance(item, str):
            parts += [p.strip() for p in item.strip().strip("[]()").split(",") if p.strip()]
        else:
            parts.append(item)
    return parts or None


def _boolean(text: str) -> Any:
    value = boolean(text)
    return text if value is None else value


def _default_widget(info: FieldInfo, extra: Mapping[str, Any]) -> str:
    if extra.get("choices"):
        return "select"
    if _is_bool(info):
        return "checkbox"
    return "number" if {int, float} & set(_types(info)) else "text"


def _bound(info: FieldInfo, names: tuple[str, ...]) -> float | None:
    for constraint in info.metadata:
        for name in names:
            if getattr(constraint, name, None) is not None:
                return float(getattr(constraint, name))
    return None


def _message(item: Any) -> str:
    given, kind, context = item.get("input"), item["type"], item.get("ctx", {})
    if kind == "missing" or (kind == "string_too_short" and given == ""):
        return "This field is required."
    if kind in ("int_parsing", "int_type", "int_from_float"):
        return f"{given!r} is not a whole number."
    if kind in ("float_parsing", "float_type", "finite_number"):
        return f"{given!r} is not a number."
    if kind.startswith("bool"):
        return f"{given!r} is neither true nor false."
    comparisons = {
        "greater_than_equal": ("ge", "at least"),
        "less_than_equal": ("le", "at most"),
        "greater_than": ("gt", "more than"),
        "less_than": ("lt", "less than"),
    }
    if kind in comparisons:
        key, words = comparisons[kind]
        bound = context[key]
        return f"{given} is not allowed: it must be {words} {f'{bound:g}' if isinstance(bound, float) else bound}."
    if kind == "string_too_long":
        return f"This has {len(str(given)):,} characters; at most {context['max_length']:,} are allowed."
    if kind == "string_unicode":
        return "This holds bytes that are no UTF-8 text."
    if kind == "value_error":
        return str(context.get("error", item["msg"]))
    return f"{item['msg']}."
