"""What becomes of a job whose worker has ended: done, aborted, failed, or started again from its checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from digits.domain.jobs import Kind, Status
from digits.domain.remedies import with_code
from digits.errors import StorageError
from digits.storage.files import DISK_WAS_FULL, read_json
from digits.storage.folders import JobFolder
from digits.storage.jobs.store import Job
from digits.storage.run_summary import RunSummary, furthest
from digits.supervisor.executor import Stop

MAX_FAILED_RESUMES = 3
TAIL_LINES = 20
STOPPED_FROM_OUTSIDE = "it was requested to stop from outside"


@dataclass(frozen=True)
class Outcome:
    """The state to move to, with the columns that go with it."""

    status: Status
    columns: dict[str, Any] = field(default_factory=dict)


def outcome_of(job: Job, run: RunSummary, folder: JobFolder, stop: Stop, reason: str, log: Callable[[str, int], str]) -> Outcome:
    """Judge the end of attempt `job.attempt`.

    `reason` says in words how the worker ended, `log(job id, lines)` gives the end of what it printed.
    """
    said = run.status.status if run.status and run.attempt == job.attempt else ""
    if said == Status.DONE:
        message = ended_early(run, folder) or resumption_words(job, run)
        return Outcome(Status.DONE, {"message": message, "error": "", "failures": 0})
    if stop in (Stop.ABORT, Stop.DELETE) or job.requested_action == "abort":
        return Outcome(Status.ABORT, {"message": "Aborted by the user.", "error": ""})
    if said == Status.ERROR:
        return _failed(job, run.error_text() or _text(run), run.error.code if run.error else "")
    if stop == Stop.MEMORY:  # it would take as much again
        return _failed(job, reason)
    if stop == Stop.SERVER:
        return requeued(job, "The server was stopped; the job goes on when it runs again.", "the server was stopped")
    if stop == Stop.COPY:
        return requeued(job, f"Starts anew: {reason}.", reason)
    if stop == Stop.SIGNAL or said == Status.ABORT:  # nothing here requested it, and it is no crash
        return requeued(job, "The job was requested to stop from outside; it goes on in a moment.", STOPPED_FROM_OUTSIDE)
    if said == Status.WAIT and run.status and run.status.lost:
        return _died(job, folder, run.status.message, log)
    if said == Status.WAIT:
        return requeued(job, _text(run), "the disk was full" if _text(run) == DISK_WAS_FULL else "its folder was moved")
    return _died(job, folder, reason, log)


def requeued(job: Job, message: str, after: str) -> Outcome:
    """Back to the queue; `after` is what the page says once the job goes on."""
    return Outcome(Status.WAIT, {"message": message, "error": "", "summary": {**job.summary, "interrupted": after}})


def ended_early(run: RunSummary, folder: JobFolder) -> str:
    """What the page says about a training that ended before its last epoch because its user requested that; empty of others."""
    if run.progress is None or run.progress.fraction >= 1 or not folder.finish_file.exists():
        return ""
    try:
        epochs = folder.request().spec.get("epochs")
    except StorageError:
        return ""
    return f"Ended early, at epoch {run.progress.epoch:.4g} of {epochs}, as its user requested. The best snapshot is kept."


def resumption_words(job: Job, run: RunSummary) -> str:
    """What the page says about a job that goes, or went, on after an interruption; empty in its first attempt."""
    if run.attempt <= 1:
        return ""
    words = _resumption(job, run)
    return f"{words} {run.passed_over}" if run.passed_over else words


def _resumption(job: Job, run: RunSummary) -> str:
    after = job.summary.get("interrupted", "")
    tail = f" after: {after}" if after else ""
    if run.resumed_step >= 0:
        return f"Resumed from checkpoint (step {run.resumed_step}){tail}."
    return f"Started again from the beginning{tail}."


def result_facts(job: Job, folder: JobFolder, status: Status) -> dict[str, Any]:
    """What a finished data set turned out to be: its task; for lists classes, entries of the splits, image shape, problems,
    how much was left out. Of a pretrained model, whose files may have been fetched, its classes."""
    if status == Status.DONE and job.kind == Kind.PRETRAINED:
        return _pretrained_facts(job, folder)
    if status != Status.DONE or job.kind != Kind.DATASET:
        return {}
    try:
        info = folder.dataset_info()
    except StorageError:
        return {}
    counts = {name: split.entries for name, split in info.splits.items()}
    found = {"classes": len(info.class_labels), "entries": sum(counts.values()), "splits": counts, "problems": info.problems}
    found |= {"left_out": info.left_out, "feature_shape": list(info.feature_shape or ())}
    summary = {**job.summary, **found}
    return {"task": folder.settle_task().task, "summary": summary}


def _failed(job: Job, error: str, code: str = "") -> Outcome:
    return Outcome(Status.ERROR, {"message": "", "error": error, "summary": with_code(job.summary, code)})


def _pretrained_facts(job: Job, folder: JobFolder) -> dict[str, Any]:
    try:
        classes = len(read_json(folder.path / "preprocessing.json")["class_labels"])
    except (StorageError, KeyError, TypeError):
        return {}
    return {"summary": {**job.summary, "classes": classes, "has_labels": classes > 0}}


def _died(job: Job, folder: JobFolder, reason: str, log: Callable[[str, int], str]) -> Outcome:
    failures = 1 if has_progressed(furthest(folder.events_file), job.attempt) else job.failures + 1
    if failures > MAX_FAILED_RESUMES:
        failed = _failed(job, _gave_up(log(job.id, TAIL_LINES), reason))
        return Outcome(Status.ERROR, {**failed.columns, "failures": failures})
    result = requeued(job, f"The worker ended: {reason}. The job starts again.", reason)
    return Outcome(result.status, {**result.columns, "failures": failures})


def has_progressed(reached: Mapping[int, float], attempt: int) -> bool:
    """Whether `attempt` got further than every attempt before it."""
    earlier = [fraction for number, fraction in reached.items() if number < attempt]
    return reached.get(attempt, 0.0) > max(earlier, default=0.0)


def _gave_up(tail: str, reason: str) -> str:
    log_tail = f" The last lines of its log:\n{tail}" if tail else ""
    return (
        f"The job was started again {MAX_FAILED_RESUMES} times in a row and got no further: {reason}."
        f" Correct the cause, then press Go on.{log_tail}"
    )


def _text(run: RunSummary) -> str:
    return run.status.message if run.status else ""
