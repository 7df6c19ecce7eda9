"""`digits compare`: the verdict between models, their metrics and the settings that differ."""

from __future__ import annotations

from typing import Any

import click

from digits.cli import print_json
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.cli.tables import find_job
from digits.domain.jobs import Kind
from digits.domain.metrics import gained_text, value_text
from digits.service.models.comparison import comparison, find_runs


@click.command("compare")
@click.argument("names", nargs=-1, required=True, metavar="ID_OR_NAME...")
@json_option
@jobs_dir_option
def compare(names: tuple[str, ...], as_json: bool, jobs_dir: str | None) -> None:
    """Say which of 2 to 50 models is better on the same validation pictures, and what differs between them.

    Models that differ by their seed alone (`digits jobs repeat`) count as one.
    """
    with open_service(jobs_dir) as service:
        ids = [find_job(service, name, Kind.MODEL).id for name in names]
        found = comparison(service, find_runs(service, ids))
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    runs, verdict = found["runs"], found["verdict"]
    click.echo(verdict["sentence"])
    if verdict["interval"] and verdict["p"] is not None:
        low, high = (gained_text(verdict["metric"], end) for end in verdict["interval"])
        click.echo(
            f"{verdict['metric']}: 95 % of the difference {low} to {high}, p {verdict['p']:.3g}, {verdict['samples']:,} pictures"
        )
    for note in found["notes"]:
        click.echo(note)
    table = Table(box=None, pad_edge=False)
    for title in ("", *(run["name"] for run in runs)):
        table.add_column(escape(title))
    for name, row in found["metrics"].items():
        marks = [("*" if run["id"] in row["best"] else "") for run in runs]
        cells = [value_text(name, row["values"].get(run["id"])) + mark for run, mark in zip(runs, marks, strict=True)]
        table.add_row(escape(row["title"]), *cells)
    for name, values in found["settings"].items():
        table.add_row(escape(name), *(escape(_short(values[run["id"]])) for run in runs))
    Console(width=max(100, 30 * len(runs))).print(table)


def _short(value: Any) -> str:
    text = "–" if value is None or value == "" else str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
