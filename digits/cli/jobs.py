"""`digits jobs`: everything that runs or waits, and the database that can be rebuilt from the folders."""

from __future__ import annotations

from dataclasses import asdict

import click

from digits.cli import print_json
from digits.cli.many import stop
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.cli.tables import find_job, job_table
from digits.storage.jobs.store import JobQuery


@click.group()
def jobs() -> None:
    """List and abort jobs, rebuild the database from the job folders."""


@jobs.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that have ended.")
@json_option
@jobs_dir_option
def list_jobs(everything: bool, as_json: bool, jobs_dir: str | None) -> None:
    """Print the jobs that run or wait, in the order in which they start."""
    with open_service(jobs_dir) as service:
        found = service.store.query(JobQuery()).jobs if everything else service.store.active()
        if as_json:
            print_json([asdict(job) for job in found])
        else:
            job_table(found)


@jobs.command("abort")
@click.argument("names", nargs=-1, required=True, metavar="ID_OR_NAME...")
@jobs_dir_option
def abort(names: tuple[str, ...], jobs_dir: str | None) -> None:
    """Stop jobs of any kind."""
    with open_service(jobs_dir) as service:
        stop(service, [find_job(service, name) for name in names])


@jobs.command("reindex")
@jobs_dir_option
def reindex(jobs_dir: str | None) -> None:
    """Make the table of jobs again from the job folders. Accounts and tokens stay."""
    from digits.storage.jobs.reindex import reindex as rebuild

    with open_service(jobs_dir) as service:
        report = rebuild(service.jobs_dir, service.store)
    click.echo(f"{len(report.restored)} jobs found.")
    for path, reason in report.problems:
        click.echo(f"left out: {path}: {reason}", err=True)
