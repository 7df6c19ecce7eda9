"""`digits model check` and `metrics`: a network text before it is trained, and every number of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from digits.cli import print_json
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.cli.processes import answering
from digits.cli.tables import find_job
from digits.domain.jobs import Kind
from digits.service.forms import parse
from digits.service.models.charts import metrics_csv
from digits.service.models.customize import CheckForm, check_network
from digits.service.models.history import read_history
from digits.storage.files import atomic
from digits.storage.modes import of_the_user


@click.command("check")
@click.argument("network_file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dataset", default="", metavar="ID_OR_NAME", help="The data set that it is to learn from.")
@click.option("--crop-size", default="", metavar="SIDE", help="Side of the square cut out of each picture.")
@click.option("--framework", default="", metavar="NAME", help="Which engine builds it. [default: pytorch]")
@jobs_dir_option
@json_option
def check(network_file: Path, dataset: str, crop_size: str, framework: str, jobs_dir: str | None, as_json: bool) -> None:
    """Build the network text NETWORK_FILE and print its layers, or what is wrong with it."""
    with open_service(jobs_dir) as service:
        chosen = find_job(service, dataset, Kind.DATASET).id if dataset else ""
        values = {"custom_network": network_file.read_text(encoding="utf-8"), "dataset_id": chosen}
        form = parse(CheckForm, {**values, "crop_size": crop_size, "framework": framework})
        with answering(service, plugins=False):
            report = check_network(service, form)
    if as_json:
        print_json({name: value for name, value in report.items() if name != "graph"})
    else:
        _print(report)


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("Layer", "Kind", "Output", "Parameters"):
        table.add_column(title, justify="right" if title == "Parameters" else "left")
    for layer in report["layers"]:
        shape = "×".join(map(str, layer["output_shape"]))
        table.add_row(escape(layer["name"]), escape(layer["kind"]), shape, f"{layer['parameters']:,}")
    Console(width=160).print(table)
    click.echo(f"{report['parameters']:,} parameters")
    for text in report["warnings"]:
        click.echo(text, err=True)


@click.command("metrics")
@click.argument("name", metavar="ID_OR_NAME")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write. [default: print]")
@jobs_dir_option
def metrics(name: str, output: Path | None, jobs_dir: str | None) -> None:
    """Print every metric of a training as CSV: step, epoch, phase, name, kind, value, time, attempt."""
    with open_service(jobs_dir) as service:
        lines = metrics_csv(read_history(service.folder(find_job(service, name, Kind.MODEL).id)))
        if output is None:
            for line in lines:
                click.echo(line, nl=False)
            return
        with of_the_user(), atomic(output) as handle:
            handle.writelines(line.encode() for line in lines)
    click.echo(str(output))
