"""Reviewing the pictures of an evaluation over HTTP, lists of chosen ones, and the thresholds that are chosen by its curves."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, request, url_for

from digits.domain.access import Scope
from digits.domain.jobs import Kind
from digits.service.evaluations import review
from digits.service.evaluations.analysis import choose_threshold
from digits.service.evaluations.to_dataset import Choice, words_of
from digits.service.evaluations.to_dataset import to_dataset as make_dataset
from digits.service.models.thresholds import thresholds_of
from digits.storage.jobs.store import Job
from digits.utils import values
from digits.web.evaluations import pages
from digits.web.evaluations.downloads import as_csv
from digits.web.http import arguments
from digits.web.http.access import needs
from digits.web.http.request import check_edit, describes, get_service, json_answer, require_user, wants_json

REVIEW = "`counts` by verdict, and `rows`: row → verdict, user, time."
FORM = "/datasets/images/classification/new"


def register(area: Blueprint) -> None:
    """Add the routes."""
    area.add_url_rule("/evaluations/<job_id>/review.json", "evaluation_review", show)
    area.add_url_rule("/evaluations/<job_id>/review.json", "judge_pictures", judge, methods=["POST"])
    area.add_url_rule("/evaluations/<job_id>/review.csv", "evaluation_review_csv", as_table)
    area.add_url_rule("/evaluations/<job_id>/list.txt", "evaluation_list", as_list)
    area.add_url_rule("/evaluations/<job_id>/send", "send_pictures", send, methods=["POST"])
    area.add_url_rule("/evaluations/<job_id>/send.json", "send_pictures_json", send, methods=["POST"])
    area.add_url_rule("/evaluations/<job_id>/to_dataset", "evaluation_to_dataset", to_dataset, methods=["POST"])
    area.add_url_rule("/evaluations/<job_id>/to_dataset.json", "evaluation_to_dataset_json", to_dataset, methods=["POST"])
    area.add_url_rule("/evaluations/<job_id>/threshold.json", "choose_threshold", choose, methods=["POST"])
    area.add_url_rule("/models/<job_id>/thresholds.json", "model_thresholds", show_thresholds)


@describes(json=True, answer=REVIEW)
def show(job_id: str) -> Any:
    """What was said of the pictures of an evaluation."""
    return json_answer(review.as_json(review.review_of(get_service(), _job(job_id))))


@describes(
    json=True,
    form={
        "row": "The picture, a row of the evaluation; may be repeated.",
        "verdict": f"{', '.join(review.VERDICTS)}; empty takes back what was said.",
    },
    answer=REVIEW,
)
@needs(Scope.RUN)
def judge(job_id: str) -> Any:
    """Say of pictures what is wrong: the label, the picture or the model."""
    service, job, user = get_service(), _job(job_id), require_user()
    arguments.required("row")
    rows = [values.whole(text, "row", least=0) for text in arguments.items("row") or ()]
    review.judge(service, job, rows, arguments.text("verdict"), user)
    return json_answer(review.as_json(review.review_of(service, job)))


@describes(json=True, answer="CSV: row, path, record, true and predicted class, verdict, user, time.")
def as_table(job_id: str) -> Response:
    """What was said of the pictures of an evaluation, as a table."""
    job = _job(job_id)
    return as_csv(review.review_rows(get_service(), job), f"{job.id}_review.csv")


@describes(json=True, arguments=pages.BY_CLASS, answer="A list of pictures, `path [class-number]` a line.")
def as_list(job_id: str) -> Response:
    """The chosen pictures of an evaluation as a list that a new data set takes."""
    job = _job(job_id)
    lines = review.list_lines(get_service(), job, **pages.selection(job))
    headers = {"Content-Disposition": f'attachment; filename="{job.id}_pictures.txt"'}
    return Response((line.encode(errors="surrogateescape") for line in lines), mimetype="text/plain", headers=headers)


@describes(
    form=pages.BY_CLASS,
    answer="`list_file` and `labels_file` on the server, `count` of pictures, and `form`: the address of a new data set that has "
    "them filled in, of classification (else null). A page: redirect there, or the list.",
)
def send(job_id: str) -> Any:
    """Send the chosen pictures of an evaluation to a new data set: write a list, and open the form with it."""
    service, job = get_service(), _job(job_id)
    require_user()
    listed, labels, count = review.write_list(service, job, **pages.selection(job))
    address = _form(listed, labels) if labels is not None else None
    if not wants_json():
        listing = f"{url_for('inference.evaluation_list', job_id=job.id)}?{request.query_string.decode()}"
        return redirect(address or listing, 303)
    names = {"list_file": str(listed), "labels_file": str(labels) if labels else None}
    return json_answer({**names, "count": count, "form": address})


@describes(
    json=True,
    form={
        "label": "The class; empty, or left out: all classes of a detection model, or the only one there is.",
        "threshold": "From which score on it counts, 0 to 1; empty forgets it.",
    },
    answer="`label`, `threshold`, what it does (`precision`, `recall`, `f1`, `right`, `wrong`, `missed`, counted at the lowest "
    "known score from it on, `counted_at`), and all `thresholds` of the model.",
)
def choose(job_id: str) -> Any:
    """Choose the score from which on a class counts, by an evaluation; it is kept with the model."""
    service, job = get_service(), _job(job_id)
    model = service.store.find(str(job.summary.get("model_id", "")))
    user = check_edit(model) if model is not None else require_user()
    text = arguments.text("threshold")
    threshold = values.decimal(text, "threshold") if text else None
    return json_answer(choose_threshold(service, job, arguments.text("label"), threshold, user))


@describes(json=True, answer="`thresholds` by label (empty: all classes), with their effect and where they were chosen.")
def show_thresholds(job_id: str) -> Any:
    """The thresholds that were chosen for a model."""
    model = get_service().store.get(job_id, Kind.MODEL)
    return json_answer({"thresholds": thresholds_of(get_service(), model.id)})


@describes(
    form={
        **pages.BY_CLASS,
        "row": "These pictures, rows of the evaluation; may be repeated.",
        "most": "Only the first N of those that are chosen, the worst first.",
        "name": "Of the new data set.",
        "group_name": "Of the new data set.",
        "percent_val": "How many percent are for the validation (0).",
    },
    answer="`id` and `name` of the new data set's job, `count` of its pictures, `left_out`: pictures that were chosen, but the "
    "review says that their label is wrong or they are bad; `unlabelled`: of which nothing true is known. A page: its page.",
)
def to_dataset(job_id: str) -> Any:
    """Make a new data set of pictures of an evaluation, with their true labels: without a choice of those that were wrong."""
    service, job, user = get_service(), _job(job_id), require_user()
    rows = [values.whole(text, "row", least=0) for text in arguments.items("row") or ()]
    most, chosen = arguments.whole("most", 0, most=2**31), pages.selection(job)
    by_class = {name: chosen[name] for name in ("only", "label", "predicted")}
    choice = Choice(chosen, rows, most, words_of(rows, most, arguments.text("review"), **by_class))
    name, group = arguments.text("name"), arguments.text("group_name")
    sent = make_dataset(
        service, job, choice, name=name, group=group, percent_val=arguments.decimal("percent_val", 0.0), owner=user
    )
    if not wants_json():
        return redirect(url_for("jobs.show", job_id=sent.job.id), 303)
    counts = {"count": sent.count, "left_out": sent.left_out, "unlabelled": sent.unlabelled}
    return json_answer({"id": sent.job.id, "name": sent.job.name, **counts})


def _job(job_id: str) -> Job:
    return get_service().store.get(job_id, Kind.EVALUATION)


def _form(listed: Any, labels: Any) -> str:
    """The form of a new data set of classification with the list filled in."""
    from urllib.parse import urlencode

    fields = {
        "method": "textfile",
        "textfile_use_local_files": "1",
        "textfile_local_train_images": str(listed),
        "textfile_local_labels_file": str(labels),
    }
    return f"{request.script_root}{FORM}?{urlencode(fields, errors='surrogateescape')}"
