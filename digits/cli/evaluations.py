"""`digits evaluation`: the evaluations that were made, their numbers and files; `digits model evaluate` makes one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from digits.cli import print_json
from digits.cli.many import add_delete
from digits.cli.options import jobs_dir_option, open_service
from digits.cli.tables import add_list, find_job
from digits.domain.jobs import Kind
from digits.service import Service
from digits.service.evaluations.downloads import FILES, file_of
from digits.service.evaluations.results import evaluation_result
from digits.service.rows import row_dict
from digits.storage.files import atomic
from digits.storage.jobs.store import Job
from digits.storage.modes import of_the_user


def evaluation_dict(service: Service, job: Job) -> dict[str, Any]:
    """What a list says of an evaluation."""
    return {key: row_dict(job)[key] for key in ("id", "name", "status", "summary", "best_name", "best_value", "tags")}


@click.group()
def evaluation() -> None:
    """List, show, download and delete evaluations; `digits model evaluate` makes one."""


add_list(evaluation, Kind.EVALUATION, "evaluations", evaluation_dict)


@evaluation.command("show")
@click.argument("name", metavar="ID_OR_NAME")
@jobs_dir_option
def show(name: str, jobs_dir: str | None) -> None:
    """Print all numbers of an evaluation, as JSON."""
    with open_service(jobs_dir) as service:
        job = find_job(service, name, Kind.EVALUATION)
        print_json({"id": job.id, "name": job.name, **evaluation_result(service, job)})


@evaluation.command("download")
@click.argument("name", metavar="ID_OR_NAME")
@click.argument("file", type=click.Choice(FILES))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write. [default: <id>_FILE]")
@jobs_dir_option
def download(name: str, file: str, output: Path | None, jobs_dir: str | None) -> None:
    """Write a table of an evaluation, its masks, or its boxes in COCO's form."""
    with open_service(jobs_dir) as service:
        job = find_job(service, name, Kind.EVALUATION)
        target = output or Path(f"{job.id}_{file}")
        with of_the_user(), atomic(target) as handle:
            handle.writelines(file_of(service, job, file))
    click.echo(str(target))


add_delete(evaluation, Kind.EVALUATION, "Delete evaluations; their models stay.")
