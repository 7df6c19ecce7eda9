"""What several commands do to many jobs at once; one that is refused does not keep the others from their turn."""

from __future__ import annotations

from collections.abc import Sequence

import click

from digits.cli.follow import follow
from digits.errors import BadRequest
from digits.service import Service
from digits.service import jobs as actions
from digits.storage.jobs.store import Job


def stop(service: Service, jobs: Sequence[Job]) -> None:
    """Ask jobs to stop. Raises BadRequest naming those that have ended already."""

    def ask(service: Service, job: Job) -> None:
        actions.abort(service, job)
        click.echo(f"{job.name} is asked to stop.")

    _tell(actions.for_each(service, ask, jobs))


def remove(service: Service, jobs: Sequence[Job], yes: bool) -> None:
    """Delete those jobs to which the user agrees (all with `yes`) and wait until they are gone. Raises BadRequest."""
    chosen = [job for job in jobs if yes or click.confirm(f"Delete {job.name} ({job.id})?")]
    gone: list[str] = []

    def delete(service: Service, job: Job) -> None:
        gone.extend(actions.delete(service, job))

    problems = actions.for_each(service, delete, chosen)
    if gone:
        follow(service, gone, until_gone=True)
    _tell(problems)


def _tell(problems: Sequence[str]) -> None:
    if problems:
        raise BadRequest(" ".join(problems))
