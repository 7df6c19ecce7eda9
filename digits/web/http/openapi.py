"""`/openapi.json`: the JSON side of every route, described from the routes, their docstrings and the form classes.

A handler says with `describes(...)` which form it reads and which answers it gives; what it does not say follows from its
rule and methods.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Flask, current_app, jsonify
from werkzeug.routing import Rule
from werkzeug.wrappers import Response

import digits
from digits.service.forms import FormModel, extra_of
from digits.web.http.access import need_of
from digits.web.http.request import JSON_ENDING, JSON_FOLDER, OPEN_INFERENCE, get_service

CONVERTERS = {"WholeNumber": "integer", "FloatConverter": "number"}
ERROR = {"$ref": "#/components/schemas/Error"}
FORM_ERRORS = {"$ref": "#/components/schemas/FormErrors"}
OPEN_INFERENCE_ERROR = {"type": "object", "properties": {"error": {"type": "string"}}}  # without it where `ready` is false
HIDDEN = ("static", "kept", "bootstrap.static", "vendor")


def blueprint() -> Blueprint:
    """The area with the one route."""
    area = Blueprint("api", __name__)
    area.add_url_rule("/openapi.json", "openapi", openapi)
    return area


def openapi() -> Response:
    """The OpenAPI 3.1 document of this server."""
    return jsonify(document(current_app, get_service().settings.url_prefix))


def document(app: Flask, prefix: str = "") -> dict[str, Any]:
    """The whole document as a dictionary."""
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda r: r.rule):
        if _is_json(app, rule):
            paths.setdefault(_path(rule), {}).update(_operations(app, rule))
    return {
        "openapi": "3.1.0",
        "info": {"title": "digits", "version": digits.__version__, "license": {"name": "Apache-2.0"}},
        "servers": [{"url": prefix or "/"}],
        "security": [{"token": []}, {"session": []}, {}],
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": _security()},
    }


def _is_json(app: Flask, rule: Rule) -> bool:
    """JSON twins, each under one of its two addresses, and the routes that a handler marks as answering JSON (or text) without
    one."""
    if rule.endpoint in HIDDEN or rule.rule.endswith(JSON_FOLDER):
        return False
    return rule.rule.endswith(JSON_ENDING) or bool(_note(app, rule).get("json"))


def _note(app: Flask, rule: Rule) -> dict[str, Any]:
    return getattr(inspect.unwrap(app.view_functions[rule.endpoint]), "openapi", {})


def _operations(app: Flask, rule: Rule) -> Iterator[tuple[str, dict[str, Any]]]:
    handler = inspect.unwrap(app.view_functions[rule.endpoint])
    note = _note(app, rule)
    for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
        yield method.lower(), _operation(app, rule, method, handler, note)


def _operation(app: Flask, rule: Rule, method: str, handler: Any, note: dict[str, Any]) -> dict[str, Any]:
    text = inspect.getdoc(handler) or rule.endpoint
    summary, _, description = text.partition("\n\n")
    operation: dict[str, Any] = {
        "operationId": f"{rule.endpoint}_{method.lower()}".replace(".", "_"),
        "summary": " ".join(summary.split()),
        "tags": [rule.endpoint.split(".")[0]],
        "parameters": [*_path_parameters(rule), *_query_parameters(note)],
        "responses": _responses(note, rule.rule.startswith(OPEN_INFERENCE)),
        "x-scope": str(need_of(app, rule).scope),  # what a token needs
    }
    if description:
        operation["description"] = description
    if method in ("POST", "PUT") and note.get("form") is not None:
        operation["requestBody"] = _body(note["form"])
    return operation


def _path(rule: Rule) -> str:
    return re.sub(r"<(?:[^:<>]*:)?([^<>]+)>", r"{\1}", rule.rule)


def _path_parameters(rule: Rule) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": CONVERTERS.get(type(rule._converters[name]).__name__, "string"), "minLength": 1},
        }
        for name in sorted(rule.arguments)
    ]


def _query_parameters(note: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in note.get("arguments", {}).items()
    ]


def _responses(note: dict[str, Any], is_open_inference: bool) -> dict[str, Any]:
    def answer(text: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {"description": text, "content": {"application/json": {"schema": schema}}}

    wrong: dict[str, Any] = OPEN_INFERENCE_ERROR if is_open_inference else {"anyOf": [FORM_ERRORS, ERROR]}
    error: dict[str, Any] = OPEN_INFERENCE_ERROR if is_open_inference else ERROR
    return {
        "200": {"description": note.get("answer", "The answer.")},
        "400": answer("The request is wrong; a form answers with messages per field.", wrong),
        "401": answer("Nobody is logged in.", error),
        "403": answer("Not allowed.", error),
        "404": answer("No such thing.", error),
        "default": answer("Any other error.", error),
    }


def _body(form: type[FormModel] | dict[str, str]) -> dict[str, Any]:
    schema = form_schema(form) if isinstance(form, type) else _named(form)
    return {"content": {kind: {"schema": schema} for kind in ("application/x-www-form-urlencoded", "application/json")}}


def _named(fields: dict[str, str]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"description": text} for name, text in fields.items()}}


@functools.cache
def form_schema(form: type[FormModel]) -> dict[str, Any]:
    """The JSON schema of a form. Every value may also be sent as text, which is how HTML forms send it."""
    schema = form.model_json_schema()
    properties = {}
    for name, info in form.model_fields.items():
        extra = extra_of(info)
        known = {k: v for k, v in schema["properties"][name].items() if k in ("title", "description", "default")}
        properties[name] = {**known, **({"examples": list(extra["choices"])} if extra.get("choices") else {})}
    return {"type": "object", "title": form.__name__, "properties": properties, "required": schema.get("required", [])}


def _schemas() -> dict[str, Any]:
    message = {"type": "object", "properties": {"message": {"type": "string"}, "type": {"type": "string"}}}
    lists = {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}
    return {
        "Error": {"type": "object", "properties": {"error": message}, "required": ["error"]},
        "FormErrors": {"type": "object", "properties": {"errors": lists}, "required": ["errors"]},
    }


def _security() -> dict[str, Any]:
    return {
        "token": {"type": "http", "scheme": "bearer", "description": "`digits token add USER` prints one."},
        "session": {"type": "apiKey", "in": "cookie", "name": "session"},
    }
