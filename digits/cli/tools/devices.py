"""`digits tools device_query`: the GPUs of this machine, as the original's `device_query.py` printed them."""

from __future__ import annotations

from dataclasses import asdict

import click

from digits.cli import print_json
from digits.cli.options import json_option
from digits.supervisor.gpus import list_gpus


@click.command("device_query")
@click.option("-v", "--verbose", is_flag=True, help="Also the UUIDs.")
@json_option
def device_query(verbose: bool, as_json: bool) -> None:
    """Print the GPUs that digits may use; none where there is no driver."""
    gpus = list_gpus()
    if as_json:
        print_json([asdict(gpu) for gpu in gpus])
        return
    for gpu in gpus:
        click.echo(f"Device #{gpu.id}:\n  Name         {gpu.name}\n  Total memory {gpu.memory_total / 2**20:,.0f} MiB")
        if verbose:
            click.echo(f"  UUID         {gpu.uuid}")
    if not gpus:
        click.echo("No devices found.")
