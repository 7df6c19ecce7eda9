"""Execution traces of a training over HTTP: the page with the timeline, and the trace of a step as JSON (R 1.3)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, render_template, send_file

from digits.domain.access import Scope
from digits.domain.jobs import Kind
from digits.errors import BadRequest
from digits.service.models import traces
from digits.web.http import arguments
from digits.web.http.access import needs
from digits.web.http.request import describes, get_service, json_answer, route, wants_json


def register(area: Blueprint) -> None:
    """Add the routes to the area of models."""
    route(area, "/models/images/<any(classification, generic):kind>/timeline_tracing")(timeline_tracing)
    area.add_url_rule("/models/timeline_trace_data", "timeline_trace_data", timeline_trace_data, methods=["GET", "POST"])


@describes(
    arguments={"job_id": "The model.", "step": "The step to show at first; blank: the last one that has a trace."},
    answer="`traces`: `step`, `epoch`, `seconds`, `parts` (to seconds) and `where` (a sentence) of each.",
)
def timeline_tracing(kind: str) -> Any:
    """The execution traces of a training: where the time of a step went, and its timeline."""
    service, job = get_service(), arguments.job(Kind.MODEL)
    rows = traces.traces_of(service, job)
    chosen = arguments.whole("step", rows[-1]["step"] if rows else 0)
    if wants_json():
        return json_answer({"traces": rows})
    interval = int(service.folder(job.id).spec().get("traces_interval") or 0)
    data = {"traces": rows, "step": chosen, "words": traces.part_words()}
    return render_template("models/timeline.html", job=job, kind=kind, traces=rows, interval=interval, data=data)


@describes(
    form={"job_id": "The model.", "step": "Of a step that has a trace."},
    json=True,
    answer="`traceEvents` as viewers of Chrome's traces read them, and under `digits` what `timeline_tracing` says of the step "
    "with its longest `operations`.",
)
@needs(Scope.READ)
def timeline_trace_data() -> Response:
    """The execution trace of a step."""
    job = arguments.job(Kind.MODEL)
    step = arguments.whole("step", None, least=0)
    if step is None:
        raise BadRequest("step is a required field.", advice="Name a step that has a trace.")
    path = traces.trace_file(get_service(), job, step)
    return send_file(path, mimetype="application/json", download_name=path.name, conditional=True, max_age=0)
