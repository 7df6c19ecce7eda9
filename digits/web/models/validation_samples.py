"""The validation samples of a training over HTTP: JSON only, the page draws them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify, request

from digits.domain.jobs import Kind
from digits.service.models import validation_samples
from digits.service.models.history import read_history
from digits.web.http.request import describes, get_service, json_answer


def register(area: Blueprint) -> None:
    """Add the routes to the area of models."""
    area.add_url_rule("/models/<job_id>/samples.json", "samples", samples)
    area.add_url_rule("/models/<job_id>/samples/<int:step>.json", "sample_frame", sample_frame)


@describes(
    json=True,
    answer="`kind`, `class_labels`, `colours`, `samples` (`key`, `input`, `truth`) and `frames`: `step` and `epoch` of each.",
)
def samples(job_id: str) -> Any:
    """The fixed validation samples of a training, and when they were predicted."""
    service = get_service()
    job = service.store.get(job_id, Kind.MODEL)
    folder = service.folder(job.id)
    return json_answer(
        {**validation_samples.sample_set(service, job), "frames": validation_samples.frames(read_history(folder), folder.path)}
    )


@describes(json=True, answer="`samples`: per sample `top`, `map`, `picture`, `values` or `boxes`, as its kind has it.")
def sample_frame(job_id: str, step: int) -> Any:
    """What the model made of the samples at one validation."""
    service = get_service()
    response = jsonify(validation_samples.frame(service, service.store.get(job_id, Kind.MODEL), step))
    response.add_etag()
    response.cache_control.private = True
    response.cache_control.no_cache = True  # a training that begins again writes the same steps anew
    return response.make_conditional(request)
