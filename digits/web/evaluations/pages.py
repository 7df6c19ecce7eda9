"""Evaluations of every task over HTTP: the page with progress, metrics, classes and every picture; the same as JSON."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request, url_for

from digits.domain.events import BaselineEvent
from digits.domain.inference import RANKED, EvaluationSpec
from digits.domain.jobs import Kind, Status
from digits.domain.metrics import column_title, facts, gained_text, value_text
from digits.domain.training import TaskOptions
from digits.service.evaluations import results as evaluations
from digits.service.evaluations.analysis import analysis_of
from digits.service.evaluations.downloads import confusion
from digits.service.evaluations.results import evaluation_result, is_ranked, picture_key
from digits.service.evaluations.review import CHOICES, Verdict, chosen_rows, counts_of, review_of
from digits.storage.jobs.store import Job
from digits.utils.names import is_address
from digits.web.evaluations.analysis import analysis_context
from digits.web.http import arguments
from digits.web.http.request import describes, get_service, json_answer, render_job, route, shows_damage, wants_json

LARGEST_PAGE = 1000
PAGE_SIZES = (24, 48, 96, 192)  # pictures on a page of the gallery
SAMPLES, MOST_SAMPLES = PAGE_SIZES[0], 200  # by default, at most
TOP_CATEGORIES = 40  # classes on one page with their most confident pictures
TABLE_CLASSES = 24  # up to so many classes the matrix is a table; beyond it a chart
SHOWN_PROBLEMS = 200
ORDERS = ("asc", "desc")
SORTS = {"index": "List order", "confidence": "Confidence", "loss": "Loss", "label": "True class", "predicted": "Predicted class"}
BY_CLASS = {
    "review": f"Only pictures of which this was said: {', '.join(CHOICES)}.",
    "only": "`wrong` or `right`.",
    "label": "True class (index).",
    "predicted": "Predicted class (index).",
}
PAGE_ORDER = {"page": "From 0.", "order": "`asc` or `desc`."}
OF_ROWS = {**BY_CLASS, **PAGE_ORDER, "size": "Rows per page.", "sort": ", ".join(SORTS)}
OF_SAMPLES = {
    **BY_CLASS,
    **PAGE_ORDER,
    "size": f"Pictures per page ({SAMPLES}).",
    "sort": f"A metric of one picture, of classes {', '.join(SORTS)}; empty: the order of the list.",
}


def register(area: Blueprint) -> None:
    """Add the routes below `/evaluations`."""
    route(area, "/evaluations/<job_id>")(show_evaluation)
    area.add_url_rule("/evaluations/<job_id>/predictions.json", "evaluation_rows", rows)
    area.add_url_rule("/evaluations/<job_id>/top.json", "evaluation_top", top)
    area.add_url_rule("/evaluations/<job_id>/samples.json", "evaluation_samples", samples)


@shows_damage
@describes(
    arguments={**OF_SAMPLES, "top_page": "Page of the most confident pictures (page only), from 0."},
    answer="id, name, status, model_id, snapshot_epoch and, when it is done, `result`.",
)
def show_evaluation(job_id: str) -> Any:
    """An evaluation."""
    job = _job(job_id)
    if wants_json():
        return json_answer(evaluation_dict(job))
    return render_page(job)


@describes(arguments=OF_ROWS, answer="`total` and `rows`: path, label, predictions, loss, correct.")
def rows(job_id: str) -> Any:
    """A page of an evaluation's predictions."""
    job = _job(job_id)
    result = evaluation_result(get_service(), job)
    reader = evaluations.predictions(get_service(), job, RANKED)
    found = evaluations.prediction_page(reader, **_page_of(50, LARGEST_PAGE), **_by_class(), **_among(job), **_order("index"))
    return json_answer({"total": found.total, "rows": [_row_dict(job, row, result) for row in found.rows]})


@describes(answer="Category → its most confident pictures, best first: row, path, percent, label.")
def top(job_id: str) -> Any:
    """The most confident pictures of each category of an evaluation."""
    return json_answer(top_pictures(_job(job_id)))


@describes(json=True, arguments=OF_SAMPLES, answer="`kind`, `class_labels`, `colours`, `total`, `samples` with their outputs.")
def samples(job_id: str) -> Any:
    """A page of an evaluation's pictures with outputs and ground truth; by default the worst first."""
    job = _job(job_id)
    result = evaluation_result(get_service(), job)
    key, highest = picture_key(result)
    order = _order(key, worst=key if highest else "")
    review = review_of(get_service(), job)
    among = _among(job, review)
    page = evaluations.sample_page(get_service(), job, result, **_page_of(SAMPLES, MOST_SAMPLES), **_by_class(), **among, **order)
    for sample in page["samples"]:
        said = review.get(sample["row"])
        sample["verdict"] = said.verdict if said else ""
        picture = _address(job, sample["row"], sample["record"], sample["path"])
        sample["picture"] = picture.replace("size=thumb", "size=full")
        sample.setdefault("input", picture)
    return json_answer(page)


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
        **({"every": job.summary["every"]} if "every" in job.summary else {}),
    }
    if job.status != Status.DONE:
        return value
    service = get_service()
    result, review = evaluation_result(service, job), counts_of(review_of(service, job))
    return {**value, "result": result, "analysis": analysis_of(service, job), "review": review}


def page_context(job: Job) -> dict[str, Any]:
    """What `inference/evaluation.html` needs beside what every job page has: sections come from what the result holds."""
    service = get_service()
    spec = EvaluationSpec.from_json(service.folder(job.id).spec())
    model = service.store.find(spec.model_id)
    context: dict[str, Any] = {"spec": spec, "model": model, "result": None}
    if job.status != Status.DONE:
        return context
    result = evaluation_result(service, job)
    _check_choice(result)
    baseline = evaluations.baseline_of(service, job, result)
    return {
        **context,
        "result": result,
        "file": evaluations.predictions_name(service, job),
        "baseline": baseline,
        "verdict": evaluations.verdict(result, baseline),
        "about_classes": evaluations.about_classes(result),
        "counted": evaluations.task_of_result(result).words_of(TaskOptions.from_json(result["options"])),
        "title_of": title_of,
        "over": over,
        "parts": evaluations.task_of_result(result).parts,
        "head_of": column_title,
        "shown": value_text,
        "gained": gained_text,
        "answered": spec.answering.words,
        "columns": [name for name in (result["per_class"] or [{}])[0] if name != "label"],
        "compared": () if baseline is None or is_ranked(result) else compared(result, baseline),
        "problems": evaluations.problems(service, job, SHOWN_PROBLEMS),
        "matrix": confusion(result) if "confusion" in result else [],
        "table_classes": TABLE_CLASSES,
        "orders": orders(result),
        "page_sizes": PAGE_SIZES,
        "ranked": is_ranked(result),
        **analysis_context(job, result, model),
        **(_best_of_classes(job, result) if is_ranked(result) else {}),
    }


def _best_of_classes(job: Job, result: dict[str, Any]) -> dict[str, Any]:
    """The most confident pictures of some classes."""
    top_page = arguments.whole("top_page", 0, most=2**31)
    return {
        "top": top_pictures(job, top_page * TOP_CATEGORIES, TOP_CATEGORIES),
        "top_page": top_page,
        "top_pages": max(1, -(-len(result["class_labels"]) // TOP_CATEGORIES)),
    }


def _check_choice(result: dict[str, Any]) -> None:
    """BadRequest for a choice of pictures that makes no sense: the gallery reads it from the page's address."""
    _page_of(SAMPLES, MOST_SAMPLES)
    _by_class()
    arguments.choice("review", CHOICES, "")
    arguments.choice("sort", SORTS if is_ranked(result) else ("index", *result["columns"]), "index")
    arguments.choice("order", ORDERS, "asc")


def orders(result: dict[str, Any]) -> dict[str, str]:
    """The orders of the gallery, that which it begins with first: `sort order` → words."""
    key, highest = picture_key(result)
    worst, best = ("desc", "asc") if highest else ("asc", "desc")
    found = {f"{key} {worst}": "Worst first", f"{key} {best}": "Best first"} if key else {}
    found["index asc"] = SORTS["index"]
    numbers = ["confidence"] if is_ranked(result) else [name for name in result["columns"] if name != key]
    for name in numbers:
        title = SORTS.get(name) or title_of(name)
        found |= {f"{name} asc": f"{title}, low to high", f"{name} desc": f"{title}, high to low"}
    classes = ("label", "predicted") if result["labelled"] else ("predicted",)
    return {**found, **({f"{name} asc": SORTS[name] for name in classes} if is_ranked(result) else {})}


def title_of(name: str) -> str:
    """A metric of all pictures, or of one."""
    return facts(name).title


def over(name: str) -> str:
    """What a metric is taken over, in words."""
    return facts(name).over


def compared(result: dict[str, Any], baseline: BaselineEvent) -> set[str]:
    """Metrics of single classes or columns that the baseline has too."""
    return {name for row in result["per_class"] for name in row if f"{name}/{row['label']}" in baseline.values}


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
                "label": evaluations.true_class(known[number], result),
                "picture": _address(job, number, known[number].record, known[number].path),
            }
            for number, score in best
        ]
        for index, best in chosen
    }


def _job(job_id: str) -> Job:
    return get_service().store.get(job_id, Kind.EVALUATION)


def _page_of(size: int, most: int) -> dict[str, Any]:
    """The page that is requested and its size, by default `size`."""
    return {"page": arguments.whole("page", 0, most=2**31), "size": arguments.whole("size", size, least=1, most=most)}


def _by_class() -> dict[str, Any]:
    """Which pictures are requested."""
    return {  # as keywords of `PredictionReader.select`
        "only": arguments.choice("only", ("wrong", "right"), ""),
        "label": arguments.whole("label", None, most=2**31),
        "predicted": arguments.whole("predicted", None, most=2**31),
    }


def _among(job: Job, review: dict[int, Verdict] | None = None) -> dict[str, Any]:
    """Of the pictures that were reviewed those that are requested."""
    wanted = arguments.choice("review", CHOICES, "")
    if not wanted:
        return {"among": None}
    service = get_service()
    found = review_of(service, job) if review is None else review
    return {"among": chosen_rows(found, wanted, len(evaluations.predictions(service, job)))}


def selection(job: Job) -> dict[str, Any]:
    """The pictures that a request means, worst first, as `results.chosen_numbers` takes them."""
    key, highest = picture_key(evaluation_result(get_service(), job))
    return {**_by_class(), **_among(job), **_order(key or "index", worst=key if highest else "")}


def _order(usual: str, worst: str = "") -> dict[str, Any]:
    """In which order they are requested, by default sorted by `usual`, and by the number `worst` from its highest value down."""
    sort = arguments.given("sort")
    sort = usual if sort is None else sort.strip() or "index"
    order = arguments.choice("order", ORDERS, "desc" if worst and sort == worst else "asc")
    return {"sort": sort, "descending": order == "desc"}


def _row_dict(job: Job, row: Any, result: dict[str, Any]) -> dict[str, Any]:
    labels = result["class_labels"]
    return {
        "row": row.index,
        "path": row.path,
        "label": evaluations.true_class(row, result),
        "predictions": [[labels[i], round(score * 100, 2)] for i, score in row.top[:5]],
        "loss": row.loss,
        "correct": row.correct,
        "picture": _address(job, row.index, row.record, row.path),
    }


def _address(job: Job, row: int, record: int, path: str) -> str:
    """Where a small picture of one row is; empty for those that are fetched no second time."""
    if record < 0:
        return "" if is_address(path) else url_for("inference.evaluation_picture", job_id=job.id, row=row, size="thumb")
    split = str(job.summary.get("split", "")).removesuffix("_db")
    dataset = job.summary.get("dataset_id") or job.dataset_id
    return f"{request.script_root}/datasets/{dataset}/picture?db={split}&index={record}&size=thumb"
