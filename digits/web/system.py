"""The queue with the machine's load, versions and paths, and a sign of life."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify, render_template

from digits.web.context import get_service, route


def blueprint() -> Blueprint:
    """`/queue`, `/info`, `/health`."""
    area = Blueprint("system", __name__)
    route(area, "/queue")(queue)
    route(area, "/info")(info)
    area.add_url_rule("/health", "health", health)
    return area


def queue() -> Any:
    """Jobs with work to come, in the order in which they may start."""
    return render_template("queue.html", jobs=get_service().store.active())


def info() -> Any:
    """Versions and paths."""
    return render_template("info.html")


def health() -> Any:
    """Answers as soon as the server does; needs no log-in and tells nothing."""
    return jsonify(ok=True)
