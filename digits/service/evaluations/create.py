"""Evaluations begin: what a model can be evaluated on, the job that predicts many pictures, and waiting for its end."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits.domain.datasets import STAGES, DatasetInfo, split_name
from digits.domain.inference import Answering, EvaluationSpec
from digits.domain.jobs import Kind, Resources, Status
from digits.errors import BadRequest, DataError, DigitsError, FormErrors, StorageError
from digits.ipc.supervisor_client import ControlError, is_listening
from digits.service import Service, jobs
from digits.service.evaluations.analysis import handed_on
from digits.service.evaluations.answering import check_answering
from digits.service.evaluations.predict import PLAIN
from digits.service.files import confine as paths
from digits.service.files.form_files import is_form_file
from digits.service.models.history import read_history
from digits.service.models.snapshots import Snapshot, find_snapshot
from digits.service.models.validation_samples import meta_of, task_of
from digits.storage.jobs.store import Job, JobQuery
from digits.tasks.truth import places_in_label

LIST_FILE = "images.txt"
VIDEO_FOLDER = "video"  # of one that was sent, in the job's folder
TYPE_NAME = "Evaluation"
SPLIT_NAMES = {"train_db": "training", "val_db": "validation", "test_db": "test"}
TOP_N = 9
MOST_TOP_N = 200
OF_DATA = frozenset({"data", "load-image", "limit-exceeded", "forbidden", "bad-request"})  # codes of errors
POLL_SECONDS = 0.05
SLOWEST_POLL_SECONDS = 0.5
UNATTENDED_SECONDS = 10.0


@dataclass(frozen=True)
class Comparable:
    """A data set that a model can be evaluated on: entries of each of its splits."""

    job: Job
    splits: dict[str, int]


def start_evaluation(
    service: Service,
    model: Job,
    *,
    snapshot_epoch: float | str | None = None,
    list_file: Path | None = None,
    folder: str = "",
    split: str = "",
    dataset: Job | None = None,
    limit: int = 0,
    top_n: int = TOP_N,
    dont_resize: bool = False,
    video: Path | None = None,
    every: int = 1,
    how: Answering = PLAIN,
    owner: str = "",
    form: Mapping[str, Any] | None = None,
) -> Job:
    """Make the job that predicts a list (`path [label]` a line), every picture below a folder, or a split of a data set.

    `folder` is the base of a list's relative paths, or without a list the folder itself. `split` is `val`, `val_db`, … of
    `dataset` (the model's own when None). Of a `video`, a file that may be read, every `every`th frame is taken. `how` is the
    way in which the model is to answer. Raises FormErrors at `image_folder`, BadRequest for what cannot be evaluated.
    """
    snapshot = find_snapshot(service, model, snapshot_epoch)
    check_answering(model, how)
    base = str(paths.readable_folder(service, folder, "image_folder")) if folder.strip() else ""
    with jobs.claimed_job_id(service) as job_id:
        source = (
            _video(service, job_id, video, every) if video else _source(service, model, job_id, list_file, base, split, dataset)
        )
        spec = EvaluationSpec(
            model_id=model.id,
            snapshot=snapshot.path,
            epoch=snapshot.epoch,
            **{"folder": base, **source},
            limit=max(0, limit),
            top_n=min(max(1, top_n), MOST_TOP_N),
            dont_resize=dont_resize,
            framework=model.framework,
            roots=tuple(str(root) for root in paths.allowed_roots(service)),
            allow_urls=service.settings.allow_urls,
            **handed_on(service, model, snapshot, source, limit, plain=how.is_plain),
            **how.to_json(),
        )
        return _create(service, model, job_id, spec, snapshot, owner, form or {})


def wait(service: Service, job: Job, seconds: float | None = None) -> Job:
    """Wait until the job has ended, or for so long; returns the row as it is then.

    Raises ControlError when it should wait for the end and for ten seconds no supervisor has been there to do the job.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    pause, attended = POLL_SECONDS, time.monotonic()
    while job.status.is_running and (deadline is None or time.monotonic() < deadline):
        time.sleep(pause)
        pause = min(pause * 1.2, SLOWEST_POLL_SECONDS)
        job = service.store.get(job.id)
        if is_listening(service.jobs_dir):
            attended = time.monotonic()
        elif seconds is None and time.monotonic() - attended > UNATTENDED_SECONDS:
            raise ControlError(
                f"No supervisor runs that could do {job.name}.",
                advice=f"Start the server with `digits serve`; the job {job.id} waits for it.",
            )
    return job


def failure(service: Service, job: Job) -> DigitsError:
    """Why an evaluation failed: a DataError where what was sent is the reason, such as a list none of whose pictures may be
    read."""
    said = read_history(service.folder(job.id)).error
    kind = DataError if said is not None and said.code in OF_DATA else DigitsError
    return kind(job.error, advice=f"/evaluations/{job.id} says more.")


def model_evaluations(service: Service, model: Job, limit: int = 20) -> list[Job]:
    """The newest evaluations of a model."""
    query = JobQuery(kind=Kind.EVALUATION, dataset_id=model.dataset_id)
    return [job for job in service.store.query(query).jobs if job.summary.get("model_id") == model.id][:limit]


def dataset_info(service: Service, dataset: Job) -> DatasetInfo | None:
    """What a finished data set is; None while it is made or when its file is lost."""
    try:
        return service.folder(dataset.id).find_dataset_info()
    except StorageError:
        return None


def available_splits(service: Service, model: Job) -> dict[str, int]:
    """Splits of the model's own data set that hold records: `val_db` → number of entries."""
    dataset = service.store.find(model.dataset_id) if model.dataset_id else None
    return splits_of(service, dataset) if dataset else {}


def splits_of(service: Service, dataset: Job) -> dict[str, int]:
    """Splits of a data set that hold records, as `available_splits`; none while it is made."""
    info = dataset_info(service, dataset)
    return _filled_splits(info) if info else {}


def _filled_splits(info: DatasetInfo) -> dict[str, int]:
    return {name: info.splits[name].entries for name in STAGES if name in info.splits and info.splits[name].entries}


def comparable_datasets(service: Service, model: Job, limit: int = 50) -> list[Comparable]:
    """Other finished data sets of the same task whose classes the model knows, newest first."""
    own = service.store.find(model.dataset_id) if model.dataset_id else None
    info = dataset_info(service, own) if own else None
    found: list[Comparable] = []
    for job in service.store.query(JobQuery(kind=Kind.DATASET, statuses=(Status.DONE,))).jobs if info else ():
        other = dataset_info(service, job) if job.id != model.dataset_id else None
        if info and other and other.task == info.task and set(other.class_labels) <= set(info.class_labels):
            splits = {name: count for name, count in _filled_splits(other).items() if not _no_truth(service, model, other, name)}
            found.append(Comparable(job, splits))
    return [other for other in found if other.splits][:limit]


def _no_truth(service: Service, model: Job, info: DatasetInfo, split: str) -> DataError | None:
    """Why the labels of a split of another data set are no truth for a model; None where they are, and where the worker is the
    first to see what the model was trained on."""
    meta = meta_of(service, model)
    try:
        if meta:
            places_in_label(task_of(meta), meta, info, split)
    except DataError as error:
        return error
    except (KeyError, TypeError, ValueError, StorageError):
        pass
    return None


def _source(
    service: Service, model: Job, job_id: str, list_file: Path | None, folder: str, split: str, dataset: Job | None
) -> dict[str, Any]:
    if split:
        return _split_source(service, model, split, dataset)
    if list_file is not None:
        shutil.copyfile(list_file, service.folder(job_id).path / LIST_FILE)
        return {"source": "list", "list_file": LIST_FILE}
    if folder:
        return {"source": "folder"}
    raise BadRequest("image_list is a required field.", advice="Send a list file, a folder of pictures, or name a split.")


def _video(service: Service, job_id: str, video: Path, every: int) -> dict[str, Any]:
    """The video, in the job's folder where it was sent. Raises FormErrors for what begins like no video that is read."""
    from digits.images.video import HEAD_BYTES, READ, kind_of

    try:
        with paths.confinement(service).open(video) as file:
            kind = kind_of(file.read(HEAD_BYTES))
            if not kind:
                raise FormErrors({"video": [f"{video.name} is no video. Read are {READ}."]})
            if is_form_file(service, video):
                target = service.folder(job_id).path / VIDEO_FOLDER / video.name
                target.parent.mkdir()
                file.seek(0)
                with open(target, "wb") as copy:
                    shutil.copyfileobj(file, copy)
                video = target
    except OSError as error:
        raise FormErrors({"video": [f"{video} cannot be read: {error.strerror or error}."]}) from error
    return {"source": "video", "folder": str(video), "every": max(1, every)}


def _split_source(service: Service, model: Job, split: str, dataset: Job | None) -> dict[str, Any]:
    name = split_name(split)
    owner = dataset or service.store.find(model.dataset_id)
    info = dataset_info(service, owner) if owner else None
    if owner is None or info is None:
        raise BadRequest(
            "The data set of this model is gone or not ready.", advice="Send a list of pictures or a folder instead."
        )
    if name not in info.splits or not info.splits[name].entries:
        raise BadRequest(f"{owner.name} has no {SPLIT_NAMES[name]} split.", advice="Send a list of pictures or a folder instead.")
    if owner.id != model.dataset_id and (reason := _no_truth(service, model, info, name)):
        raise BadRequest(f"{model.name} cannot be measured on {owner.name}: {reason.message}", advice=reason.advice)
    return {"source": "split", "split": name, "dataset_id": owner.id}


def _create(
    service: Service, model: Job, job_id: str, spec: EvaluationSpec, snapshot: Snapshot, owner: str, form: Mapping[str, Any]
) -> Job:
    what = SPLIT_NAMES[spec.split] + " split" if spec.split else "list" if spec.source == "list" else Path(spec.folder).name
    if spec.split and spec.dataset_id != model.dataset_id:
        what += f" of {service.store.get(spec.dataset_id).name}"
    what += f", every {spec.every}th frame" if spec.every > 1 else ", frames" if spec.source == "video" else ""
    what += ", in tiles" if spec.tile_overlap is not None else ""
    what += f", mean over {', '.join(spec.tta)}" if spec.tta else ""
    return jobs.create_job(
        service,
        kind=Kind.EVALUATION,
        task=model.task,
        type_name=TYPE_NAME,
        name=f"{model.name}, epoch {snapshot.label}: {what}",
        form={"job_id": model.id, **form},
        spec=spec.to_json(),
        resources=Resources("inference", gpus=1),  # a wish: it does without where none is free
        owner=owner,
        job_id=job_id,
        dataset_id=model.dataset_id,
        framework=model.framework,
        network=model.network,
        summary=_summary(model, spec),
    )


def _summary(model: Job, spec: EvaluationSpec) -> dict[str, Any]:
    return {
        "model_id": model.id,
        "model_name": model.name,
        "source": spec.source,
        "split": spec.split,
        "dataset_id": spec.dataset_id,
        "epoch": spec.epoch,
        **({"every": spec.every} if spec.source == "video" else {}),
    }
