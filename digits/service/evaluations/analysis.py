"""What evaluations tell beyond their metrics (`analysis.json`), thresholds chosen by it, and what one hands on to the next."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from digits.domain.datasets import VAL_DB
from digits.domain.inference import EvaluationSpec
from digits.domain.jobs import Kind, Status
from digits.errors import BadRequest, Conflict, StorageError
from digits.service import Service
from digits.service.models import thresholds
from digits.service.models.snapshots import Snapshot
from digits.storage.files import read_json
from digits.storage.jobs.store import Job, JobQuery

SEARCHED = 200  # evaluations of a model on its validation split that are looked through
ALL = "all classes"


def analysis_of(service: Service, job: Job) -> dict[str, Any] | None:
    """What a finished evaluation tells (see `metrics.analysis.base`); None of those that were made before there was any. Of a
    damaged file only that it is so."""
    from digits.storage.predictions import ANALYSIS_FILE

    path = service.folder(job.id).path / ANALYSIS_FILE
    if not path.is_file():
        return None
    try:
        return dict(read_json(path))
    except (StorageError, TypeError, ValueError):
        return {"notes": [f"{ANALYSIS_FILE} is damaged: evaluate the model again to see curves and all else that it held."]}


def handed_on(
    service: Service, model: Job, snapshot: Snapshot, source: Mapping[str, Any], limit: int, *, plain: bool = True
) -> dict[str, Any]:
    """What an evaluation gets from those before it, as fields of its spec: the temperature that was fitted on the validation
    split for this snapshot, and the thresholds that were chosen for the model. Answers that are not `plain` have other
    probabilities: no temperature was fitted for them, and none is."""
    own = plain and source.get("split") == VAL_DB and source.get("dataset_id") == model.dataset_id and not limit
    found: dict[str, Any] = {"is_validation": own, "thresholds": thresholds.values_of(service, model.id)}
    if plain and not own:
        found["temperature"], found["temperature_from"] = _temperature(service, model, snapshot)
    return found


def choose_threshold(service: Service, job: Job, label: str, threshold: float | None, user: str) -> dict[str, Any]:
    """Keep a threshold in [0, 1] for a label of the evaluation's model (empty: for all classes), or forget it (None).

    `label`, `threshold` (None: none any more), its effect and all `thresholds` of the model. BadRequest for what has no curve.
    """
    from digits.metrics.curves import effect

    if job.status != Status.DONE:
        raise Conflict(f"{job.name} is {job.status.word}; a threshold is chosen by its curves, when it is done.")
    model = service.store.get(str(job.summary.get("model_id", "")), Kind.MODEL)
    known = label if label != ALL else ""
    if threshold is None:
        return {"label": known, "threshold": None, "thresholds": thresholds.store_threshold(service, model.id, known, None)}
    curves = (analysis_of(service, job) or {}).get("curves")
    if not curves:
        raise BadRequest(
            f"{job.name} has no curves that a threshold could be chosen on.",
            advice="Evaluate the model anew, on pictures whose truth is known.",
        )
    rows = {"" if row.get("is_all") else row["label"]: row for row in curves["classes"]}
    if not known and "" not in rows and len(rows) == 1:
        known = next(iter(rows))
    if known not in rows:
        raise BadRequest(f"There is no class {label!r}.", advice=f"The classes are {', '.join(list(rows)[:20])}.")
    spec = EvaluationSpec.from_json(service.folder(job.id).spec())
    if not 0 <= threshold <= 1:
        raise BadRequest(f"threshold is {threshold:g}; a score lies between 0 and 1.")
    chosen = {
        "threshold": threshold,
        **effect(rows[known], threshold),
        "evaluation": job.id,
        "epoch": spec.epoch,
        "split": spec.split,
        "user": user,
        "time": time.time(),
    }
    kept = thresholds.store_threshold(service, model.id, known, chosen)
    return {"label": known, **chosen, "thresholds": kept}


def _temperature(service: Service, model: Job, snapshot: Snapshot) -> tuple[float | None, str]:
    """The temperature of the newest evaluation of the validation split with this snapshot, and its id."""
    query = JobQuery(kind=Kind.EVALUATION, dataset_id=model.dataset_id, statuses=(Status.DONE,))
    jobs = service.store.query(query).jobs if model.dataset_id else ()
    own = [job for job in jobs if job.summary.get("model_id") == model.id and job.summary.get("split") == VAL_DB]
    for job in own[:SEARCHED]:
        try:
            spec = EvaluationSpec.from_json(service.folder(job.id).spec())
            found = (analysis_of(service, job) or {}).get("calibration") or {}
        except StorageError:
            continue
        if spec.measures(snapshot.path, snapshot.epoch) and spec.is_validation and found.get("how") == "validation":
            return found.get("temperature"), job.id
    return None, ""
