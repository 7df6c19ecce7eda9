"""Embeddings over HTTP: vectors that one layer makes of a split, as points and as a Parquet file."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, send_file, url_for

from digits.domain.jobs import PREDICTING, Kind, Status
from digits.service.evaluations import embeddings
from digits.storage.jobs.store import Job
from digits.web.http import arguments
from digits.web.http.request import check_edit, describes, get_service, json_answer

ENTRY = (
    "`id`, `name`, `status` (a word), `progress` from 0 to 1, `message`, `error`, `created`, `snapshot_epoch`, `layer`, `split`, "
    "`dataset_id`, `pictures` (address of its records), `projection`, "
    "and once it is done `count` (pictures), `size` (numbers of a vector), `shares` (of the variance, by axis), "
    "`class_labels`, `skipped`, `nonfinite`, `vectors` (address of the Parquet file)"
)


def register(area: Blueprint) -> None:
    """Add the routes below `/models/<id>/embeddings`."""
    area.add_url_rule("/models/<job_id>/embeddings.json", "embeddings", listed, methods=["GET"])
    area.add_url_rule("/models/<job_id>/embeddings.json", "embed", start, methods=["POST"])
    area.add_url_rule("/models/<job_id>/embeddings/<embedding>.json", "embedding", show)
    area.add_url_rule("/models/<job_id>/embeddings/<embedding>/vectors.parquet", "embedding_vectors", vectors)


@describes(json=True, answer=f"`embeddings`: {ENTRY}; the newest first. `projections`: name → title of those that can be had.")
def listed(job_id: str) -> Any:
    """The embeddings of a model."""
    service, model = get_service(), _model(job_id)
    found = embeddings.embeddings_of(service, model)
    return json_answer({"embeddings": [entry(model, job) for job in found], "projections": embeddings.projections()})


@describes(
    form={
        "layer": "Whose vectors; absent: the layer before the answer.",
        "split": "`val`, `train` or `test`; absent: the validation's.",
        "dataset": "Another data set whose pictures are taken; absent: the model's own.",
        "projection": "`pca`, or `umap` where it is installed.",
        "snapshot_epoch": "Absent: the newest.",
        "limit": "Only the first N pictures.",
    },
    answer=f"{ENTRY}.",
)
def start(job_id: str) -> Any:
    """Bring the pictures of a split to vectors of one layer, in a job."""
    service, model = get_service(), _model(job_id)
    owner = check_edit(model)
    other = arguments.dataset()
    job = embeddings.start_embedding(
        service,
        model,
        layer=arguments.text("layer"),
        split=arguments.text("split"),
        projection=arguments.text("projection", embeddings.PCA),
        snapshot_epoch=arguments.text("snapshot_epoch"),
        limit=arguments.whole("limit", 0, most=2**31),
        owner=owner,
        dataset=service.store.get(other, Kind.DATASET) if other else None,
    )
    return json_answer(entry(model, job))


@describes(
    json=True,
    arguments={"points": "Whether the points come too (default yes)."},
    answer=f"{ENTRY}; then `points`: `records`, `labels`, `x`, `y`, a list each.",
)
def show(job_id: str, embedding: str) -> Any:
    """One embedding and, when it is done, its points."""
    service, model = get_service(), _model(job_id)
    job = embeddings.find_embedding(service, model, embedding)
    value = entry(model, job)
    if job.status == Status.DONE and arguments.flag("points", True):
        value["points"] = embeddings.points_of(service, job)
    return json_answer(value)


@describes(json=True, answer="A Parquet file: `record`, `path`, `label`, `class`, `vector`.")
def vectors(job_id: str, embedding: str) -> Response:
    """The vectors as a table for other tools."""
    service, model = get_service(), _model(job_id)
    job = embeddings.find_embedding(service, model, embedding)
    path = embeddings.vectors_file(service, job)
    name = f"{model.id}-vectors-{job.id}.parquet"
    return send_file(path, mimetype="application/vnd.apache.parquet", as_attachment=True, download_name=name)


def entry(model: Job, job: Job) -> dict[str, Any]:
    """One embedding as JSON, without its points."""
    dataset_id = str(job.summary.get("dataset_id") or model.dataset_id)
    value: dict[str, Any] = {
        "id": job.id,
        "name": job.name,
        "status": job.status.word,
        "progress": job.progress,
        "message": job.message,
        "error": job.error,
        "created": job.created,
        "snapshot_epoch": job.summary.get("epoch"),
        "layer": job.summary.get("layer", ""),
        "split": job.summary.get("split", ""),
        "dataset_id": dataset_id,
        "pictures": url_for("datasets.picture", job_id=dataset_id),
        "projection": job.summary.get("projection", ""),
    }
    if job.status != Status.DONE:
        return value
    address = url_for("inference.embedding_vectors", job_id=model.id, embedding=job.id)
    result = embeddings.result_of(get_service(), job)
    known = {name: result[name] for name in ("layer", "count", "size", "shares", "class_labels", "skipped", "nonfinite")}
    return {**value, **known, "vectors": address}


def _model(job_id: str) -> Job:
    return get_service().store.get(job_id, *PREDICTING)
