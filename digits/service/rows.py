"""Rows of the lists: one dictionary per job with the keys of R 1.1 and what the newer lists show beside them."""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Sequence
from typing import Any

from digits import tasks
from digits.domain.damage import summary_of
from digits.domain.jobs import Action, Kind, Status
from digits.domain.metrics import facts, value_text
from digits.domain.remedies import ERROR_CODE, going_on_helps
from digits.service import Service
from digits.service.damage import damage_of
from digits.storage.jobs.rows import JOB_FIELDS
from digits.storage.jobs.store import Job

BEST = ("last", "min", "max")


def rows(service: Service, jobs: Sequence[Job], *, names: Collection[str] | None = None) -> list[dict[str, Any]]:
    """Row dictionaries of several jobs; reads their outputs (with `names` those of these names alone) and data sets from the
    database at once. Every output adds `<name> (<phase>) last|min|max`."""
    read = None if names is None else {*names, *(job.best_name for job in jobs if job.best_name)}
    outputs = service.store.output_values([job.id for job in jobs], read)
    parents = service.store.find_many({job.dataset_id for job in jobs if job.dataset_id})
    references = service.store.reference_counts([job.id for job in jobs if job.kind == Kind.DATASET])
    keys: dict[tuple[str, str], tuple[str, str, str]] = {}
    jobs_dir = str(service.jobs_dir.path)
    found = []
    for job in jobs:
        row = row_dict(job, parents.get(job.dataset_id), references.get(job.id, 0))
        for name, phase, last, low, high, unit in outputs.get(job.id, ()):
            if name == job.best_name and phase == "val":
                row["rank"] |= {"text": value_text(name, job.best_value, unit), "unit": row["rank"]["unit"] or unit}
            if names is None or name in names:
                if (name, phase) not in keys:
                    keys[name, phase] = (f"{name} ({phase}) last", f"{name} ({phase}) min", f"{name} ({phase}) max")
                one, two, three = keys[name, phase]
                row[one], row[two], row[three] = last, low, high
        if row["damage"] is None and job.deleted is None and not os.path.isdir(os.path.join(jobs_dir, job.id)):
            row["damage"] = summary_of(damage_of(service, job))  # before the supervisor comes to it
        found.append(row)
    return found


def row_dict(job: Job, dataset: Job | None = None, references: int = 0) -> dict[str, Any]:
    """One row without its outputs. `elapsed` in seconds, `progress` in whole percent, `submitted` and the other times in seconds
    since the epoch. `refs` counts the models of a data set."""
    return {
        "id": job.id,
        "name": job.name,
        "group": job.group,
        "status": job.status.word,
        "status_css": job.status.css,
        "submitted": job.created,
        "elapsed": round(job.elapsed, 1),
        "type": str(job.kind),
        "type_name": job.type_name,
        "username": job.owner,
        "progress": round(job.progress * 100),
        "backend": job.summary.get("backend", "lmdb") if job.kind == Kind.DATASET else "",
        "framework": job.framework,
        "dataset_id": job.dataset_id,
        "extension": job.extension or (dataset.extension if dataset else ""),
        "sparkline": job.sparkline,
        **_more(job, dataset, references),
    }


def rank_of(job: Job) -> dict[str, Any]:
    """What decided which snapshot is best: `name`, `title`, `value`, `epoch`, `better`, `unit`, and `text` as people read it."""
    known = facts(job.best_name)
    return {
        "name": job.best_name,
        "title": known.short or known.title,
        "value": job.best_value,
        "epoch": job.best_epoch,
        "better": job.best_better or known.better,
        "unit": known.unit,
        "text": "" if job.best_value is None else value_text(job.best_name, job.best_value),
    }


def _more(job: Job, dataset: Job | None, references: int) -> dict[str, Any]:
    return {
        "letter": str(job.status),
        "running": job.status.is_running,
        "task": job.task,
        "task_title": tasks.title_of(job.task),
        "network": job.network,
        "dataset_name": dataset.name if dataset else "",
        "best_name": job.best_name,
        "best_better": job.best_better or facts(job.best_name).better,
        "best_value": job.best_value,
        "best_epoch": job.best_epoch,
        "rank": rank_of(job),
        "sweep": job.sweep,
        "fold": job.fold,
        "eta": job.eta,
        "message": job.message,
        "error": job.error,
        "started": job.started,
        "finished": job.finished,
        "disk_bytes": job.disk_bytes,
        "tags": job.tags,
        "priority": job.priority,
        "used_gpus": job.used_gpus,
        "summary": job.summary,
        "left_out": job.left_out,
        "damage": job.damage,
        "refs": references,
        "resumable": going_on_helps(job.kind, str(job.status), job.summary.get(ERROR_CODE, "")),
        "has_labels": bool(job.summary.get("has_labels")),  # of pretrained models
        "stopping": job.requested_action == Action.ABORT,
        "pending": bool(job.requested_action),  # something was requested that the supervisor has not begun yet
        "deleted": job.deleted is not None,
        "seq": job.seq,
    }


@functools.cache
def row_keys() -> frozenset[str]:
    """The keys that every row has beside its outputs."""
    empty = dict.fromkeys(JOB_FIELDS, "") | {"status": Status.INIT, "created": 0.0, "worked": 0.0, "progress": 0.0, "summary": {}}
    missing = dict.fromkeys(("deleted", "started", "finished", "running_since", "eta", "best_value", "best_epoch"))
    return frozenset(row_dict(Job(**{**empty, **missing})))  # type: ignore[arg-type]


def output_fields(service: Service) -> list[str]:
    """Sorted names of every output column that any model has."""
    return sorted(f"{name} ({phase}) {which}" for name, phase in service.store.output_names() for which in BEST)
