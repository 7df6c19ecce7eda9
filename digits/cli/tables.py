"""How commands find jobs by id or name, and print lists of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from digits.cli import print_json
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.domain.jobs import Kind
from digits.errors import NotFound
from digits.service import Service
from digits.storage.jobs.store import Job, JobQuery

COLOURS = {"success": "green", "info": "cyan", "warning": "yellow", "danger": "red"}


def find_job(service: Service, name: str, *kinds: str) -> Job:
    """The job with this id, else the newest with exactly this name, of the first of these kinds that has one; where several have
    it that is said. Raises NotFound."""
    job = service.store.find(name)
    if job is not None and (not any(kinds) or job.kind in kinds):
        return job
    queries = [JobQuery(kind=kind, text=name) for kind in kinds or ("",)]
    matches = [j for query in queries for j in service.store.query(query).jobs if j.name == name]
    kind = {Kind.PRETRAINED: "pretrained"}.get(Kind(kinds[0]), kinds[0]) if any(kinds) else ""
    if not matches:
        noun = "pretrained model" if kind == "pretrained" else kind or "job"
        raise NotFound(f"There is no {noun} {name!r}.", advice=f"`digits {kind or 'jobs'} list` shows what there is.")
    if len(matches) > 1:
        click.echo(f"{len(matches)} jobs are called {name!r}; taken is the newest, {matches[0].id}.", err=True)
    return matches[0]


def find_trashed(service: Service, name: str) -> Job:
    """The job in the trash with this id, else the last deleted with exactly this name. Raises NotFound."""
    found = [job for job in service.store.trash() if name in (job.id, job.name)]
    if not found:
        raise NotFound(f"There is no job {name!r} in the trash.", advice="`digits jobs trash` shows what there is.")
    return next((job for job in found if job.id == name), found[0])


def add_list(group: click.Group, kind: Kind, plural: str, describe: Callable[[Service, Job], dict[str, Any]]) -> None:
    """The command `list` of a group that has to do with one kind of job; `describe` gives a job's JSON."""

    @group.command("list", help=f"Print all {plural}, newest first.")
    @click.option("--text", default="", help="Only those whose name, id, group, network or notes contain this.")
    @json_option
    @jobs_dir_option
    def list_jobs(text: str, as_json: bool, jobs_dir: str | None) -> None:
        with open_service(jobs_dir) as service:
            print_jobs(service, kind, text, as_json, describe)


def print_jobs(
    service: Service, kind: Kind, text: str, as_json: bool, describe: Callable[[Service, Job], dict[str, Any]]
) -> None:
    """All jobs of a kind, newest first, whose name, id, group, network or notes contain `text`: a table or JSON."""
    jobs = service.store.query(JobQuery(kind=kind, text=text)).jobs
    if not text and not service.store.ids() and (folders := len(service.jobs_dir.folders())):
        click.echo(f"{folders} jobs lie in their folders, but not in the table: `digits jobs reindex` makes it again.", err=True)
    if as_json:
        print_json([describe(service, job) for job in jobs])
    else:
        job_table(jobs)


def job_table(jobs: Sequence[Job]) -> None:
    """Print jobs as a table."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    tagged = any(job.tags for job in jobs)
    for title in ("Id", "Name", "Kind", "Status", "Progress", "Best", "Duration", "Created", *(["Tags"] if tagged else [])):
        table.add_column(title, no_wrap=title not in ("Name", "Best", "Tags"))
    for job in jobs:
        colour = COLOURS[job.css]
        best = f"{escape(job.best_name)} {job.best_value:.4g} @ {job.best_epoch:g}" if job.best_value is not None else ""
        created = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created))
        status = f"[{colour}]{job.status_words}[/]"
        tags = [escape(", ".join(job.tags))] if tagged else []
        table.add_row(
            job.id, escape(job.name), job.kind, status, f"{job.progress:.0%}", best, duration(job.elapsed), created, *tags
        )
    Console(width=None if sys.stdout.isatty() else 160).print(table if jobs else "Nothing yet.")


def duration(seconds: float) -> str:
    """`H:MM:SS`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
