"""`digits backup`: a copy of everything, made while the server runs."""

from __future__ import annotations

from pathlib import Path

import click

from digits.cli import print_json
from digits.cli.options import jobs_dir_option, json_option, open_service


@click.command()
@click.argument("folder", metavar="FOLDER")
@jobs_dir_option
@json_option
def backup(folder: str, jobs_dir: str | None, as_json: bool) -> None:
    """Copy jobs, uploads and database to FOLDER, while the server and trainings run.

    FOLDER is new, empty, or an earlier backup, to which only what has changed since is copied. It is a jobs directory, which
    `digits serve --jobs-dir FOLDER` opens; docs/deploy.md says how to put it back.
    """
    from digits.service.backup import back_up

    with open_service(jobs_dir) as service:
        done = back_up(service, Path(folder))
    if as_json:
        print_json(vars(done))
        return
    click.echo(
        f"{done.path} holds {done.jobs:,} jobs: {done.copied:,} files ({done.bytes / 2**20:,.1f} MiB) were copied,"
        f" {done.unchanged:,} were there, {done.removed:,} were removed."
    )
