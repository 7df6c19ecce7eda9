"""Which values of a plugin's form are paths of the server, and whether they lie in the folders that digits may read.

Holds: a field is a path when its template shows it as one (`autocomplete_path`), when it takes an upload, or when its name
ends as paths' names do (`…_folder`, `file`). Such a value must lie in an allowed folder. Any other text may begin with `/` (a
pattern, a remark); it is refused only where it names something that exists outside, because a plugin may open what it is
given. A value out of the choices that the plugin itself offers is its own affair.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from digits.errors import DigitsError, PluginError
from digits.service import Service
from digits.service.files.confine import confine

PATH_NAME = re.compile(r"(^|_)(file|folder|dir|directory|path)s?$", re.IGNORECASE)
Fields = Callable[[], Sequence[Mapping[str, Any]]]  # as `digits.plugin_host.binding.describe` gives them


def check_paths(service: Service, values: Mapping[str, Any], fields: Fields) -> dict[str, list[str]]:
    """Messages for values that lead outside the allowed folders. `fields` is called only when a value looks like a path."""
    suspicious = {name: found for name, value in values.items() if (found := list(_paths_in(value)))}
    if not suspicious:
        return {}
    known = _by_name(fields)
    errors: dict[str, list[str]] = {}
    for name, texts in suspicious.items():
        for text in texts:
            if message := _refusal(service, name, text, known):
                errors.setdefault(name, []).append(message)
    return errors


def is_path_field(field: Mapping[str, Any]) -> bool:
    """Whether a field (`name`, and what a plugin's form says of it) takes a path of the server; boxes do not."""
    named = PATH_NAME.search(str(field["name"])) and field.get("type") != "BooleanField"
    return bool(field.get("path") or field.get("upload") or named)


def looks_like_path(text: str) -> bool:
    """Whether a plugin that opens `text` could leave its own (empty) working directory."""
    text = text.strip()
    return text.startswith(("/", "~", "file:")) or ".." in Path(text).parts


def _paths_in(value: Any) -> Iterator[str]:
    for text in value if isinstance(value, list | tuple) else [value]:
        if isinstance(text, str):
            yield from (line.strip() for line in text.splitlines() if looks_like_path(line))


def _by_name(fields: Fields) -> Mapping[str, Mapping[str, Any]] | None:
    """None where the form is not available: its plugin failed, and will say so itself."""
    try:
        return {str(field["name"]): field for field in fields()}
    except PluginError:
        return None


def _refusal(service: Service, name: str, text: str, known: Mapping[str, Mapping[str, Any]] | None) -> str:
    """Why a value is refused; empty where it is not."""
    field = (known or {}).get(name, {})
    if text in [choice[0] for choice in field.get("choices", ())]:
        return ""
    is_path = known is None or is_path_field({"name": name, **field})
    if not is_path and not _names_something(text):
        return ""
    try:
        confine(service, text)
    except (DigitsError, OSError, ValueError) as error:
        return str(error)
    return ""


def _names_something(text: str) -> bool:
    """Whether there is a file or folder of this name; a lone `/` or `..` is a separator or a step, not a place."""
    path = os.path.normpath(os.path.join("/", os.path.expanduser(text)))
    return path != "/" and os.path.lexists(path)
