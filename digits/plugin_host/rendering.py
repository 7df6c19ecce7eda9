"""Plugins' Jinja texts: what they name and are not given is empty, as in Flask, and said in the plugin's row; the page's nonce is
put into their source."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import jinja2
from flask import Flask, get_flashed_messages, render_template_string
from jinja2.utils import missing
from markupsafe import Markup

import digits
from digits.errors import PluginError
from digits.utils.times import print_time, print_time_diff, print_time_since
from digits.utils.values import sizeof_fmt

# Templates are text that no compiler looks at: what dictionaries had in Python 2 would be empty in them without a word.
PYTHON_2_METHODS: dict[str, Callable[..., Any]] = {
    "iteritems": lambda found: found.items(),
    "itervalues": lambda found: found.values(),
    "iterkeys": lambda found: found.keys(),
    "has_key": lambda found, key: key in found,
}
INLINE = re.compile(r"<(script|style)\b(?![^>]*\bnonce=)", re.IGNORECASE)
MOST_WARNINGS = 20  # of a plugin
_warnings: dict[tuple[str, str], list[str]] = {}  # by kind and id of the plugin, since this process started
_lacking: ContextVar[set[str] | None] = ContextVar("lacking", default=None)  # names that the template being rendered is not given


class Forgiving(jinja2.Undefined):
    """A missing attribute (`form.warnings`, `field.tooltip`) is empty, whatever is done with it. So is a missing name where it is
    only shown, and a note of it is taken; what is made of one beyond that is an error."""

    def _is_name(self) -> bool:
        return self._undefined_obj is missing

    def _note(self) -> None:
        names = _lacking.get()
        if names is not None and self._is_name():
            names.add(str(self._undefined_name))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self._is_name():
            self._fail_with_undefined_error()
        return self

    def __getitem__(self, key: Any) -> Any:
        return self.__getattr__(str(key))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._is_name():
            self._fail_with_undefined_error()
        if isinstance(self._undefined_obj, Mapping) and self._undefined_name in PYTHON_2_METHODS:
            return PYTHON_2_METHODS[self._undefined_name](self._undefined_obj, *args)
        return self

    def __str__(self) -> str:
        self._note()
        return ""

    def __html__(self) -> str:
        return str(self)

    def __iter__(self) -> Any:
        self._note()
        return iter(())


def prepare(app: Flask) -> None:
    """Set up the application's Jinja environment for plugins."""
    app.jinja_env.undefined = Forgiving
    app.jinja_env.globals.update(get_flashed_messages=get_flashed_messages, server_version=digits.__version__)
    app.jinja_env.filters.update(
        print_time=print_time, print_time_diff=print_time_diff, print_time_since=print_time_since, sizeof_fmt=sizeof_fmt
    )
    app.config.update(WTF_CSRF_ENABLED=False, TEMPLATES_AUTO_RELOAD=False)
    app.secret_key = secrets.token_bytes(32)  # `flash` keeps its messages in a session; nobody else sees it


def warnings_of(kind: str, plugin: str) -> list[str]:
    """What was noticed of the templates of a plugin, `data` or `view`."""
    return list(_warnings.get((kind, plugin), ()))


def render(plugin: str, template: str | None, context: Mapping[str, Any] | None, nonce: str, kind: str = "") -> str:
    """HTML of a plugin's template. Raises PluginError that names the plugin, the line and the remedy.

    Names that it lacks are put into the row of the plugin, which is `data` or `view`.
    """
    if template is None:
        return ""
    if not isinstance(template, str | Markup):
        raise PluginError(
            f"The plugin {plugin} gave {type(template).__name__} as its template.", advice="Return (text, dictionary)."
        )
    names: set[str] = set()
    token = _lacking.set(names)
    try:
        html = render_template_string(with_nonce(str(template), nonce), **dict(context or {}))
        _warn(kind, plugin, names)
        return html
    except jinja2.TemplateSyntaxError as error:
        raise PluginError(
            f"A template of the plugin {plugin} has a syntax error in line {error.lineno}: {error.message}.",
            advice="Correct that line of the template.",
        ) from error
    except jinja2.UndefinedError as error:
        raise PluginError(
            f"A template of the plugin {plugin} uses a name it is not given: {error.message}.",
            advice="Add the name to the context the plugin returns beside its template.",
        ) from error
    except jinja2.TemplateNotFound as error:
        raise PluginError(
            f"A template of the plugin {plugin} loads {error.name}, which does not exist.",
            advice="Only helper.html can be imported.",
        ) from error
    finally:
        _lacking.reset(token)


def _warn(kind: str, plugin: str, names: set[str]) -> None:
    known = _warnings.setdefault((kind, plugin), [])
    for name in sorted(names):
        words = f"A template uses the name {name!r}, which it is not given; it is shown as nothing."
        if words not in known and len(known) < MOST_WARNINGS:
            known.append(words)


def with_nonce(source: str, nonce: str) -> str:
    """Mark inline scripts and styles written in a template's *source*; what is filled in later gets no nonce."""
    return INLINE.sub(rf'<\1 nonce="{nonce}"', source) if nonce else source
