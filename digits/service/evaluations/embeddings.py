"""Embeddings: the job that brings the pictures of a split to vectors of one layer, what there is of them, and their points."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from digits.domain.datasets import STAGES, split_name
from digits.domain.embeddings import PCA, PROJECTIONS, UMAP, VECTORS_FILE, EmbeddingSpec
from digits.domain.inside import INPUT_LAYER
from digits.domain.jobs import Kind, Resources, Status
from digits.errors import BadRequest, Conflict, NotFound
from digits.service import Service, jobs
from digits.service.damage import require_records
from digits.service.evaluations import inside
from digits.service.evaluations.create import SPLIT_NAMES, available_splits, splits_of
from digits.service.models.snapshots import find_snapshot
from digits.storage.files import read_json
from digits.storage.jobs.store import Job

TYPE_NAME = "Embedding"
DIGITS = 5  # of a coordinate as JSON


def start_embedding(
    service: Service,
    model: Job,
    *,
    layer: str = "",
    split: str = "",
    projection: str = PCA,
    snapshot_epoch: float | str | None = None,
    limit: int = 0,
    owner: str = "",
    dataset: Job | None = None,
) -> Job:
    """The job, for pictures of the model's own data set or of another one; without a split of the validation's, or the first
    there is. BadRequest for what cannot be done; whether there is such a `layer` says the model's predictor."""
    if projection not in projections():
        known = ", ".join(projections())
        advice = "pip install umap-learn brings UMAP." if projection == UMAP else ""
        raise BadRequest(f"projection is {projection[:40]!r}, expected one of {known}.", advice=advice)
    snapshot = find_snapshot(service, model, snapshot_epoch)
    own = dataset is None or dataset.id == model.dataset_id
    splits = available_splits(service, model) if dataset is None else splits_of(service, dataset)
    wanted = split_name(split) if split else next((name for name in ("val_db", *STAGES) if name in splits), "")
    if wanted not in splits:
        if dataset is None and not model.dataset_id:
            raise BadRequest(f"{model.name} has no data set of its own.", advice="Name one whose pictures are taken (dataset).")
        raise BadRequest(
            f"{dataset.name if dataset else f'The data set of {model.name}'} has no {SPLIT_NAMES.get(wanted, 'such')} split.",
            advice="Its pictures are needed; choose a split that it has.",
        )
    dataset_id = dataset.id if dataset else model.dataset_id
    require_records(service, dataset_id)
    if layer == INPUT_LAYER:
        raise BadRequest(f"{layer} is the picture itself.", advice="Choose a layer of the network.")
    if layer:
        inside.layer(service, model, snapshot, None, {"layer": layer, "most": 1})  # raises for one that is not there
    spec = EmbeddingSpec(
        model.id, snapshot.path, snapshot.epoch, model.framework, dataset_id, wanted, layer, projection, max(0, limit)
    )
    which = SPLIT_NAMES[wanted] + " split" + ("" if own or dataset is None else f" of {dataset.name}")
    return jobs.create_job(
        service,
        kind=Kind.EMBEDDING,
        task=model.task,
        type_name=TYPE_NAME,
        name=f"{model.name}, epoch {snapshot.label}: vectors of {layer or 'the last layer'}, {which}",
        form={"job_id": model.id, "layer": layer, "split": wanted, "projection": projection, "snapshot_epoch": snapshot.epoch},
        spec=spec.to_json(),
        resources=Resources("inference", gpus=1),  # a wish: it does without where none is free
        owner=owner or model.owner,
        dataset_id=model.dataset_id,
        framework=model.framework,
        network=model.network,
        summary={
            "model_id": model.id,
            "model_name": model.name,
            "layer": layer,
            "split": wanted,
            "dataset_id": dataset_id,
            "projection": projection,
            "epoch": snapshot.epoch,
        },
    )


def projections() -> dict[str, str]:
    """Those that can be had here, with their titles: UMAP where it is installed."""
    return {name: title for name, title in PROJECTIONS.items() if name != UMAP or find_spec("umap") is not None}


def embeddings_of(service: Service, model: Job) -> list[Job]:
    """Those of a model, the newest first."""
    return jobs.jobs_of_model(service, model, (Kind.EMBEDDING,))


def find_embedding(service: Service, model: Job, job_id: str) -> Job:
    """NotFound where the model has no such embedding."""
    job = service.store.get(job_id, Kind.EMBEDDING)
    if job.summary.get("model_id") != model.id:
        raise NotFound(f"{model.name} has no embedding {job_id[:40]!r}.")
    return job


def result_of(service: Service, job: Job) -> dict[str, Any]:
    """What a finished one found; Conflict before."""
    if job.status != Status.DONE:
        raise Conflict(f"The embedding is {job.status.word.lower()}.", advice=job.error or "Wait until it is done.")
    return dict(read_json(service.folder(job.id).result_file))


def points_of(service: Service, job: Job) -> dict[str, list[Any]]:
    """`records`, `labels` (-1 where there is none), `x` and `y` of all pictures."""
    from digits.storage.embeddings import read_points

    result_of(service, job)
    columns = read_points(service.folder(job.id).path)
    places = {axis: [float(f"{value:.{DIGITS}g}") for value in columns[axis].tolist()] for axis in ("x", "y")}
    return {"records": columns["record"].tolist(), "labels": columns["label"].tolist(), **places}


def vectors_file(service: Service, job: Job) -> Path:
    """The Parquet file with all vectors."""
    result_of(service, job)
    return service.folder(job.id).path / VECTORS_FILE
