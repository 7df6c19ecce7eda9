"""Downloading models: `/models/<id>/download[.ext]` (R 7.2), streamed; and what became of making pretrained ones (R 1.3)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, redirect, url_for

from digits.domain.access import Scope
from digits.domain.jobs import Kind
from digits.service.models.archives import Archive, model_archive
from digits.service.models.snapshots import find_snapshot
from digits.web.http import arguments
from digits.web.http.access import needs
from digits.web.http.request import check_edit, describes, get_service, json_answer, wants_json

DEFAULT = "tar.gz"


def register(area: Blueprint) -> None:
    """Add the download routes."""
    area.add_url_rule("/models/<job_id>/download", "download", download, methods=["GET", "POST"])
    area.add_url_rule("/models/<job_id>/download.<path:extension>", "download_as", download, methods=["GET", "POST"])
    area.add_url_rule("/models/<job_id>/to_pretrained", "to_pretrained", to_pretrained, methods=["GET", "POST"])


@describes(
    json=True,
    arguments={"epoch": "Which snapshot; absent: the newest.", "snapshot_epoch": "The same."},
    answer="`pretrained_networks` and the snapshot, as the form of a new model takes them. A page: redirect to the models.",
)
@needs(Scope.READ)
def to_pretrained(job_id: str) -> Any:
    """What the original made of a model so that others could begin with it. Here they begin with any: nothing is copied."""
    service = get_service()
    model = service.store.get(job_id, Kind.MODEL)
    check_edit(model)
    snapshot = find_snapshot(service, model, arguments.text("epoch") or arguments.text("snapshot_epoch"))
    if wants_json():
        return json_answer({"pretrained_networks": model.id, "snapshot_epoch": snapshot.epoch})
    return redirect(url_for("home.index", tab=2))


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
    model = service.store.get(job_id, Kind.MODEL)
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
