"""Form fields and validators for plugins: WTForms' own with `tooltip=` and `explanation_file=`, lists of numbers, conditions.

A tooltip is shown beside the label (`{{ form.x.tooltip }}`), an explanation unfolds (`{{ form.x.explanation }}`). An
`explanation_file` is an HTML file, looked up beside the module that defines the form and in its `templates/`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import wtforms
from flask_wtf.file import FileField as UploadField
from markupsafe import Markup
from wtforms import validators

from digits.utils.compatibility import accept_tuples

Validator = Callable[[Any, Any], None]


class Tooltip:
    """A question mark with a text; renders as nothing when there is none."""

    def __init__(self, text: str | None = "") -> None:
        self.text = text or ""

    def __html__(self) -> str:
        if not self.text:
            return ""
        return Markup(
            '<span class="explanation-tooltip glyphicon glyphicon-question-sign" data-bs-toggle="tooltip" tabindex="0" '
            'role="img" aria-label="{0}" title="{0}"></span>'
        ).format(self.text)

    __str__ = __html__

    def __bool__(self) -> bool:
        return bool(self.text)

    def __call__(self, text: str | None = None, **kwargs: Any) -> Markup:
        return Markup(Tooltip(self.text if text is None else text).__html__())


class Explanation:
    """Text of an HTML file that unfolds; renders as nothing when there is no such file."""

    def __init__(self, file: str, form: Any) -> None:
        self.file = file
        self._form = form

    def __html__(self) -> str:
        path = self._find()
        if path is None:
            return ""
        text = path.read_text(encoding="utf-8")
        return f'<details class="explanation"><summary title="Explanation">?</summary><div>{text}</div></details>'

    __str__ = __html__

    def __bool__(self) -> bool:
        return self._find() is not None

    def __call__(self, **kwargs: Any) -> Markup:
        return Markup(self.__html__())

    def _find(self) -> Path | None:
        if not self.file:
            return None
        given = Path(self.file)
        folders = [Path()] if given.is_absolute() else _homes(self._form)
        return next((folder / given for folder in folders if (folder / given).is_file()), None)


def _homes(form: Any) -> list[Path]:
    """Folders a form's explanation files may lie in."""
    try:
        home = Path(inspect.getfile(type(form))).parent
    except (TypeError, OSError):
        return []
    return [home, home / "templates"]


class Explained:
    """Adds `tooltip` and `explanation` to a field."""

    def __init__(self, *args: Any, tooltip: str = "", explanation_file: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tooltip = Tooltip(tooltip)
        self.explanation = Explanation(explanation_file, kwargs.get("_form") or kwargs.get("form"))


class IntegerField(Explained, wtforms.IntegerField):
    """A whole number."""


class FloatField(Explained, wtforms.FloatField):
    """A number."""


class SelectField(Explained, accept_tuples(wtforms.SelectField)):  # type: ignore[misc]  # a class made by a function
    """One of several choices, `(value, label)` pairs to which more may be appended at any time."""


class SelectMultipleField(Explained, accept_tuples(wtforms.SelectMultipleField)):  # type: ignore[misc]
    """Any of several choices."""


class StringField(Explained, wtforms.StringField):
    """A line of text."""


class TextField(StringField):
    """The old name of StringField."""


class TextAreaField(Explained, wtforms.TextAreaField):
    """Several lines of text."""


class BooleanField(Explained, wtforms.BooleanField):
    """Yes or no; not sent means no."""


class FileField(Explained, UploadField):
    """An uploaded file; `__init__` of the plugin gets its path on the server."""


class MultiNumberField(Explained, wtforms.Field):
    """Numbers written `a, b, c` or `[a, b, c]`; `data` is a list."""

    widget = wtforms.widgets.TextInput()
    convert: Callable[[str], Any] = float
    kind = "number"

    def _value(self) -> str:
        return ", ".join(str(item) for item in self.raw_data or self.data or [])

    def process_data(self, value: Any) -> None:
        self.data = [] if value is None else list(value) if isinstance(value, list | tuple) else [value]

    def process_formdata(self, valuelist: Sequence[Any]) -> None:
        if not valuelist:
            return
        parts = [part.strip() for text in valuelist for part in str(text).strip().strip("[]").split(",")]
        self.data = []
        for part in filter(None, parts):
            try:
                self.data.append(type(self).convert(part))
            except ValueError as error:
                raise ValueError(f"{part!r} is not a {self.kind}.") from error


class MultiIntegerField(MultiNumberField):
    """Whole numbers."""

    convert = int
    kind = "whole number"


class MultiFloatField(MultiNumberField):
    """Numbers."""

    convert = float


class MultiNumberRange:
    """Each number of a list lies between `min` and `max`, the ends included unless `min_inclusive`/`max_inclusive` are off."""

    def __init__(
        self,
        min: float | None = None,
        max: float | None = None,
        min_inclusive: bool = True,
        max_inclusive: bool = True,
        message: str | None = None,
    ) -> None:
        self.min, self.max = min, max
        self.min_inclusive, self.max_inclusive = min_inclusive, max_inclusive
        self.message = message

    def __call__(self, form: Any, field: Any) -> None:
        for number in field.data or []:
            if not self._fits(number):
                low = "any" if self.min is None else self.min
                high = "any" if self.max is None else self.max
                raise validators.ValidationError(self.message or f"{number} is not allowed: expected {low} to {high}.")

    def _fits(self, number: float) -> bool:
        low = self.min is None or number > self.min or (self.min_inclusive and number == self.min)
        high = self.max is None or number < self.max or (self.max_inclusive and number == self.max)
        return low and high


class MultiOptional:
    """An empty list is fine; no other check is made then."""

    field_flags = {"optional": True}

    def __call__(self, form: Any, field: Any) -> None:
        if not field.raw_data or not str(field.raw_data[0]).strip():
            field.errors[:] = []
            raise validators.StopValidation()


def validate_required_iff(**conditions: Any) -> Validator:
    """The field is required if every named field has the given value; otherwise nothing about it is checked."""

    def check(form: Any, field: Any) -> None:
        if all(getattr(form, name).data == value for name, value in conditions.items()):
            _require(field)
        else:
            _pass(field)

    return check


def validate_required_if_set(other_field: str, **_: Any) -> Validator:
    """The field is required if `other_field` is given; otherwise nothing about it is checked."""

    def check(form: Any, field: Any) -> None:
        if _is_given(getattr(form, other_field).data):
            _require(field)
        else:
            _pass(field)

    return check


def validate_greater_than(fieldname: str) -> Validator:
    """The field is at least as large as `fieldname` (equal is fine); one of the two being empty is fine too."""

    def check(form: Any, field: Any) -> None:
        other = getattr(form, fieldname)
        if field.data is not None and other.data is not None and field.data < other.data:
            raise validators.ValidationError(f"{field.data} is smaller than {other.label.text} ({other.data}).")

    return check


def _is_given(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    return bool(getattr(value, "filename", value)) or value == 0 and not isinstance(value, bool)


def _require(field: Any) -> None:
    if not _is_given(field.data) and field.data is not False:
        raise validators.StopValidation("This field is required.")


def _pass(field: Any) -> None:
    field.errors[:] = []
    raise validators.StopValidation()


__all__ = [
    "BooleanField",
    "Explanation",
    "FileField",
    "FloatField",
    "IntegerField",
    "MultiFloatField",
    "MultiIntegerField",
    "MultiNumberRange",
    "MultiOptional",
    "SelectField",
    "SelectMultipleField",
    "StringField",
    "TextAreaField",
    "TextField",
    "Tooltip",
    "validate_greater_than",
    "validate_required_if_set",
    "validate_required_iff",
]
