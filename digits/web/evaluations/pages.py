"""Evaluations over HTTP: the page with progress, accuracy, confusion matrix and every picture; the same as JSON and CSV."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, request, url_for

from digits.domain.inference import EvaluationSpec
from digits.domain.jobs import Kind
from digits.domain.status import Status
from digits.errors import LoadImageError, NotFound
from digits.service.evaluations import inputs as pictures
from digits.service.evaluations import results as evaluations
from digits.service.evaluations.results import evaluation_result
from digits.service.evaluations.sample_pages import is_of_task
from digits.service.files import confine as paths
from digits.storage.jobs.store import Job
from digits.utils.names import is_address
from digits.web.evaluations import csv as evaluation_csv
from digits.web.evaluations import sample_pages as task_evaluations
from digits.web.http import arguments
from digits.web.http.request import describes, get_service, json_answer, render_job, route, wants_json

PAGE_SIZES = (25, 50, 100, 200)
LARGEST_PAGE = 1000
TOP_CATEGORIES = 40  # rows of the gallery on one page
TABLE_CLASSES = 24  # up to so many classes the matrix is a table; beyond it a chart
SHOWN_PROBLEMS = 200
ORDERS = ("asc", "desc")
SORTS = {"index": "List order", "confidence": "Confidence", "loss": "Loss", "label": "True class", "predicted": "Predicted class"}
SELECTION = {
    "page": "From 0.",
    "size": "Rows per page.",
    "only": "`wrong` or `right`.",
    "label": "True class (index).",
    "predicted": "Predicted class (index).",
    "sort": ", ".join(SORTS),
    "order": "`asc` or `desc`.",
}


def register(area: Blueprint) -> None:
    """Add the routes below `/evaluations`."""
    route(area, "/evaluations/<job_id>")(show_evaluation)
    area.add_url_rule("/evaluations/<job_id>/predictions.json", "evaluation_rows", rows)
    area.add_url_rule("/evaluations/<job_id>/predictions.csv", "evaluation_csv", rows_csv)
    area.add_url_rule("/evaluations/<job_id>/confusion.csv", "confusion_csv", confusion_csv)
    area.add_url_rule("/evaluations/<job_id>/classes.csv", "classes_csv", classes_csv)
    area.add_url_rule("/evaluations/<job_id>/top.json", "evaluation_top", top)
    area.add_url_rule("/evaluations/<job_id>/picture/<int:row>", "evaluation_picture", picture)
    task_evaluations.register(area)


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


@describes(json=True, answer="CSV: path, true class, five predictions with their probability, loss.")
def rows_csv(job_id: str) -> Response:
    """All predictions of an evaluation."""
    job = _job(job_id)
    labels = evaluation_result(get_service(), job)["class_labels"]
    return evaluation_csv.answer(_csv_rows(evaluations.predictions(get_service(), job), labels), f"{job.id}_predictions.csv")


@describes(json=True, answer="CSV: the confusion matrix, rows true, columns predicted.")
def confusion_csv(job_id: str) -> Response:
    """The confusion matrix of an evaluation."""
    job = _job(job_id)
    return evaluation_csv.answer(_csv_matrix(evaluation_result(get_service(), job)), f"{job.id}_confusion.csv")


@describes(json=True, answer="CSV: count, accuracy, precision, F1 of each class.")
def classes_csv(job_id: str) -> Response:
    """The numbers of each class of an evaluation."""
    job = _job(job_id)
    per_class = evaluation_result(get_service(), job)["per_class"]
    keys = list(per_class[0]) if per_class else ["label"]
    return evaluation_csv.answer([keys, *([row[key] for key in keys] for row in per_class)], f"{job.id}_classes.csv")


@describes(json=True, arguments={"size": "thumb or full."}, answer="PNG.")
def picture(job_id: str, row: int) -> Response:
    """One picture of an evaluation that read files."""
    job = _job(job_id)
    found = evaluations.predictions(get_service(), job)
    if row >= len(found):
        raise NotFound(f"This evaluation has no row {row}.")
    path = found.rows([row])[0].path
    if is_address(path):
        raise LoadImageError(f"{path} is not fetched again to be shown.")
    side = pictures.THUMB_SIDE if arguments.choice("size", ("thumb", "full"), "thumb") == "thumb" else 2048
    data = pictures.thumbnail(paths.readable_file(get_service(), path, "path"), side)
    response = Response(data, mimetype="image/png")
    response.cache_control.private = True
    response.cache_control.max_age = 3600
    return response


def render_page(job: Job) -> str:
    """The page of an evaluation: progress, or what came of it for its task."""
    service = get_service()
    if job.status == Status.DONE:
        result = evaluation_result(service, job)
        if is_of_task(result):
            spec = EvaluationSpec.from_json(service.folder(job.id).spec())
            return render_job("inference/task_evaluation.html", job, **task_evaluations.page_context(job, result, spec))
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
    """What `inference/evaluation.html` needs beside what every job page has."""
    service = get_service()
    spec = EvaluationSpec.from_json(service.folder(job.id).spec())
    context: dict[str, Any] = {"spec": spec, "model": service.store.find(spec.model_id), "result": None}
    if job.status != Status.DONE:
        return context
    result = evaluation_result(service, job)
    query = _page_of(PAGE_SIZES[0])
    found = evaluations.prediction_page(service, job, **query, **_selection())
    labels, top_page = result["class_labels"], arguments.whole("top_page", 0, most=2**31)
    return {
        **context,
        "result": result,
        "matrix": _matrix(result),
        "rows": [_row_dict(job, row, labels) for row in found.rows],
        "total": found.total,
        "pages": max(1, -(-found.total // query["size"])),
        "query": {**query, **{name: arguments.text(name) for name in ("only", "label", "predicted", "sort", "order")}},
        "sorts": SORTS,
        "page_sizes": PAGE_SIZES,
        "top": top_pictures(job, top_page * TOP_CATEGORIES, TOP_CATEGORIES),
        "top_page": top_page,
        "top_pages": max(1, -(-len(labels) // TOP_CATEGORIES)),
        "problems": evaluations.problems(service, job, SHOWN_PROBLEMS),
        "table_classes": TABLE_CLASSES,
        "link": _link,
    }


def top_pictures(job: Job, first: int = 0, count: int | None = None) -> dict[str, list[dict[str, Any]]]:
    """Category → its most confident pictures, best first: `row`, `path`, `percent`, `label` (true class or None), `picture`.

    `count` categories from number `first` on; all by default.
    """
    service = get_service()
    result = evaluation_result(service, job)
    labels = result["class_labels"]
    reader = evaluations.predictions(service, job)
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


def _matrix(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of the confusion matrix that are not empty: `index`, `label`, `cells` (one number per class), `accuracy`."""
    labels = result["class_labels"]
    cells: dict[int, list[int]] = {}
    for true, predicted, count in result["confusion"]:
        cells.setdefault(true, [0] * len(labels))[predicted] = count
    return [
        {"index": i, "label": labels[i], "cells": row, "count": sum(row), "accuracy": row[i] / sum(row)}
        for i, row in sorted(cells.items())
    ]


def _csv_rows(reader: Any, labels: list[str]) -> Iterator[list[Any]]:
    best = [name for n in range(1, 6) for name in (f"prediction {n}", f"probability {n}")]
    yield ["path", "label", "correct", "loss", *best]
    for batch in reader.batches():
        for row in batch:
            top = [value for i, score in row.top[:5] for value in (labels[i], f"{score:.6f}")]
            label = labels[row.label] if row.label >= 0 else ""
            yield [row.path, label, "" if row.correct is None else int(row.correct), row.loss, *top]


def _csv_matrix(result: dict[str, Any]) -> Iterator[list[Any]]:
    yield ["true \\ predicted", *result["class_labels"], "accuracy"]
    for row in _matrix(result):
        yield [row["label"], *row["cells"], f"{row['accuracy']:.6f}"]
