"""Downloading models: `/models/<id>/download[.ext]` (R 7.2), streamed."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from digits.domain.jobs import Kind
from digits.service.models.archives import Archive, model_archive
from digits.web.http import arguments
from digits.web.http.request import describes, get_service

DEFAULT = "tar.gz"


def register(area: Blueprint) -> None:
    """Add the download routes."""
    area.add_url_rule("/models/<job_id>/download", "download", download, methods=["GET", "POST"])
    area.add_url_rule("/models/<job_id>/download.<path:extension>", "download_as", download, methods=["GET", "POST"])


@describes(
    json=True,
    arguments={"epoch": "Which snapshot; absent: the newest.", "snapshot_epoch": "The same."},
    answer="The archive: tar.gz (default), tgz, tar, tar.bz2 or zip.",
)
def download(job_id: str, extension: str = DEFAULT) -> Any:
    """Weights, network, preparation, labels and a script that classifies pictures with them."""
    service = get_service()
    model = service.store.get(job_id, Kind.MODEL)
    return archive_answer(model_archive(service, model, extension, arguments.text("epoch") or arguments.text("snapshot_epoch")))


def archive_answer(archive: Archive) -> Response:
    """An archive that is made while it is sent."""
    response = Response(archive.chunks, mimetype=archive.media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{archive.file_name}"'
    if archive.length is not None:
        response.content_length = archive.length
    return response
