"""Downloading models: `/models/<id>/download[.ext]` (R 7.2), streamed; making pretrained ones of them (R 1.3)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, redirect, url_for

from digits.domain.access import Scope
from digits.domain.jobs import PREDICTING, Kind
from digits.service.models.archives import Archive, model_archive
from digits.service.models.pretrained import from_model, pretrained_spec
from digits.web.http import arguments
from digits.web.http.access import needs
from digits.web.http.request import describes, get_service, json_answer, require_user, wants_json

DEFAULT = "tar.gz"


def register(area: Blueprint) -> None:
    """Add the download routes."""
    for jobs, name in (("models", "download"), ("pretrained_models", "download_pretrained")):
        area.add_url_rule(f"/{jobs}/<job_id>/download", name, download, methods=["GET", "POST"])
        area.add_url_rule(f"/{jobs}/<job_id>/download.<path:extension>", f"{name}_as", download, methods=["GET", "POST"])
    area.add_url_rule("/models/<job_id>/to_pretrained", "to_pretrained", to_pretrained, methods=["GET", "POST"])
    area.add_url_rule("/models/<job_id>/to_pretrained.json", "to_pretrained_json", to_pretrained, methods=["GET", "POST"])


@describes(
    json=True,
    form={"epoch": "Which snapshot; absent: the newest.", "snapshot_epoch": "The same.", "name": "What it is called."},
    answer="`id` of the pretrained model, the same as `pretrained_networks`, `snapshot_epoch`. A page: redirect to `/?tab=3`.",
)
def to_pretrained(job_id: str) -> Any:
    """Make a pretrained model of a snapshot, which others can begin with."""
    service, owner = get_service(), require_user()
    model = service.store.get(job_id, Kind.MODEL)
    epoch = arguments.text("epoch") or arguments.text("snapshot_epoch")
    job = from_model(service, model, epoch, owner, arguments.text("name"))
    if wants_json():
        made = {"id": job.id, "pretrained_networks": job.id, "snapshot_epoch": pretrained_spec(service, job).epoch}
        return json_answer(made)
    return redirect(url_for("home.index", tab=3))


@describes(
    json=True,
    arguments={
        "epoch": "Which snapshot; absent: the newest.",
        "snapshot_epoch": "The same.",
        "named": "1: the file is named after the model, not after its id.",
    },
    answer="The archive: tar.gz (default), tgz, tar, tar.bz2 or zip.",
)
@needs(Scope.READ)
def download(job_id: str, extension: str = DEFAULT) -> Any:
    """Weights, network, preparation, labels and a script that classifies pictures with them."""
    service = get_service()
    model = service.store.get(job_id, *PREDICTING)
    epoch = arguments.text("epoch") or arguments.text("snapshot_epoch")
    return archive_answer(model_archive(service, model, extension, epoch, named=arguments.flag("named")))


def archive_answer(archive: Archive) -> Response:
    """An archive that is made while it is sent."""
    response = Response(archive.chunks, mimetype=archive.media_type)
    plain = archive.file_name.encode("ascii", "replace").decode().replace("?", "_")
    named = "" if plain == archive.file_name else f"; filename*=UTF-8''{quote(archive.file_name, safe='')}"
    response.headers["Content-Disposition"] = f'attachment; filename="{plain}"{named}'
    if archive.length is not None:
        response.content_length = archive.length
    return response
