"""The execution traces of a training: which steps have one, where their time went, and the file of each (R 1.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from digits.engines.training.trace_parts import WORDS
from digits.errors import NotFound
from digits.service import Service
from digits.service.models.history import RunHistory, read_history
from digits.storage.folders import JobFolder
from digits.storage.jobs.store import Job


def traces(history: RunHistory, folder: JobFolder) -> list[dict[str, Any]]:
    """The steps that have a trace, in order: `step`, `epoch`, `seconds`, `parts` to seconds, `where` as a sentence."""
    found = {event.step: event for event in history.traces if folder.trace_file(event.step).is_file()}
    return [
        {"step": step, "epoch": event.epoch, "seconds": event.seconds, "parts": event.parts, "where": event.where}
        for step, event in sorted(found.items())
    ]


def traces_of(service: Service, job: Job) -> list[dict[str, Any]]:
    """As `traces`, for a model."""
    folder = service.folder(job.id)
    return traces(read_history(folder), folder)


def trace_file(service: Service, job: Job, step: int) -> Path:
    """The trace of a step, JSON as viewers of Chrome's traces read it. NotFound names the steps that have one."""
    path = service.folder(job.id).trace_file(step)
    if path.is_file():
        return path
    steps = [row["step"] for row in traces_of(service, job)]
    shown = f"These have one: {', '.join(f'{number:,}' for number in steps)}." if steps else "Train it with traces_interval."
    raise NotFound(f"{job.name} has no execution trace of step {step:,}.", advice=shown)


def part_words() -> dict[str, str]:
    """What the parts of a step are called."""
    return dict(WORDS)
