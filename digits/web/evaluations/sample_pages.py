"""Evaluations of segmentation, detection, image to image and regression over HTTP: a page, JSON, CSV, masks, boxes."""

from __future__ import annotations

import math
from typing import Any

from flask import Blueprint, Response, send_file

from digits.domain.events import BaselineEvent
from digits.domain.inference import EvaluationSpec
from digits.domain.jobs import Kind
from digits.domain.metrics import PERCENT, facts
from digits.errors import BadRequest
from digits.service.evaluations import results as evaluations
from digits.service.evaluations import sample_pages as task_evaluations
from digits.service.evaluations.results import evaluation_result
from digits.service.models.history import read_history
from digits.storage.jobs.store import Job
from digits.web.evaluations import csv as evaluation_csv
from digits.web.http import arguments
from digits.web.http.request import describes, get_service, json_answer

PAGE_SIZE = 24
LARGEST_PAGE = 200
SHOWN_PROBLEMS = 200
NAMED = 5  # classes that a sentence names
SELECTION = {
    "page": "From 0.",
    "size": f"Pictures per page ({PAGE_SIZE}).",
    "sort": "A metric of one picture; empty: the order of the list.",
    "order": "`asc` or `desc`.",
}


def register(area: Blueprint) -> None:
    """Add the routes below `/evaluations`."""
    area.add_url_rule("/evaluations/<job_id>/samples.json", "evaluation_samples", samples)
    area.add_url_rule("/evaluations/<job_id>/samples.csv", "evaluation_samples_csv", samples_csv)
    area.add_url_rule("/evaluations/<job_id>/mask/<int:row>.png", "evaluation_mask", mask)
    area.add_url_rule("/evaluations/<job_id>/masks.zip", "evaluation_masks", masks)
    area.add_url_rule("/evaluations/<job_id>/coco.json", "evaluation_coco", coco)


@describes(json=True, arguments=SELECTION, answer="`kind`, `class_labels`, `colours`, `total`, `samples` with their outputs.")
def samples(job_id: str) -> Any:
    """A page of an evaluation's pictures with outputs and ground truth; by default the worst first."""
    job = _job(job_id)
    result = evaluation_result(get_service(), job)
    sort = arguments.given("sort")
    sort = (result["key"] if result["columns"] else "") if sort is None else sort
    usual = "desc" if _worst_first(result, sort) else "asc"
    descending = arguments.choice("order", ("asc", "desc"), usual) == "desc"
    page, size = arguments.whole("page", 0, most=2**31), arguments.whole("size", PAGE_SIZE, least=1, most=LARGEST_PAGE)
    return json_answer(task_evaluations.sample_page(get_service(), job, page=page, size=size, sort=sort, descending=descending))


@describes(json=True, answer="CSV: row, path, record and the metrics of each picture.")
def samples_csv(job_id: str) -> Response:
    """The metrics of every picture of an evaluation."""
    job = _job(job_id)
    evaluation_result(get_service(), job)
    reader = task_evaluations.outputs(get_service(), job)
    lines = ([number, *values] for number, values in enumerate(reader.values()))
    return evaluation_csv.answer(evaluation_csv.with_head(["row", "path", "record", *reader.metrics], lines), f"{job.id}.csv")


@describes(json=True, answer="PNG: the class of each pixel.")
def mask(job_id: str, row: int) -> Response:
    """The mask that was predicted for one picture."""
    data = task_evaluations.mask(get_service(), _job(job_id), row)
    headers = {"Content-Disposition": f'attachment; filename="{job_id}_{row}.png"'}
    return Response(data, mimetype="image/png", headers=headers)


@describes(json=True, answer="A zip of PNG files.")
def masks(job_id: str) -> Response:
    """All predicted masks."""
    path = task_evaluations.masks_zip(get_service(), _job(job_id))
    return send_file(path, as_attachment=True, download_name=f"{job_id}_masks.zip")


@describes(json=True, answer="COCO's results: `image_id` (the row), `category_id`, `bbox`, `score`.")
def coco(job_id: str) -> Any:
    """All boxes that were found."""
    return json_answer(list(task_evaluations.coco_results(get_service(), _job(job_id))))


def page_context(job: Job, result: dict[str, Any], spec: EvaluationSpec) -> dict[str, Any]:
    """What `inference/task_evaluation.html` needs beside what every job page has."""
    service = get_service()
    model = service.store.find(spec.model_id)
    baseline = _baseline(model, result, spec)
    return {
        "spec": spec,
        "model": model,
        "result": result,
        "title_of": title_of,
        "shown": shown,
        "baseline": baseline,
        "verdict": verdict(result, baseline),
        "columns": [name for name in (result["per_class"] or [{}])[0] if name != "label"],
        "problems": evaluations.problems(service, job, SHOWN_PROBLEMS),
        "worst": "desc" if _worst_first(result, result["key"]) else "asc",
    }


def _baseline(model: Job | None, result: dict[str, Any], spec: EvaluationSpec) -> BaselineEvent | None:
    """What the trivial answer scores on the same pictures: measured with them, or by the training on its validation split."""
    if result.get("baseline"):
        return BaselineEvent(**result["baseline"])
    own = model is not None and spec.split == "val_db" and spec.dataset_id == model.dataset_id and not spec.limit
    return read_history(get_service().folder(spec.model_id)).baseline if own else None


def shown(name: str, value: float | None) -> str:
    """A metric as text: shares in percent."""
    if value is None or not math.isfinite(value):
        return "–"
    unit = facts(name).unit
    return f"{100 * value:.2f} %" if unit == PERCENT else f"{value:.4g} {unit}".strip()


def title_of(name: str) -> str:
    """A metric as the head of a column."""
    return facts(name).column or facts(name).title


def verdict(result: dict[str, Any], baseline: BaselineEvent | None) -> list[str]:
    """What has to be said about the numbers: no better than the trivial answer, or classes that were not found at all."""
    key, said = result["key"], []
    own, trivial = result["metrics"].get(key), baseline.values.get(key) if baseline else None
    if baseline and own is not None and trivial is not None and not _better(own, trivial, result["lower_is_better"]):
        compared = f"{title_of(key)} {shown(key, own)} against {shown(key, trivial)}"
        said.append(f"The model is no better than the trivial answer ({baseline.description}): {compared}.")
    missing = [f"“{row['label']}”" for row in result["per_class"] if any(row[n] == 0 for n in row if facts(n).missed)]
    if missing:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        said.append(f"{', '.join(missing[:NAMED])}{more} {'is' if len(missing) == 1 else 'are'} not found in any picture.")
    return said


def _better(own: float, trivial: float, lower: bool) -> bool:
    """Whether a metric beats the trivial answer's, or that one is not known."""
    return not math.isfinite(trivial) or (own < trivial if lower else own > trivial)


def _worst_first(result: dict[str, Any], sort: str) -> bool:
    """Whether a descending order shows the worst first."""
    return bool(result["lower_is_better"]) if sort == result["key"] else False


def _job(job_id: str) -> Job:
    job = get_service().store.get(job_id, Kind.EVALUATION)
    if not task_evaluations.is_of_task(evaluation_result(get_service(), job)):
        raise BadRequest(f"{job.name} is an evaluation of classes.", advice="Ask /evaluations/ID/predictions.json.")
    return job
