"""`digits plugins`: what is installed, installing more, starting one's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from digits.cli import print_json
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.service.plugins import packages as plugin_packages
from digits.storage.modes import of_the_user


@click.group(invoke_without_command=True)
@click.pass_context
def plugins(context: click.Context) -> None:
    """List and install plugins, start a new one (also as `digits plugin …`). Without a sub-command: list."""
    if context.invoked_subcommand is None:
        context.invoke(list_plugins)


@plugins.command("list")
@json_option
def list_plugins(as_json: bool = False) -> None:
    """Print every data source and view with its version, where it comes from and, if it failed, why."""
    rows = [row for kind in plugin_packages.installed().values() for row in kind]
    if as_json:
        print_json(rows)
    else:
        _show(rows)


@plugins.command("install")
@click.argument("target", metavar="DIR|NAME")
@jobs_dir_option
def install(target: str, jobs_dir: str | None) -> None:
    """Install a plugin from a folder or by its package name; a running server shows it at once."""
    with open_service(jobs_dir) as service, of_the_user():  # pip writes where all may import from
        rows = plugin_packages.install(service, target, lambda text: click.echo(text, err=True))
    _show(rows)
    if not rows or any(not row["ok"] for row in rows):
        click.echo("The package is installed, but no working plugin was found in it.", err=True)
        sys.exit(1)


@plugins.command("new")
@click.argument("kind", type=click.Choice(["data", "view"]))
@click.argument("name")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=Path("."), help="Where to write. [default: here]"
)
def new(kind: str, name: str, folder: Path) -> None:
    """Write a working package with a passing test: a data source or a view called NAME."""
    target = plugin_packages.new_plugin(kind, name, folder)
    click.echo(f"{target} is written. Next: digits plugins install {target}")


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("Kind", "Id", "Title", "Package", "State"):
        table.add_column(title, no_wrap=title in ("Kind", "Id"))
    for row in rows:
        table.add_row(row["kind"], row["id"], row["title"], f"{row['distribution']} {row['version']}", _state(row))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    for row in rows:
        if row["error"]:
            click.echo(f"\n{row['kind']} plugin {row['id']} ({row['entry_point']}):\n{row['error']}", err=True)


def _state(row: dict[str, Any]) -> str:
    if row["used_instead"]:
        return f"[yellow]{row['state']}: {row['used_instead']} is[/]"
    return f"[green]{row['state']}[/]" if row["ok"] else f"[red]{row['error'].strip().splitlines()[-1]}[/]"
