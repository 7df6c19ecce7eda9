"""A second model, or a second snapshot, beside the first: which ones can stand there, and both answers to one picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from digits import tasks
from digits.domain.classes import match_classes
from digits.domain.inference import Answering
from digits.domain.jobs import PREDICTING
from digits.errors import BadRequest, DigitsError, NotFound, StorageError
from digits.service import Service
from digits.service.evaluations.answer import Answered, ask_one
from digits.service.evaluations.difference import difference
from digits.service.evaluations.inputs import record_label
from digits.service.evaluations.predict import PLAIN, RecordPicture
from digits.service.models.snapshots import Snapshot, list_snapshots
from digits.service.models.validation_samples import META_FILE, meta_of, task_of
from digits.storage.jobs.store import Job, JobQuery
from digits.tasks import Labels
from digits.tasks.base import BOXES, CLASSES, MAP

if TYPE_CHECKING:
    from digits.service.evaluations.predict import Picture

MOST_OFFERED = 60
MOST_LOOKED_AT = 400  # models whose folders are read for one list
NAMED = frozenset({CLASSES, MAP, BOXES})  # outputs about classes with names


@dataclass(frozen=True)
class Second:
    """A model that can stand beside another, the `snapshots` it has, and whether it knows just the same classes."""

    job: Job
    snapshots: list[Snapshot]
    same_classes: bool


def second_models(service: Service, model: Job) -> list[Second]:
    """The models of the same task that know some of the same classes (or give outputs of the same shape), those of the same data
    set first, then the newest; the model itself comes first of all."""
    own = meta_of(service, model)
    found = [Second(model, list_snapshots(service, model, with_best=True), same_classes=True)]
    rows = [
        job
        for kind in PREDICTING
        for job in service.store.query(JobQuery(kind=kind)).jobs
        if job.id != model.id and tasks.recorded(job.task).name == tasks.recorded(model.task).name
    ]
    rows.sort(key=lambda job: (job.dataset_id == model.dataset_id and bool(job.dataset_id), job.created), reverse=True)
    for job in rows[:MOST_LOOKED_AT]:
        reason, same = _compatible(own, meta_of(service, job))
        snapshots = [] if reason else list_snapshots(service, job, with_best=True)
        if snapshots:
            found.append(Second(job, snapshots, same))
        if len(found) > MOST_OFFERED:
            break
    return found


def find_second(service: Service, model: Job, job_id: str) -> Job:
    """The second model of an id. NotFound where there is none, BadRequest where the two cannot be compared."""
    if job_id == model.id:
        return model
    other = service.store.get(job_id, *PREDICTING)
    reason, _ = _compatible(meta_of(service, model), meta_of(service, other))
    if reason:
        raise BadRequest(f"{other.name} cannot stand beside {model.name}: {reason}.", advice="Choose a model of the same task.")
    return other


def ask_both(
    service: Service,
    model: Job,
    second: Job,
    picture: Picture,
    name: str,
    epochs: tuple[str, str] = ("", ""),
    *,
    dont_resize: bool = False,
    how: Answering = PLAIN,
) -> dict[str, Any]:
    """The body of the first answer, by the snapshots of `epochs`, with `second`, that of the second model (or its `error`), and
    their `difference`. A record of the first model's data set goes to a model of another one as a picture of its pixels."""
    truth = record_label(service, model, name)
    is_foreign = second.dataset_id != model.dataset_id and isinstance(picture, RecordPicture)
    own = replace(picture, origin=None) if is_foreign and isinstance(picture, RecordPicture) else picture
    asked: dict[str, Any] = {"dont_resize": dont_resize, "how": how, "compared": True}
    first = ask_one(service, model, own, name, truth, snapshot_epoch=epochs[0], **asked)
    try:
        theirs = _as_file(own) if is_foreign and isinstance(own, RecordPicture) else own
        known = None if is_foreign else truth
        other = ask_one(service, second, theirs, name, known, snapshot_epoch=epochs[1], **asked)
    except (BadRequest, NotFound):
        raise
    except DigitsError as error:
        words = f"{second.name} gave no answer, so there is nothing to compare."
        return {**first.body, "second": _failed(second, error), "difference": {"words": words}}
    return {**first.body, "second": _with_note(other, is_foreign), "difference": difference(first, other)}


def _failed(model: Job, error: DigitsError) -> dict[str, Any]:
    return {"model_id": model.id, "model_name": model.name, "error": error.message, "advice": error.advice}


def _with_note(answered: Answered, is_foreign: bool) -> dict[str, Any]:
    said = "It was given the record's pixels as a picture, for it was trained on another data set." if is_foreign else ""
    return {**answered.body, "note": " ".join(filter(None, (answered.body["note"], said)))}


def _as_file(picture: RecordPicture) -> bytes:
    """A record's feature (C, H, W) as a PNG, without loss. BadRequest for one that no PNG holds."""
    import numpy as np

    from digits.images.addresses import encode_picture

    feature = picture.feature
    if feature.dtype != np.uint8 or feature.shape[0] not in (1, 3):
        raise BadRequest(
            f"The record is {'×'.join(map(str, feature.shape))} {feature.dtype}, which no picture file holds.",
            advice="Choose a picture file, or a second model of the same data set.",
        )
    return encode_picture(feature)[0]


def _compatible(own: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, bool]:
    """Why the second of two models, by what their engines wrote, cannot stand beside the first (empty: it can), and whether both
    know the same classes in the same order."""
    if not own or not other:
        return f"it has no {META_FILE} yet", False
    try:
        task, theirs = task_of(own), task_of(other)
    except (KeyError, TypeError, ValueError, StorageError):
        return "what it was trained on is not known", False
    here, there = Labels.of_snapshot(own), Labels.of_snapshot(other)
    if task.name != theirs.name:
        return f"its task is {theirs.title.lower()}", False
    if task.output_kind not in NAMED:
        same = here.shape == there.shape
        return "" if same else f"its answers have the shape {there.shape}, not {here.shape}", same
    if here.class_labels == there.class_labels:
        return "", True
    known = match_classes(there.class_labels, here.class_labels)
    return "" if any(place >= 0 for place in known.places) else "it knows none of the same classes", False
