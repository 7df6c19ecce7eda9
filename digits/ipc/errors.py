"""The one shape in which an error travels between our processes, and how it comes back as the class that was raised.

`{"type", "message", "advice", "status", "trace"}`, with `errors` for the fields of a form and `code` for a training. `trace` is
a traceback where a plugin or a network text failed, else empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from digits.errors import DigitsError, FormErrors, PluginError, TrainingError


def error_to_json(error: DigitsError, trace: str = "") -> dict[str, Any]:
    """What is sent of an error."""
    body: dict[str, Any] = {
        "type": type(error).__name__,
        "message": error.message or str(error),
        "advice": error.advice,
        "status": error.status,
        "trace": trace or error.trace,
    }
    if isinstance(error, FormErrors):
        body["errors"] = error.errors
    if isinstance(error, TrainingError):
        body["code"] = error.code
    return body


def error_from_json(body: Any) -> DigitsError:
    """The error that was sent, of the class that was raised; of its nearest kind where this process does not know the class."""
    value: Mapping[str, Any] = body if isinstance(body, Mapping) else {"message": str(body)}
    error = _make(value)
    error.trace = str(value.get("trace") or "")
    status = value.get("status")
    if type(error) is DigitsError and isinstance(status, int):
        error.status = status
    return error


def _make(value: Mapping[str, Any]) -> DigitsError:
    message, advice = str(value.get("message") or ""), str(value.get("advice") or "")
    if value.get("type") == FormErrors.__name__ and isinstance(value.get("errors"), Mapping):
        return FormErrors(value["errors"])
    kind = next((kind for kind in _kinds(DigitsError) if kind.__name__ == value.get("type")), DigitsError)
    if kind is TrainingError:
        return TrainingError(message, advice=advice, code=str(value.get("code") or "training"))
    if kind.__init__ is not DigitsError.__init__:  # takes other things than what was sent
        kind = PluginError if issubclass(kind, PluginError) else DigitsError
    return kind(message, advice=advice)


def _kinds(kind: type[DigitsError]) -> Iterator[type[DigitsError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)
