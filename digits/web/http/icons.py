"""Bootstrap's icons, drawn into the page one by one from the sprite that Bootstrap-Flask carries (the sprite is 1 MB)."""

from __future__ import annotations

import functools
from pathlib import Path

import flask_bootstrap
from flask import Flask, abort, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response

SPRITE = Path(flask_bootstrap.__file__).parent / "static/bootstrap5/icons/bootstrap-icons.svg"
A_YEAR = 31536000


def register(app: Flask) -> None:
    """Add the template function `icon(name, css="")` and, for page code, `/icons/<name>.svg#<name>`."""
    app.jinja_env.globals["icon"] = icon
    app.add_url_rule("/icons/<name>.svg", "icon", icon_file)


def icon(name: str, css: str = "") -> Markup:
    """An inline `<svg>` of the size of the text around it; hidden from screen readers."""
    inner = symbol(name)
    if not inner:
        raise LookupError(f"Bootstrap has no icon {name!r}")
    body = inner.split(">", 1)[1].rsplit("</symbol>", 1)[0]
    return Markup(
        f'<svg class="bi {css}" viewBox="0 0 16 16" width="1em" height="1em" fill="currentColor" aria-hidden="true">{body}</svg>'
    )


def icon_file(name: str) -> Response:
    """One icon as a file with one symbol, for `<use href>`."""
    inner = symbol(name)
    if not inner:
        abort(404)
    response = Response(f'<svg xmlns="http://www.w3.org/2000/svg">{inner}</svg>', mimetype="image/svg+xml")
    response.cache_control.max_age = A_YEAR
    return response


def icon_base() -> str:
    """What page code puts before `<name>.svg#<name>`."""
    return url_for("icon", name="x").removesuffix("x.svg")


@functools.lru_cache(maxsize=256)
def symbol(name: str) -> str:
    """The `<symbol>` element of an icon; empty when there is none."""
    text = SPRITE.read_text()
    at = text.find(f' id="{name}">')
    if at < 0:
        return ""
    return text[text.rindex("<symbol", 0, at) : text.index("</symbol>", at) + len("</symbol>")]
