"""What an evaluation hands over as files: CSV of everything, pictures, masks, boxes."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, send_file

from digits.domain.jobs import Kind
from digits.errors import LoadImageError, NotFound
from digits.service.evaluations import inputs as pictures
from digits.service.evaluations import results as evaluations
from digits.service.evaluations.coco import coco_results, coco_truth
from digits.service.evaluations.downloads import Rows, class_rows, confusion_rows, csv_text, prediction_rows, sample_rows
from digits.service.evaluations.parquet import parquet_file
from digits.storage.jobs.store import Job
from digits.utils.names import is_address
from digits.web.http import arguments
from digits.web.http.request import describes, get_service, json_answer


def register(area: Blueprint) -> None:
    """Add the routes below `/evaluations`."""
    for address, name, view in (
        ("predictions.csv", "evaluation_csv", rows_csv),
        ("confusion.csv", "confusion_csv", confusion_csv),
        ("classes.csv", "classes_csv", classes_csv),
        ("samples.csv", "evaluation_samples_csv", samples_csv),
        ("predictions.parquet", "evaluation_parquet", parquet),
        ("picture/<int:row>", "evaluation_picture", picture),
        ("mask/<int:row>.png", "evaluation_mask", mask),
        ("masks.zip", "evaluation_masks", masks),
        ("coco.json", "evaluation_coco", coco),
        ("coco_truth.json", "evaluation_coco_truth", truth),
    ):
        area.add_url_rule(f"/evaluations/<job_id>/{address}", name, view)


@describes(json=True, answer="CSV: path, true class, up to five predictions with their probability, loss.")
def rows_csv(job_id: str) -> Response:
    """All predictions of an evaluation."""
    job = _job(job_id)
    return as_csv(prediction_rows(get_service(), job), f"{job.id}_predictions.csv")


@describes(json=True, answer="CSV: the confusion matrix, rows true, columns predicted.")
def confusion_csv(job_id: str) -> Response:
    """The confusion matrix of an evaluation."""
    job = _job(job_id)
    return as_csv(confusion_rows(get_service(), job), f"{job.id}_confusion.csv")


@describes(json=True, answer="CSV: count, accuracy, precision, F1 of each class.")
def classes_csv(job_id: str) -> Response:
    """The numbers of each class of an evaluation."""
    job = _job(job_id)
    return as_csv(class_rows(get_service(), job), f"{job.id}_classes.csv")


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
    data = pictures.thumbnail(get_service(), path, side)
    response = Response(data, mimetype="image/png")
    response.cache_control.private = True
    response.cache_control.max_age = 3600
    return response


@describes(json=True, answer="CSV: row, path, record and the metrics of each picture.")
def samples_csv(job_id: str) -> Response:
    """The metrics of every picture of an evaluation."""
    job = _job(job_id)
    return as_csv(sample_rows(get_service(), job), f"{job.id}.csv")


@describes(json=True, answer="Parquet: a row for each picture (docs/evaluation.md has the columns).")
def parquet(job_id: str) -> Response:
    """What was kept of every picture of an evaluation."""
    path = parquet_file(get_service(), _job(job_id))
    return send_file(path, as_attachment=True, download_name=f"{job_id}_predictions.parquet")


@describes(json=True, answer="PNG: the class of each pixel.")
def mask(job_id: str, row: int) -> Response:
    """The mask that was predicted for one picture."""
    data = evaluations.mask(get_service(), _job(job_id), row)
    headers = {"Content-Disposition": f'attachment; filename="{job_id}_{row}.png"'}
    return Response(data, mimetype="image/png", headers=headers)


@describes(json=True, answer="A zip of PNG files.")
def masks(job_id: str) -> Response:
    """All predicted masks."""
    path = evaluations.masks_zip(get_service(), _job(job_id))
    return send_file(path, as_attachment=True, download_name=f"{job_id}_masks.zip")


@describes(
    json=True,
    answer="COCO's results, in the pixels of the pictures: `image_id`, `category_id` (COCO's own of a set made from it, else "
    "the row and the class), `bbox`, `score`.",
)
def coco(job_id: str) -> Any:
    """All boxes that were found."""
    return json_answer(list(coco_results(get_service(), _job(job_id))))


@describes(json=True, answer="`images`, `categories` and `annotations` of the pictures of coco.json, as COCO's tools take them.")
def truth(job_id: str) -> Any:
    """The true boxes of the pictures of an evaluation."""
    return json_answer(coco_truth(get_service(), _job(job_id)))


def _job(job_id: str) -> Job:
    return get_service().store.get(job_id, Kind.EVALUATION)


def as_csv(rows: Rows, name: str) -> Response:
    """The rows as a download called `name`."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(csv_text(rows), mimetype="text/csv", headers=headers)
