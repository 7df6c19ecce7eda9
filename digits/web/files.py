"""Files of jobs, uploads, and the server's folders for path fields."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, render_template, send_file

from digits.domain.jobs import JOB_ID
from digits.errors import NotFound
from digits.web.context import argument, get_service

# What a browser may show in place; anything else is handed over as a download. Nothing of it may run scripts.
SHOWN = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".txt", ".log", ".json", ".jsonl", ".csv", ".py"})
TEXTS = frozenset({".txt", ".log", ".jsonl", ".csv", ".py"})
PRIVATE = frozenset({"userdata.pkl"})


def blueprint() -> Blueprint:
    """`/files/<path>` and what path fields need."""
    area = Blueprint("files", __name__)
    area.add_url_rule("/files/<path:path>", "job_file", job_file)
    area.add_url_rule("/uploads", "uploads_page", uploads_page)
    return area


def job_file(path: str) -> Response:
    """A file of a job. 404 for anything outside the job folders, for hidden names and for what must stay on the server."""
    root = get_service().jobs_dir.path.resolve()
    parts = path.split("/")
    file = (root / path).resolve()
    hidden = any(part.startswith(".") for part in parts) or file.name in PRIVATE
    if hidden or not JOB_ID.match(parts[0]) or root / parts[0] not in file.parents or not file.is_file():
        raise NotFound("There is no such file.")
    suffix = file.suffix.lower()
    mimetype = "text/plain" if suffix in TEXTS else None
    response = send_file(file, mimetype=mimetype, as_attachment=suffix not in SHOWN, conditional=True)
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
    return response


def uploads_page() -> Any:
    """The list of uploads."""
    return render_template("uploads.html")
