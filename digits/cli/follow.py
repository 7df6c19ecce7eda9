"""Commands that wait: bars for jobs until they have ended, done by the running server or, without one, from here."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from digits import supervisor
from digits.cli.tables import COLOURS
from digits.domain.jobs import Status
from digits.service import Service
from digits.storage.jobs.store import Job
from digits.storage.lock import Locked

GONE_SECONDS = 30.0
POLL_SECONDS = 0.2


def follow(service: Service, job_ids: Collection[str], *, quiet: bool = False, until_gone: bool = False) -> bool:
    """Wait until the jobs have ended (or are deleted or restored, with `until_gone`); whether all are done."""
    if until_gone:
        return _wait_until_gone(service, job_ids)
    console = Console(stderr=True, quiet=quiet)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        jobs = _work(service, job_ids, _Bars(progress).show)
    for job in jobs:
        colour = COLOURS[job.css]
        console.print(f"[{colour}]{job.status_words}[/] {escape(job.name)}{escape(_best(job))}", highlight=False)
        if job.status == Status.ERROR:
            click.echo(job.error or job.message, err=True)
    return all(job.status == Status.DONE for job in jobs) and len(jobs) == len(job_ids)


class _Bars:
    """One bar per job."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.bars: dict[str, TaskID] = {}

    def show(self, job: Job) -> None:
        if job.id not in self.bars:
            self.bars[job.id] = self.progress.add_task(escape(job.name), total=1.0, note="")
        note = " ".join(part for part in (job.status.word, _best(job).strip(), job.message) if part)
        self.progress.update(self.bars[job.id], completed=job.progress, note=escape(note))


def _best(job: Job) -> str:
    if job.best_value is None:
        return ""
    start = ", the start" if job.best_epoch == 0 else ""
    return f" {job.best_name} {job.best_value:.4g} @ epoch {job.best_epoch:g}{start}"


def _work(service: Service, job_ids: Collection[str], show: Callable[[Job], None]) -> list[Job]:
    """Do the jobs from here, or watch whoever has the jobs directory; when that one ends before them, do them after all."""
    while True:
        try:
            return supervisor.run_until(service.settings, job_ids, on_change=show)
        except Locked:
            jobs = supervisor.follow(service.settings, job_ids, on_change=show)
            if all(supervisor.has_ended(job) for job in jobs):
                return jobs


def _wait_until_gone(service: Service, job_ids: Collection[str]) -> bool:
    """A running server puts them into the trash, removes or restores them; without one a supervisor is started just for that."""
    deadline = time.monotonic() + GONE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(Locked):
            supervisor.run_until(service.settings, job_ids)
        if not any(_is_pending(service, job_id) for job_id in job_ids):
            return True
        time.sleep(POLL_SECONDS)
    return False


def _is_pending(service: Service, job_id: str) -> bool:
    job = service.store.find(job_id, with_deleted=True)
    return bool(job.requested_action) if job else service.folder(job_id).path.exists()
