"""Making rows again from job folders, with nothing lost: request, user columns, the supervisor's state and the events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from digits.errors import StorageError
from digits.storage.folders import JobFolder, JobsDir
from digits.storage.folding import JobFold, best_metric_of
from digits.storage.jobs import Job, JobStore

STATE_COLUMNS = ("status", "history", "started", "finished", "message", "error", "attempt", "failures", "used_gpus", "summary")


@dataclass
class Report:
    """What `reindex` did: ids that got a new row, and one sentence per folder that was left as it is."""

    restored: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def state_of(job: Job) -> dict[str, Any]:
    """The part of a row that follows neither from the request nor from the events."""
    return {name: str(job.status) if name == "status" else getattr(job, name) for name in STATE_COLUMNS}


def reindex(jobs_dir: JobsDir, store: JobStore, *, on_job: Callable[[int, int], None] = lambda done, total: None) -> Report:
    """Replace all rows by what the folders say. Only for use while no supervisor runs; `on_job(done, total)` shows progress."""
    report = Report(problems=foreign_problems(jobs_dir))
    folders = jobs_dir.folders()
    present = {folder.id for folder in folders}
    for job_id in store.ids():
        if job_id not in present:
            store.purge(job_id)
    for number, folder in enumerate(folders, 1):
        restore(folder, store, report)
        on_job(number, len(folders))
    return report


def restore(folder: JobFolder, store: JobStore, report: Report) -> None:
    """Make (again) the row of one folder; a folder that cannot be understood becomes a problem of the report."""
    try:
        request = folder.request()
    except StorageError as error:
        report.problems.append(str(error))
        return
    user = folder.user()
    fold = JobFold(folder.id, best_metric_of(request.spec))
    fold.read(folder.events_file)
    columns = {**fold.columns(), **_state(folder)}
    if columns.get("status") == "D":
        columns |= {"progress": 1.0, "eta": None}
    store.purge(folder.id)
    store.insert(request, user, **columns)
    store.put_outputs(folder.id, fold.outputs.values())
    report.restored.append(folder.id)


def foreign_problems(jobs_dir: JobsDir) -> list[str]:
    """One sentence for each folder of the original tool."""
    return [f"{path} is a job of the original DIGITS (status.pickle); it is left untouched." for path in jobs_dir.foreign()]


def _state(folder: JobFolder) -> dict[str, Any]:
    state = folder.state()
    return {name: state[name] for name in STATE_COLUMNS if name in state}
