"""Evaluations begin over HTTP: on a split, a list or a folder for a model of any task; many pictures or the best of each
category as scripts of classification have it (R 5).

These are jobs. The `.json` call of classification waits for the result and removes the job (`keep=1` keeps it, `wait=0` answers
with the job), a page shows its progress.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Blueprint, redirect, url_for

from digits.domain.inference import RANKED
from digits.domain.jobs import PREDICTING, Kind, Status
from digits.errors import BadRequest
from digits.service import jobs as job_actions
from digits.service.evaluations import create as evaluations
from digits.service.evaluations import predict as inference
from digits.service.evaluations.answering import FIELDS
from digits.service.evaluations.results import evaluation_result, predictions
from digits.service.files import confine as paths
from digits.service.files.form_files import drop_form_file, save_form_file
from digits.storage.jobs.store import Job
from digits.web.evaluations import pages
from digits.web.evaluations.asked import asked_answering
from digits.web.http import arguments
from digits.web.http.request import current_user, describes, get_service, json_answer, route, wants_json

CLASSIFICATION = "/models/images/classification"
PAGE_WAIT_SECONDS = 20.0  # a page that did not send `wait=0` shows the result when it comes within so long
MANY = {
    "job_id": "The model.",
    "image_list": "An uploaded text file (or its path on the server): `path [label]` a line.",
    "image_folder": "Where relative paths start; without a list every picture below it is taken.",
    "num_test_images": "Only the first N.",
    "snapshot_epoch": "Which snapshot, also `best` or `start`; absent, 0 or -1: the newest.",
    **FIELDS,
    "wait": "0: answer with the job at once.",
    "keep": "1: keep the evaluation after answering.",
}


def register(area: Blueprint) -> None:
    """Add the routes."""
    for name, handler in (("classify_many", classify_many), ("top_n", top_n)):
        area.add_url_rule(f"{CLASSIFICATION}/{name}", name, handler, methods=["GET", "POST"])
        area.add_url_rule(f"{CLASSIFICATION}/{name}.json", f"{name}_json", handler, methods=["POST"])
    route(area, "/models/<job_id>/evaluate", methods=("POST",))(evaluate)


@describes(form=MANY, answer="`classifications`: path → the five best `[label, percent]`; accuracies where known.")
def classify_many() -> Any:
    """Classify the pictures of a list or of a folder."""
    return _many(_classifications)


@describes(form={**MANY, "top_n": "Pictures per category (9)."}, answer="`top_n`: category → its most confident pictures.")
def top_n() -> Any:
    """The most confident pictures of each category."""
    return _many(lambda job: {"top_n": pages.top_pictures(job)}, anchor="top", form=("top_n",))


@describes(
    form={
        "split": "train, val or test; left out where a list, a folder or a video is sent.",
        "snapshot_epoch": "Which snapshot.",
        "dataset": "Another data set of the same classes; `dataset_id` too.",
        "other": "The same in one: its id, a slash and the split.",
        "image_list": "Instead of a split: an uploaded text file (or its path on the server) with one path a line.",
        "image_folder": "Where relative paths start; without a list every picture below it is taken.",
        "video": "Instead of a split: a video on the server, or an animated picture, whose frames are predicted.",
        "video_file": "The same, uploaded.",
        "every": "Of a video only every Nth frame (1).",
        "num_test_images": "Only the first N.",
        "dont_resize": "Keep the sizes of the pictures.",
        **FIELDS,
        "wait": "1: wait.",
    },
    answer="The evaluation.",
)
def evaluate(job_id: str) -> Any:
    """Evaluate a model on a split of its data set or another one, or predict the pictures of a list or a folder."""
    service = get_service()
    model = service.store.get(job_id, *PREDICTING)
    other, _, other_split = (arguments.text("other") or arguments.dataset()).partition("/")
    with _sent_file("image_list") as listed, _sent_file("video_file", "video") as video:
        is_files = listed is not None or video is not None or bool(arguments.text("image_folder"))
        if video is not None and (listed is not None or arguments.text("image_folder")):
            raise BadRequest("A video, a list and a folder exclude each other.", advice="Send one of them.")
        job = _start(
            model,
            listed,
            split="" if is_files else other_split or arguments.text("split", "val"),
            dataset=service.store.get(other, Kind.DATASET) if other else None,
            dont_resize=arguments.flag("dont_resize"),
            video=video,
            every=arguments.whole("every", 1, least=1, most=2**31),
        )
    if arguments.flag("wait"):
        job = evaluations.wait(service, job)
    if wants_json():
        return json_answer(pages.evaluation_dict(job))
    return redirect(url_for("inference.show_evaluation", job_id=job.id), 303)


def _many(answer: Any, anchor: str = "", form: tuple[str, ...] = ()) -> Any:
    service = get_service()
    model = arguments.job(*PREDICTING)
    inference.check_classifies(model)
    with _sent_file("image_list") as listed:
        job = _start(model, listed, form={name: value for name in form if (value := arguments.text(name))})
    wait = arguments.flag("wait", True)
    if not wants_json():
        return _page(job, wait, anchor)
    if not wait:
        return json_answer(pages.evaluation_dict(job))
    job = evaluations.wait(service, job)
    if job.status == Status.ERROR:
        raise evaluations.failure(service, job)
    value = answer(job)
    if arguments.flag("keep"):
        value["job_id"] = job.id
    else:
        job_actions.delete(service, job)
    return json_answer(value)


def _start(model: Job, listed: Path | None, **chosen: Any) -> Job:
    """The evaluation that the request describes, of the pictures in a list or in its folder, or of what is `chosen`."""
    return evaluations.start_evaluation(
        get_service(),
        model,
        snapshot_epoch=arguments.text("snapshot_epoch"),
        list_file=listed,
        folder=arguments.given("image_folder") or "",
        limit=arguments.whole("num_test_images", 0, most=2**31),
        top_n=arguments.whole("top_n", evaluations.TOP_N, most=2**31),
        how=asked_answering(model),
        owner=current_user(),
        **chosen,
    )


def _page(job: Job, wait: bool, anchor: str) -> Any:
    if not wait:
        return redirect(url_for("inference.show_evaluation", job_id=job.id, _anchor=anchor or None), 303)
    job = evaluations.wait(get_service(), job, PAGE_WAIT_SECONDS)
    return pages.render_page(job)


def _classifications(job: Job) -> dict[str, Any]:
    service = get_service()
    result = evaluation_result(service, job)
    labels = result["class_labels"]
    found: dict[str, list[list[Any]]] = {}
    for rows in predictions(service, job, RANKED).batches():
        for row in rows:
            found[row.path] = [[labels[i], round(score * 100, 2)] for i, score in row.top[:5]]
    numbers = {key: result[key] for key in ("count", "skipped", "labelled", "top1", "top5")}
    return {"classifications": found, **numbers}


@contextlib.contextmanager
def _sent_file(field: str, named: str = "") -> Iterator[Path | None]:
    """The file that was sent, or named in the field `named` (by default the same); what was sent is gone afterwards."""
    service, named = get_service(), named or field
    file, text = arguments.file(field), arguments.text(named)
    if file is None:
        yield paths.readable_file(service, text, named) if text else None
        return
    path = save_form_file(service, file.stream, file.filename or "")
    try:
        yield path
    finally:
        drop_form_file(service, path)
