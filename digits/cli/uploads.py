"""`digits upload`: what was uploaded, what is not finished, and removing both."""

from __future__ import annotations

import getpass
from datetime import datetime
from typing import Any

import click

from digits.cli import print_json
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.service.files import uploads


@click.group()
def upload() -> None:
    """List and delete uploads, also those that were never finished."""


@upload.command("list")
@jobs_dir_option
@json_option
def list_all(jobs_dir: str | None, as_json: bool) -> None:
    """Every upload; those that are not finished come last, each with the token by which `delete` removes it."""
    with open_service(jobs_dir) as service:
        whole, partial = uploads.list_uploads(service), uploads.list_partial(service)
    if as_json:
        print_json({"uploads": [vars(one) for one in whole], "partial": [vars(one) for one in partial]})
        return
    rows = [(one.name, "", one.owner, one.files, one.bytes, one.created, one.file or one.path) for one in whole]
    rows += [(one.name, one.token, one.owner, one.files, one.bytes, one.begun, "not finished") for one in partial]
    _show(rows)


@upload.command("delete")
@click.argument("names", nargs=-1, required=True, metavar="NAME_OR_TOKEN...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@jobs_dir_option
def delete(names: tuple[str, ...], yes: bool, jobs_dir: str | None) -> None:
    """Delete uploads, and cancel those that are not finished. Needs no room on the disk."""
    with open_service(jobs_dir) as service:
        partial = {one.token for one in uploads.list_partial(service)}
        for name in names:
            if name not in partial:
                uploads.find(service, name)
            if not yes and not click.confirm(f"Delete the upload {name}?"):
                continue
            if name in partial:
                uploads.cancel(service, name)
            else:
                uploads.remove(service, name, uploads.find(service, name).owner or getpass.getuser())
            click.echo(f"{name} is deleted.")


def _show(rows: list[tuple[Any, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("Name", "Token", "Owner", "Files", "MiB", "Since", "Path", box=None, pad_edge=False)
    for name, token, owner, files, size, since, path in rows:
        when = datetime.fromtimestamp(since).strftime("%Y-%m-%d %H:%M")
        table.add_row(name, token, owner, str(files), f"{size / 2**20:.1f}", when, path)
    Console(width=None).print(table)
