"""Making rows again from job folders, with nothing lost: request, user columns, the supervisor's state and the events."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from digits.domain.jobs import StatusHistory
from digits.errors import StorageError
from digits.storage.folders import JobFolder, JobsDir
from digits.storage.jobs.store import Job, JobStore
from digits.storage.lock import ServerLock
from digits.storage.run_summary import RunSummary

STATE_COLUMNS = (
    "status",
    "history",
    "started",
    "finished",
    "message",
    "error",
    "attempt",
    "failures",
    "used_gpus",
    "summary",
    "deleted",
)


@dataclass
class ReindexReport:
    """What was done: ids that got a new row, and each folder that was left as it is with the reason."""

    restored: list[str] = field(default_factory=list)
    problems: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def found(self) -> int:
        """How many jobs there are now."""
        return len(self.restored)


def state_of(job: Job) -> dict[str, Any]:
    """The part of a row that follows neither from the request nor from the events."""
    return {name: str(job.status) if name == "status" else getattr(job, name) for name in STATE_COLUMNS}


def reindex(
    jobs_dir: JobsDir, store: JobStore, *, on_job: Callable[[int, int], None] = lambda done, total: None
) -> ReindexReport:
    """Replace all rows by what the folders say; `on_job(done, total)` shows progress.

    Raises Locked while a server runs: it knows more than the folders.
    """
    with ServerLock(jobs_dir, "digits jobs reindex"):
        report = ReindexReport(problems=foreign_problems(jobs_dir))
        folders = jobs_dir.folders()
        for job_id in set(store.ids()) - {folder.id for folder in folders}:
            store.purge(job_id)
        for number, folder in enumerate(folders, 1):
            restore(folder, store, report)
            on_job(number, len(folders))
        return report


def restore(folder: JobFolder, store: JobStore, report: ReindexReport) -> None:
    """Make (again) the row of one folder; a folder that cannot be understood becomes a problem of the report."""
    try:
        request = folder.settle_task()
    except StorageError as error:
        report.problems.append((folder.path, str(error)))
        return
    user = folder.user()
    run = RunSummary.of(folder.id, request.spec)
    run.read(folder.events_file)
    columns = {**run.columns(), **_state(folder)}
    if columns.get("status") == "D":
        columns |= {"progress": 1.0, "eta": None}
    store.reinsert(request, user, run.outputs.values(), **columns)
    report.restored.append(folder.id)


def index_folder(folder: JobFolder, store: JobStore) -> None:
    """Bring what a job was made with, and what its events say of its outputs, into the tables that queries read. Raises
    StorageError for a folder that cannot be read."""
    request = folder.request()
    run = RunSummary.of(folder.id, request.spec)
    run.read(folder.events_file)
    store.index(request, run.outputs.values())


def foreign_problems(jobs_dir: JobsDir) -> list[tuple[Path, str]]:
    """The folders of the original tool, each with a sentence."""
    return [(path, "A job of the original DIGITS (status.pickle); it is left untouched.") for path in jobs_dir.foreign()]


def _state(folder: JobFolder) -> dict[str, Any]:
    state = folder.state()
    if not isinstance(deleted := state.get("deleted"), int | float) or not math.isfinite(deleted):
        state.pop("deleted", None)
    try:
        StatusHistory.from_json(state.get("history"))
    except (TypeError, ValueError):
        state.pop("history")
    return {name: state[name] for name in STATE_COLUMNS if name in state}
