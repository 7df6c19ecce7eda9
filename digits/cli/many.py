"""What several commands do to many jobs at once; one that is refused does not keep the others from their turn."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from digits.cli.follow import follow
from digits.cli.options import jobs_dir_option, open_service
from digits.cli.tables import find_job
from digits.domain.jobs import Kind
from digits.errors import BadRequest
from digits.service import Service, trash
from digits.service import jobs as actions
from digits.storage.jobs.store import Job
from digits.utils.values import counted

KEEP_MODELS = click.option(
    "--keep-models", is_flag=True, help="Where models need it: delete the records, keep what the models need to predict."
)


PURGE = click.option("--purge", "for_good", is_flag=True, help="For good, not into the trash.")


def stop(service: Service, jobs: Sequence[Job]) -> None:
    """Ask jobs to stop. Raises BadRequest naming those that have ended already."""

    def request_stop(service: Service, job: Job) -> None:
        actions.abort(service, job)
        click.echo(f"{job.name} is requested to stop.")

    _report(actions.for_each(service, request_stop, jobs))


def resume(service: Service, jobs: Sequence[Job], no_wait: bool) -> None:
    """Let ended jobs go on, and wait until they have ended again unless `no_wait`. Raises BadRequest naming those that cannot."""
    going: list[str] = []

    def request_resume(service: Service, job: Job) -> None:
        actions.resume(service, job)
        going.append(job.id)

    problems = actions.for_each(service, request_resume, jobs)
    done = no_wait or not going or follow(service, going)
    _report(problems)
    if not done:
        sys.exit(1)


def add_delete(group: click.Group, kind: Kind, help: str) -> None:
    """The command `delete` of a group that has to do with one kind of job."""

    @group.command("delete", help=help)
    @click.argument("names", nargs=-1, required=True, metavar="ID_OR_NAME...")
    @click.option("--yes", is_flag=True, help="Do not ask.")
    @(KEEP_MODELS if kind == Kind.DATASET else lambda command: command)
    @PURGE
    @jobs_dir_option
    def delete(names: tuple[str, ...], yes: bool, for_good: bool, jobs_dir: str | None, keep_models: bool = False) -> None:
        with open_service(jobs_dir) as service:
            jobs = [find_job(service, name, kind) for name in names]
            if for_good:
                purge(service, jobs, yes)
            else:
                remove(service, jobs, yes, keep_models)


def purge(service: Service, jobs: Sequence[Job], yes: bool) -> None:
    """Let those jobs to which the user agrees (all with `yes`) go for good, and wait until they have. Raises BadRequest."""
    chosen = [job for job in jobs if yes or click.confirm(f"Delete {job.name} ({job.id}) for good?")]
    gone, problems = trash.purge(service, chosen)
    if gone:
        follow(service, gone, until_gone=True)
    _report(problems)


def remove(service: Service, jobs: Sequence[Job], yes: bool, keep_models: bool = False) -> None:
    """Delete those jobs to which the user agrees (all with `yes`) and wait until they lie in the trash. Raises BadRequest."""
    chosen = [job for job in jobs if yes or click.confirm(f"Delete {job.name} ({job.id})?")]
    gone: list[str] = []
    kept: list[str] = []

    def delete(service: Service, job: Job) -> None:
        found = actions.delete(service, job, keep_models=keep_models)
        gone.extend(found)
        if not found:
            kept.append(job.id)
            click.echo(f"The records of {job.name} are deleted; what its models need stays as long as they do.")

    problems = actions.for_each(service, delete, chosen)
    if gone:
        follow(service, gone, until_gone=True)
        if trash.is_kept(service):
            days = service.settings.trash_days
            words = f"{counted(len(gone), 'job')} in the trash for {days} days: `digits jobs restore ID` brings one back."
            click.echo(words, err=True)
    if kept:
        follow(service, kept, quiet=True)
    _report(problems)


def _report(problems: Sequence[str]) -> None:
    if problems:
        raise BadRequest(" ".join(problems))
