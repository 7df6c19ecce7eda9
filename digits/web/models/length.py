"""Ending a training early as done, and letting one that is done go on for more epochs."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify

from digits.domain.jobs import Kind
from digits.service.models import length
from digits.utils import values
from digits.web.http import arguments
from digits.web.http.request import check_edit, describes, get_service, route, wants_json


def register(area: Blueprint) -> None:
    """`/models/<id>/finish` and `/models/<id>/extend`."""
    route(area, "/models/<job_id>/finish", methods=("POST",))(finish)
    route(area, "/models/<job_id>/extend", methods=("POST",))(extend)


@describes(form={}, answer="`message`.")
def finish(job_id: str) -> Any:
    """Stop & keep best: the training ends at its next step as done; the weights of that step and the best snapshot are kept."""
    job = get_service().store.get(job_id, Kind.MODEL)
    check_edit(job)
    message = length.finish(get_service(), job)
    return jsonify(message=message) if wants_json() else message


@describes(form={"epochs": "How many more; 1 or more."}, answer="`id` (the same), `epochs`: in all, `message`.")
def extend(job_id: str) -> Any:
    """Let a training that is done go on for `epochs` more from its last state; it keeps its id. The policy of the learning rate
    counts its percents of the new number of epochs from then on."""
    job = get_service().store.get(job_id, Kind.MODEL)
    check_edit(job)
    total = length.extend(get_service(), job, values.whole(arguments.required("epochs"), "epochs", least=1))
    message = f"The training goes on, for {total:,} epochs in all."
    return jsonify(id=job.id, epochs=total, message=message) if wants_json() else message
