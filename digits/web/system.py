"""The queue with the machine's load, versions and paths, and a sign of life."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

from flask import Blueprint, current_app, jsonify, render_template, url_for

import digits
from digits.domain.jobs import Status
from digits.frameworks import frameworks
from digits.service import Service, rows, tokens
from digits.service.machine import MachineLoad, holds
from digits.service.plugins import host as plugins
from digits.web.http.request import current_user, describes, get_service, may_edit, route, wants_json

PACKAGES = (
    "numpy",
    "pyarrow",
    "pillow",
    "opencv-python-headless",
    "flask",
    "gunicorn",
    "sqlalchemy",
    "pydantic",
)


def blueprint() -> Blueprint:
    """`/queue`, `/machine.json`, `/info`, `/places.json`, `/health`."""
    area = Blueprint("system", __name__)
    area.record_once(lambda state: state.app.extensions.setdefault("digits-machine", MachineLoad(state.app.extensions["digits"])))
    route(area, "/queue")(queue)
    route(area, "/info")(info)
    area.add_url_rule("/machine.json", "machine", machine)
    area.add_url_rule("/places.json", "places", places)
    area.add_url_rule("/health", "health", health)
    return area


@describes(
    json=True,
    answer="`cpu_percent` of `cpus` (of which `usable_cpus` may be used), `memory`, `disk`, `gpus`; `jobs`: what each that runs "
    "holds, in numbers and words.",
)
def machine() -> Any:
    """The load of the machine and its GPUs, and which job holds what."""
    return jsonify(current_app.extensions["digits-machine"].load())


@describes(json=True, answer="`places`: `title`, `url`.")
def places() -> Any:
    """The forms one can go to: every source of data sets, both kinds of models."""
    own = [("New data set: classification", url_for("datasets.new"))]
    own += [("New data set: databases that are there", url_for("datasets.new_databases"))]
    own += [
        ("New model: classification", url_for("models.new", kind="classification")),
        ("New model: other", url_for("models.new", kind="generic")),
    ]
    sources = [row for entries in plugins.menu(get_service(), patient=True).values() for row in entries]
    own += [(f"New data set: {row['title']}", url_for("datasets.new_from", extension_id=row["id"])) for row in sources]
    return jsonify(places=[{"title": title, "url": address} for title, address in own])


def queue() -> Any:
    """Jobs with work to come, in the order in which they may start, each with the reason why it waits."""
    service = get_service()
    jobs = service.store.active()
    load = current_app.extensions["digits-machine"].load()
    if wants_json():
        return jsonify(jobs=rows.rows(service, jobs), machine=load)
    used = {row["id"]: row["uses"] for row in load["jobs"]}
    uses = {job.id: used.get(job.id) or holds(job.cpus, job.used_gpus) for job in jobs}
    running = [job for job in jobs if job.status == Status.RUN]
    waiting = [job for job in jobs if job.status != Status.RUN]
    editable = {job.id for job in jobs if may_edit(job)}
    return render_template("queue.html", running=running, waiting=waiting, editable=editable, uses=uses)


def info() -> Any:
    """Versions, paths and who is logged in."""
    value = info_dict(get_service())
    return jsonify(value) if wants_json() else render_template("info.html", info=value)


def info_dict(service: Service) -> dict[str, Any]:
    """What the info page shows: `version`, `server_name`, `python`, `platform`, `packages`, `jobs_dir`, `data_dirs`, …"""
    user = current_user()
    packages = [*(name for row in frameworks().values() for name in row.packages), *PACKAGES]
    return {
        "version": digits.__version__,
        "server_name": service.settings.name,
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "packages": {name: version for name in packages if (version := _version(name))},
        "jobs_dir": str(service.jobs_dir.path),
        "data_dirs": [str(path) for path in service.settings.data_roots()],
        "max_upload_mb": service.settings.max_upload_mb,
        "auth": service.settings.auth,
        "user": user,
        "tokens": [vars(token) for token in tokens.list_tokens(service, user)] if user and service.settings.auth else [],
        "foreign_jobs": [path.name for path in service.jobs_dir.foreign()],
    }


@describes(json=True)
def health() -> Any:
    """Answers as soon as the server does; needs no log-in and reveals nothing."""
    return jsonify(ok=True)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
