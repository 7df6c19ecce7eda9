"""Classification over HTTP: one picture, many pictures, the best of each category, and what the model page needs for it (R 5).

Single predictions are answered at once by the model's predictor. Many pictures are an evaluation job: the `.json` call waits
for its result and removes it (`keep=1` keeps it, `wait=0` answers with the job), a page shows its progress.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Blueprint, redirect, render_template, url_for

from digits import tasks
from digits.domain.jobs import Kind, Status
from digits.errors import BadRequest, DigitsError
from digits.service import jobs as job_actions
from digits.service.evaluations import inputs as pictures
from digits.service.evaluations import predict as inference
from digits.service.evaluations import results as evaluations
from digits.service.evaluations.answer import answer_one
from digits.service.evaluations.results import evaluation_result, start_evaluation
from digits.service.files import confine as paths
from digits.service.files.form_files import drop_form_file, save_form_file
from digits.storage.jobs.store import Job
from digits.web.evaluations import pages as evaluation_pages
from digits.web.http import arguments
from digits.web.http.request import current_user, describes, get_service, json_answer, route, wants_json
from digits.web.models import downloads

CLASSIFICATION = "/models/images/classification"
PAGE_WAIT_SECONDS = 20.0  # a page that did not send `wait=0` shows the result when it comes within so long
SAMPLES = 12
ONE_ARGUMENTS = {
    "job_id": "The model.",
    "image_path": "A picture on the server, or an http(s) address where the setting allow_urls permits it.",
    "image_file": "An uploaded picture.",
    "record": "A picture of the model's data set, e.g. `val:17`.",
    "snapshot_epoch": "Which snapshot; absent, 0 or -1: the newest.",
    "show_visualizations": "Also show weights and activations of every layer (page only).",
}
MANY_ARGUMENTS = {
    "job_id": "The model.",
    "image_list": "An uploaded text file (or its path on the server): `path [label]` a line.",
    "image_folder": "Where relative paths start; without a list every picture below it is taken.",
    "num_test_images": "Only the first N.",
    "snapshot_epoch": "Which snapshot; absent, 0 or -1: the newest.",
    "wait": "0: answer with the job at once.",
    "keep": "1: keep the evaluation after answering.",
}


def blueprint() -> Blueprint:
    """Inference, evaluations and downloads of models."""
    area = Blueprint("inference", __name__)
    for rule, handler in (("classify_one", classify_one), ("classify_many", classify_many), ("top_n", top_n)):
        area.add_url_rule(f"{CLASSIFICATION}/{rule}", rule, handler, methods=["GET", "POST"])
        area.add_url_rule(f"{CLASSIFICATION}/{rule}.json", f"{rule}_json", handler, methods=["POST"])
    route(area, "/models/<job_id>/evaluate", methods=("POST",))(evaluate)
    area.add_url_rule("/models/<job_id>/answer.json", "answer_json", answer, methods=["POST"])
    evaluation_pages.register(area)
    downloads.register(area)
    area.app_context_processor(lambda: {"inference_forms": inference_forms})
    area.add_app_template_filter(_base64, "b64")
    return area


@describes(form=ONE_ARGUMENTS, answer="`predictions`: the five best `[label, percent]`; `snapshot_epoch`, `device`, `seconds`.")
def classify_one() -> Any:
    """Classify one picture."""
    service = get_service()
    model = arguments.job(Kind.MODEL)
    inference.check_classifies(model)
    picture, name = sent_picture(model)
    layers = arguments.flag("show_visualizations") and not wants_json()
    result = inference.classify_one(service, model, picture, arguments.text("snapshot_epoch"), layers=layers)
    if wants_json():
        return json_answer(
            {
                "predictions": [[p.label, p.percent] for p in result.predictions],
                "snapshot_epoch": result.snapshot.epoch,
                "device": result.device,
                "seconds": result.seconds,
            }
        )
    total = sum({layer.name: layer.param_count for layer in result.layers}.values())
    return render_template("inference/classify_one.html", model=model, result=result, name=name, parameters=total)


@describes(
    form={name: text for name, text in ONE_ARGUMENTS.items() if name != "job_id"},
    json=True,
    answer="`kind`, `class_labels`, `colours`, one of `samples` as in an evaluation; `predictions` of classes.",
)
def answer(job_id: str) -> Any:
    """What a model of any task makes of one picture, as its page shows it."""
    service = get_service()
    model = service.store.get(job_id, Kind.MODEL)
    picture, name = sent_picture(model)
    epoch, whole = arguments.text("snapshot_epoch"), arguments.flag("dont_resize")
    return json_answer(answer_one(service, model, picture, name, snapshot_epoch=epoch, dont_resize=whole))


@describes(form=MANY_ARGUMENTS, answer="`classifications`: path → the five best `[label, percent]`; accuracies where known.")
def classify_many() -> Any:
    """Classify the pictures of a list or of a folder."""
    return _many(lambda job: _classifications(job))


@describes(
    form={**MANY_ARGUMENTS, "top_n": "Pictures per category (9)."}, answer="`top_n`: category → its most confident pictures."
)
def top_n() -> Any:
    """The most confident pictures of each category."""
    return _many(lambda job: {"top_n": evaluation_pages.top_pictures(job)}, anchor="top", form=("top_n",))


@describes(
    form={
        "split": "train, val or test; left out where a list or a folder is sent.",
        "snapshot_epoch": "Which snapshot.",
        "dataset": "Another data set of the same classes.",
        "other": "The same in one: its id, a slash and the split.",
        "image_list": "Instead of a split: an uploaded text file (or its path on the server) with one path a line.",
        "image_folder": "Where relative paths start; without a list every picture below it is taken.",
        "num_test_images": "Only the first N.",
        "dont_resize": "Keep the sizes of the pictures.",
        "wait": "1: wait.",
    },
    answer="The evaluation.",
)
def evaluate(job_id: str) -> Any:
    """Evaluate a model on a split of its data set or another one, or predict the pictures of a list or a folder."""
    service = get_service()
    model = service.store.get(job_id, Kind.MODEL)
    other, _, other_split = (arguments.text("other") or arguments.text("dataset")).partition("/")
    with _list_file() as listed:
        is_files = listed is not None or bool(arguments.text("image_folder"))
        job = start_evaluation(
            service,
            model,
            snapshot_epoch=arguments.text("snapshot_epoch"),
            list_file=listed,
            folder=arguments.given("image_folder") or "",
            limit=arguments.whole("num_test_images", 0, most=2**31),
            split="" if is_files else other_split or arguments.text("split", "val"),
            dataset=service.store.get(other, Kind.DATASET) if other else None,
            dont_resize=arguments.flag("dont_resize"),
            top_n=arguments.whole("top_n", evaluations.TOP_N, most=2**31),
            owner=current_user(),
        )
    if arguments.flag("wait"):
        job = evaluations.wait(service, job)
    if wants_json():
        return json_answer(evaluation_pages.evaluation_dict(job))
    return redirect(url_for("inference.show_evaluation", job_id=job.id), 303)


def inference_forms(model: Job) -> dict[str, Any]:
    """What `inference/_room.html` shows for a model: its snapshots, splits, sample pictures, view and evaluations."""
    service = get_service()
    splits = evaluations.available_splits(service, model)
    split = next((name for name in ("val_db", "test_db", "train_db") if name in splits), "")
    count = min(SAMPLES, splits.get(split, 0))
    task = tasks.get(model.task)
    return {
        "classifies": inference.classifies(model),
        "view": task.views[0],
        "snapshots": inference.list_snapshots(service, model, with_best=True),
        "splits": splits,
        "sample_split": split.removesuffix("_db"),
        "samples": [i * splits[split] // count for i in range(count)],
        "evaluations": evaluations.model_evaluations(service, model),
        "others": evaluations.comparable_datasets(service, model),
        "allow_urls": service.settings.allow_urls,
    }


def _many(answer: Any, anchor: str = "", form: tuple[str, ...] = ()) -> Any:
    service = get_service()
    model = arguments.job(Kind.MODEL)
    inference.check_classifies(model)
    with _list_file() as listed:
        job = start_evaluation(
            service,
            model,
            snapshot_epoch=arguments.text("snapshot_epoch"),
            list_file=listed,
            folder=arguments.given("image_folder") or "",
            limit=arguments.whole("num_test_images", 0, most=2**31),
            top_n=arguments.whole("top_n", evaluations.TOP_N, most=2**31),
            owner=current_user(),
            form={name: value for name in form if (value := arguments.text(name))},
        )
    wait = arguments.flag("wait", True)
    if not wants_json():
        return _page(job, wait, anchor)
    if not wait:
        return json_answer(evaluation_pages.evaluation_dict(job))
    job = evaluations.wait(service, job)
    if job.status == Status.ERROR:
        raise DigitsError(job.error, advice=f"/evaluations/{job.id} says more.")
    value = answer(job)
    if arguments.flag("keep"):
        value["job_id"] = job.id
    else:
        job_actions.delete(service, job)
    return json_answer(value)


def _page(job: Job, wait: bool, anchor: str) -> Any:
    if not wait:
        return redirect(url_for("inference.show_evaluation", job_id=job.id, _anchor=anchor or None), 303)
    job = evaluations.wait(get_service(), job, PAGE_WAIT_SECONDS)
    return evaluation_pages.render_page(job)


def _classifications(job: Job) -> dict[str, Any]:
    service = get_service()
    result = evaluation_result(service, job)
    labels = result["class_labels"]
    found: dict[str, list[list[Any]]] = {}
    for rows in evaluations.predictions(service, job, evaluations.RANKED).batches():
        for row in rows:
            found[row.path] = [[labels[i], round(score * 100, 2)] for i, score in row.top[:5]]
    numbers = {key: result[key] for key in ("count", "skipped", "labelled", "top1", "top5")}
    return {"classifications": found, **numbers}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def sent_picture(model: Job) -> tuple[inference.Picture, str]:
    """The picture of the request and the name to show for it. BadRequest when it brings none."""
    service = get_service()
    if file := arguments.file("image_file"):
        return pictures.read_upload(file.stream, file.filename or ""), file.filename or ""
    if text := arguments.text("image_path"):
        return pictures.from_path(service, text), text
    if record := arguments.text("record"):
        return pictures.from_record(service, model, record), record
    raise BadRequest("Must provide image_path or image_file.", advice="Send one of the two, or a record such as val:0.")


@contextlib.contextmanager
def _list_file() -> Iterator[Path | None]:
    """The list that was sent or named; what was sent is gone afterwards."""
    service = get_service()
    file, text = arguments.file("image_list"), arguments.text("image_list")
    if file is None:
        yield paths.readable_file(service, text, "image_list") if text else None
        return
    path = save_form_file(service, file.stream, file.filename or "")
    try:
        yield path
    finally:
        drop_form_file(service, path)
