"""Evaluations of every task over HTTP: the page with progress, metrics, classes and every picture; the same as JSON."""

from __future__ import annotations

import math
from typing import Any

from flask import Blueprint, request, url_for

from digits.domain.events import BaselineEvent
from digits.domain.inference import EvaluationSpec
from digits.domain.jobs import Kind, Status
from digits.domain.metrics import PERCENT, facts
from digits.service.evaluations import results as evaluations
from digits.service.evaluations import sample_pages
from digits.service.evaluations.results import evaluation_result, is_ranked
from digits.service.models.history import read_history
from digits.storage.jobs.store import Job
from digits.utils.names import is_address
from digits.web.evaluations import downloads
from digits.web.http import arguments
from digits.web.http.request import describes, get_service, json_answer, render_job, route, wants_json

PAGE_SIZES = (25, 50, 100, 200)
LARGEST_PAGE = 1000
SAMPLES, MOST_SAMPLES = 24, 200  # on a page of the gallery: by default, at most
TOP_CATEGORIES = 40  # rows of the gallery on one page
TABLE_CLASSES = 24  # up to so many classes the matrix is a table; beyond it a chart
SHOWN_PROBLEMS = 200
NAMED = 5  # classes that a sentence names
ORDERS = ("asc", "desc")
SORTS = {"index": "List order", "confidence": "Confidence", "loss": "Loss", "label": "True class", "predicted": "Predicted class"}
COUNTS = {"count": "Pictures", "predicted": "Predicted", "correct": "Right"}  # numbers of a class that are no metrics
SELECTION = {
    "page": "From 0.",
    "size": "Rows per page.",
    "only": "`wrong` or `right`.",
    "label": "True class (index).",
    "predicted": "Predicted class (index).",
    "sort": ", ".join(SORTS),
    "order": "`asc` or `desc`.",
}
OF_SAMPLES = {
    "page": "From 0.",
    "size": f"Pictures per page ({SAMPLES}).",
    "sort": "A metric of one picture; empty: the order of the list.",
    "order": "`asc` or `desc`.",
}


def register(area: Blueprint) -> None:
    """Add the routes below `/evaluations`."""
    route(area, "/evaluations/<job_id>")(show_evaluation)
    area.add_url_rule("/evaluations/<job_id>/predictions.json", "evaluation_rows", rows)
    area.add_url_rule("/evaluations/<job_id>/top.json", "evaluation_top", top)
    area.add_url_rule("/evaluations/<job_id>/samples.json", "evaluation_samples", samples)
    downloads.register(area)


@describes(
    arguments={**SELECTION, "top_page": "Page of the most confident pictures (page only), from 0."},
    answer="id, name, status, model_id, snapshot_epoch and, when it is done, `result`.",
)
def show_evaluation(job_id: str) -> Any:
    """An evaluation."""
    job = _job(job_id)
    if wants_json():
        return json_answer(evaluation_dict(job))
    return render_page(job)


@describes(arguments=SELECTION, answer="`total` and `rows`: path, label, predictions, loss, correct.")
def rows(job_id: str) -> Any:
    """A page of an evaluation's predictions."""
    job = _job(job_id)
    labels = evaluation_result(get_service(), job)["class_labels"]
    found = evaluations.prediction_page(get_service(), job, **_page_of(50), **_selection())
    return json_answer({"total": found.total, "rows": [_row_dict(job, row, labels) for row in found.rows]})


@describes(answer="Category → its most confident pictures, best first: row, path, percent, label.")
def top(job_id: str) -> Any:
    """The most confident pictures of each category of an evaluation."""
    return json_answer(top_pictures(_job(job_id)))


@describes(json=True, arguments=OF_SAMPLES, answer="`kind`, `class_labels`, `colours`, `total`, `samples` with their outputs.")
def samples(job_id: str) -> Any:
    """A page of an evaluation's pictures with outputs and ground truth; by default the worst first."""
    job = _job(job_id)
    result = evaluation_result(get_service(), job)
    sort = arguments.given("sort")
    sort = (result["key"] if result["columns"] else "") if sort is None else sort
    usual = "desc" if _worst_first(result, sort) else "asc"
    descending = arguments.choice("order", ORDERS, usual) == "desc"
    page, size = arguments.whole("page", 0, most=2**31), arguments.whole("size", SAMPLES, least=1, most=MOST_SAMPLES)
    return json_answer(sample_pages.sample_page(get_service(), job, page=page, size=size, sort=sort, descending=descending))


def render_page(job: Job) -> str:
    """The page of an evaluation: progress, or what came of it."""
    return render_job("inference/evaluation.html", job, **page_context(job))


def evaluation_dict(job: Job) -> dict[str, Any]:
    """The JSON of an evaluation."""
    value = {
        "id": job.id,
        "name": job.name,
        "status": job.status.word,
        "progress": job.progress,
        "error": job.error,
        "model_id": job.summary.get("model_id", ""),
        "snapshot_epoch": job.summary.get("epoch"),
        "source": job.summary.get("source", ""),
        "split": job.summary.get("split", ""),
    }
    return {**value, "result": evaluation_result(get_service(), job)} if job.status == Status.DONE else value


def page_context(job: Job) -> dict[str, Any]:
    """What `inference/evaluation.html` needs beside what every job page has: sections come from what the result holds."""
    service = get_service()
    spec = EvaluationSpec.from_json(service.folder(job.id).spec())
    model = service.store.find(spec.model_id)
    context: dict[str, Any] = {"spec": spec, "model": model, "result": None}
    if job.status != Status.DONE:
        return context
    result = evaluation_result(service, job)
    baseline = _baseline(model, result, spec)
    return {
        **context,
        "result": result,
        "file": evaluations.predictions_name(service, job),
        "baseline": baseline,
        "verdict": verdict(result, baseline),
        "title_of": title_of,
        "head_of": head_of,
        "shown": shown,
        "columns": [name for name in (result["per_class"] or [{}])[0] if name != "label"],
        "problems": evaluations.problems(service, job, SHOWN_PROBLEMS),
        "matrix": downloads.confusion_rows(result) if "confusion" in result else [],
        "table_classes": TABLE_CLASSES,
        "worst": "desc" if _worst_first(result, result["key"]) else "asc",
        **(_ranked_context(job, result) if is_ranked(result) else {}),
    }


def _ranked_context(job: Job, result: dict[str, Any]) -> dict[str, Any]:
    """The table of pictures with their most probable classes, as it is asked for, and the best pictures of each class."""
    query = _page_of(PAGE_SIZES[0])
    found = evaluations.prediction_page(get_service(), job, **query, **_selection())
    labels, top_page = result["class_labels"], arguments.whole("top_page", 0, most=2**31)
    return {
        "rows": [_row_dict(job, row, labels) for row in found.rows],
        "total": found.total,
        "pages": max(1, -(-found.total // query["size"])),
        "query": {**query, **{name: arguments.text(name) for name in ("only", "label", "predicted", "sort", "order")}},
        "sorts": SORTS,
        "page_sizes": PAGE_SIZES,
        "top": top_pictures(job, top_page * TOP_CATEGORIES, TOP_CATEGORIES),
        "top_page": top_page,
        "top_pages": max(1, -(-len(labels) // TOP_CATEGORIES)),
        "link": _link,
    }


def _baseline(model: Job | None, result: dict[str, Any], spec: EvaluationSpec) -> BaselineEvent | None:
    """What the trivial answer scores on the same pictures: measured with them, or by the training on its validation split."""
    if result.get("baseline"):
        return BaselineEvent(**result["baseline"])
    own = model is not None and spec.split == "val_db" and spec.dataset_id == model.dataset_id and not spec.limit
    return read_history(get_service().folder(spec.model_id)).baseline if own else None


def shown(name: str, value: float | None) -> str:
    """A metric as text: shares in percent, counts whole."""
    if value is None or not math.isfinite(value):
        return "–"
    if name in COUNTS:
        return f"{value:,}"
    unit = facts(name).unit
    return f"{100 * value:.2f} %" if unit == PERCENT else f"{value:.4g} {unit}".strip()


def title_of(name: str) -> str:
    """A metric of all pictures, or of one."""
    return facts(name).title


def head_of(name: str) -> str:
    """A number of one class as the head of a column."""
    return COUNTS.get(name) or facts(name).column or facts(name).title


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


def top_pictures(job: Job, first: int = 0, count: int | None = None) -> dict[str, list[dict[str, Any]]]:
    """Category → its most confident pictures, best first: `row`, `path`, `percent`, `label` (true class or None), `picture`.

    `count` categories from number `first` on; all by default.
    """
    service = get_service()
    result = evaluation_result(service, job)
    labels = result["class_labels"]
    reader = evaluations.predictions(service, job, evaluations.RANKED)
    chosen = list(result["top"].items())[first : None if count is None else first + count]
    numbers = sorted({row for _, best in chosen for row, _ in best})
    known = dict(zip(numbers, reader.rows(numbers), strict=True))
    return {
        labels[int(index)]: [
            {
                "row": number,
                "path": known[number].path,
                "percent": round(score * 100, 2),
                "label": labels[known[number].label] if known[number].label >= 0 else None,
                "picture": _address(job, known[number]),
            }
            for number, score in best
        ]
        for index, best in chosen
    }


def _link(query: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The arguments of another view of the pictures: what `changes` names is replaced; then the list starts at its beginning."""
    return {k: v for k, v in {**query, "page": 0, **changes}.items() if v not in ("", None) and (k, v) != ("page", 0)}


def _job(job_id: str) -> Job:
    return get_service().store.get(job_id, Kind.EVALUATION)


def _page_of(size: int) -> dict[str, int]:
    """The page that is requested and its size, by default `size`."""
    return {
        "page": arguments.whole("page", 0, most=2**31),
        "size": arguments.whole("size", size, least=1, most=LARGEST_PAGE),
    }


def _selection() -> dict[str, Any]:
    """Which rows are requested, and in which order."""
    return {
        "only": arguments.choice("only", ("wrong", "right"), ""),
        "label": arguments.whole("label", None, most=2**31),
        "predicted": arguments.whole("predicted", None, most=2**31),
        "sort": arguments.choice("sort", SORTS, "index"),
        "descending": arguments.choice("order", ORDERS, "asc") == "desc",
    }


def _row_dict(job: Job, row: Any, labels: list[str]) -> dict[str, Any]:
    return {
        "row": row.index,
        "path": row.path,
        "label": labels[row.label] if row.label >= 0 else None,
        "predictions": [[labels[i], round(score * 100, 2)] for i, score in row.top[:5]],
        "loss": row.loss,
        "correct": row.correct,
        "picture": _address(job, row),
    }


def _address(job: Job, row: Any) -> str:
    if row.record < 0:
        return "" if is_address(row.path) else url_for("inference.evaluation_picture", job_id=job.id, row=row.index)
    split = str(job.summary.get("split", "")).removesuffix("_db")
    dataset = job.summary.get("dataset_id") or job.dataset_id
    return f"{request.script_root}/datasets/{dataset}/picture?db={split}&index={row.record}&size=thumb"
