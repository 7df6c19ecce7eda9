"""Exports: writing a model's snapshot in another format, a job; what there is of them, and their files."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits.domain.exports import Export, ExportSpec
from digits.domain.jobs import Action, Kind, Resources, Status
from digits.engines.exporters import check_format, formats
from digits.errors import Conflict, NotFound
from digits.service import Service, jobs
from digits.service.models.snapshots import find_snapshot, list_snapshots
from digits.storage.exports import export_folder, export_name, exports_of, remove
from digits.storage.jobs.store import Job

TYPE_NAME = "Export"


@dataclass(frozen=True)
class ExportEntry:
    """One row: an export that is there (`export`), or a job (`job`) that makes or failed to make one."""

    format: str
    epoch: float
    export: Export | None = None
    job: Job | None = None

    @property
    def name(self) -> str:
        """As in the addresses of its files."""
        return export_name(self.format, self.epoch)


def start_export(
    service: Service, model: Job, format_name: str, snapshot_epoch: float | str | None = None, *, owner: str = ""
) -> Job:
    """The job that writes a snapshot (the newest by default) in a format; one that is at it already is given instead of another.

    Raises BadRequest for a format that this model is not written in and a model without snapshots, NotFound for an epoch without.
    """
    row = check_format(format_name, model.framework)
    snapshot = find_snapshot(service, model, snapshot_epoch)
    for job in jobs.jobs_of_model(service, model, (Kind.EXPORT,)):
        if job.status.is_running and _wanted(job) == (row.name, snapshot.epoch):
            return job
    spec = ExportSpec(model.id, snapshot.path, snapshot.epoch, row.name, model.framework, model.dataset_id)
    return jobs.create_job(
        service,
        kind=Kind.EXPORT,
        task=model.task,
        type_name=TYPE_NAME,
        name=f"{model.name}, epoch {snapshot.label}: {row.title}",
        form={"job_id": model.id, "format": row.name, "snapshot_epoch": snapshot.epoch},
        spec=spec.to_json(),
        resources=Resources("export"),
        owner=owner or model.owner,
        dataset_id=model.dataset_id,
        framework=model.framework,
        network=model.network,
        summary={"model_id": model.id, "model_name": model.name, "format": row.name, "epoch": snapshot.epoch},
    )


def list_exports(service: Service, model: Job) -> list[ExportEntry]:
    """Exports that are there, and the newest job of every format and epoch that is not done; newest first."""
    found = {(export.format, export.epoch): export for export in exports_of(service.folder(model.id))}
    newest: dict[tuple[str, float], Job] = {}
    for job in jobs.jobs_of_model(service, model, (Kind.EXPORT,)):
        newest.setdefault(_wanted(job), job)
    open_jobs = {key: job for key, job in newest.items() if job.status != Status.DONE}
    entries = [ExportEntry(*key, found.get(key), open_jobs.get(key)) for key in {**open_jobs, **found}]
    return sorted(entries, key=_moment, reverse=True)


def find_export(service: Service, model: Job, name: str) -> Export:
    """The export `<format>-epoch_<E>` of a model. NotFound when it is not there."""
    for export in exports_of(service.folder(model.id)):
        if export_name(export.format, export.epoch) == name:
            return export
    raise NotFound(f"{model.name} has no export {name[:80]!r}.")


def export_of_job(service: Service, model: Job, job_id: str) -> Export:
    """What an export job wrote; its epoch is that of the weights it found. NotFound where it is not there."""
    for export in exports_of(service.folder(model.id)):
        if export.job_id == job_id:
            return export
    raise NotFound(f"{model.name} has no export of the job {job_id}.")


def delete_export(service: Service, model: Job, name: str) -> None:
    """Delete the export `<format>-epoch_<E>` of a model, with its files and the jobs that made it or failed to.

    NotFound where there is neither; Conflict while a job is at it.
    """
    entries = {entry.name: entry for entry in list_exports(service, model)}
    if name not in entries:
        there = f"There are {', '.join(entries)}." if entries else "It has none."
        raise NotFound(f"{model.name} has no export {name[:80]!r}.", advice=there)
    export = entries[name].export
    made = [job for job in jobs.jobs_of_model(service, model, (Kind.EXPORT,)) if _is_of(job, name, export)]
    if any(job.status.is_running for job in made):
        raise Conflict(f"{name} is being written.", advice="Wait for it, or abort its job first.")
    remove(service.folder(model.id), name)
    for job in made:
        with contextlib.suppress(NotFound):  # somebody else deletes it at the same moment
            service.store.request_action(job.id, Action.PURGE)


def exports_at(service: Service, model: Job, epoch: float) -> list[tuple[Export, Path]]:
    """The exports of one snapshot, with the folders of their files."""
    folder = service.folder(model.id)
    return [(export, export_folder(folder, export)) for export in exports_of(folder) if export.epoch == epoch]


def format_choices(model: Job) -> list[dict[str, str]]:
    """What the page offers: `name`, `title`, `note` of each format that the model's framework may be written in."""
    return [{"name": row.name, "title": row.title, "note": row.note} for row in formats(model.framework)]


def snapshot_choices(service: Service, model: Job) -> list[dict[str, Any]]:
    """`epoch` and `best` of each snapshot: the best one first, then the newest."""
    found = list(reversed(list_snapshots(service, model, with_best=True)))
    return [{"epoch": s.epoch, "best": s.best} for s in sorted(found, key=lambda s: not s.best)]


def _is_of(job: Job, name: str, export: Export | None) -> bool:
    """Whether a job made, or was to make, the export of a name."""
    return export_name(*_wanted(job)) == name or (export is not None and export.job_id == job.id)


def _wanted(job: Job) -> tuple[str, float]:
    return str(job.summary.get("format", "")), float(job.summary.get("epoch", 0.0))


def _moment(entry: ExportEntry) -> float:
    return max(entry.job.created if entry.job else 0.0, entry.export.created if entry.export else 0.0)
