"""Runs compared, repeated and reported over HTTP."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, render_template, url_for

from digits.domain.access import Scope
from digits.domain.jobs import Kind
from digits.service.models import report
from digits.service.models.comparison import comparison, find_runs
from digits.service.models.repeat import repeat as repeat_model
from digits.service.models.reproduce import reproduce as reproduce_model
from digits.web.http import arguments
from digits.web.http.access import needs
from digits.web.http.request import describes, get_service, json_answer, require_user, route, wants_json

IDS = {"ids": "2 to 50 ids of models, with commas between them."}


def register(area: Blueprint) -> None:
    """`/compare`, its report, `/models/<id>/report.html`, `/models/<id>/repeat` and `/models/<id>/reproduce`."""
    route(area, "/compare")(compare)
    area.add_url_rule("/compare/report.html", "compare_report", compare_report)
    area.add_url_rule("/models/<job_id>/report.html", "model_report", model_report)
    route(area, "/models/<job_id>/repeat", methods=("POST",))(repeat)
    route(area, "/models/<job_id>/reproduce", methods=("POST",))(reproduce)


@describes(
    arguments=IDS,
    answer="`runs`, `lines` (runs that differ by their seed alone), `settings` (those that differ: name → value by id), "
    "`metrics`, `verdict` (`metric`, `sentence`, `p`, `interval`, `samples`, `pairs`), `curves`, `flips`: see docs/comparing.md.",
)
@needs(Scope.READ)
def compare() -> Any:
    """Models side by side."""
    jobs = find_runs(get_service(), ids())
    if wants_json():
        return json_answer(comparison(get_service(), jobs))
    return render_template("models/compare.html", jobs=jobs, ids=",".join(job.id for job in jobs))


def ids() -> list[str]:
    """The ids that were sent, in their order."""
    return [one for text in arguments.items("ids") or [] for one in text.split(",")]


@describes(arguments=IDS, json=True, answer="An HTML document without any outside reference.")
@needs(Scope.READ)
def compare_report() -> Any:
    """The comparison as a document that can be printed and kept."""
    service = get_service()
    return _document(render_template("models/report.html", **report.of_comparison(service, find_runs(service, ids()))))


@describes(json=True, answer="An HTML document without any outside reference.")
@needs(Scope.READ)
def model_report(job_id: str) -> Any:
    """A training as a document that can be printed and kept."""
    service = get_service()
    return _document(render_template("models/report.html", **report.of_model(service, service.store.get(job_id, Kind.MODEL))))


def _document(text: str) -> Response:
    return Response(text, mimetype="text/html")


@describes(form={"seeds": "How many more trainings, 1 to 20; 3 where it is left out."}, answer="`ids` of the new models.")
def repeat(job_id: str) -> Any:
    """Train a model again with other random seeds; everything else stays."""
    owner = require_user()
    service = get_service()
    job = service.store.get(job_id, Kind.MODEL)
    made = repeat_model(service, job, arguments.whole("seeds", 3, least=1), owner)
    if wants_json():
        return json_answer({"ids": [one.id for one in made]})
    return redirect(url_for("models.compare", ids=",".join([job.id, *(one.id for one in made)])))


@describes(
    form={"dataset": "Id of the data set with the same records, where its content hash is of another kind; left out as a rule."},
    answer="`id` of the model that does the training again; its JSON has `reproduces` and, once it is done, `verdict`.",
)
def reproduce(job_id: str) -> Any:
    """Do a training again from all that was kept of it, and say whether it gives the same."""
    owner = require_user()
    service = get_service()
    made = reproduce_model(service, service.store.get(job_id, Kind.MODEL), owner, arguments.dataset())
    if wants_json():
        return json_answer({"id": made.id, "name": made.name, "reproduces": job_id})
    return redirect(url_for("models.show", job_id=made.id), 303)
