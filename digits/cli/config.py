"""`digits config`: every setting, its value and where the value came from."""

from __future__ import annotations

import os
from dataclasses import fields
from typing import Any

import click

from digits.cli import print_json
from digits.config import Settings, config_file, load
from digits.utils.masking import HIDDEN, masked


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def config(as_json: bool) -> None:
    """Print every setting with its value and source.

    Passwords in addresses are shown as ***.

    A setting comes from the command line, else from its DIGITS_… variable, else from the TOML file, else from its default.
    """
    loaded = load()
    rows = [
        {
            "name": f.name,
            "variable": f"DIGITS_{f.name.upper()}",
            "value": _shown(f.name, getattr(loaded.settings, f.name)),
            "source": loaded.sources[f.name],
            "help": f.metadata["help"],
        }
        for f in fields(Settings)
    ]
    if as_json:
        print_json(rows)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("Setting", "Value", "Source", "Meaning", title=f"TOML file: {config_file(os.environ)}", title_justify="left")
    for row in rows:
        table.add_row(row["name"], str(row["value"]), row["source"], row["help"])
    Console().print(table)


def _shown(name: str, value: Any) -> Any:
    if name.endswith("_password"):
        return HIDDEN if value else ""
    return masked(value, whole=name.endswith("_url")) if isinstance(value, str) else value
