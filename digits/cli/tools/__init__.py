"""`digits tools`: what the original's scripts in `tools/` did, under their names and with their options, for scripts that called
them."""

from __future__ import annotations

import importlib

import click

TOOLS = {
    "parse_folder": ("lists", "parse_folder", "Divide a folder of classes into lists of `path label`."),
    "create_db": ("databases", "create_db", "Make an LMDB or HDF5 files of the pictures of a list."),
    "analyze_db": ("databases", "analyze_db", "Count the records of a database and their shapes."),
    "inference": ("inference", "inference", "Run a model over a list or a database, into an HDF5 file."),
    "resize_image": ("pictures", "resize_image", "Resize a picture as a data set does."),
    "device_query": ("devices", "device_query", "Print the GPUs of this machine."),
}


class Tools(click.Group):
    """Imports only the tool that is called; `-` in a name counts as `_`."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(TOOLS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        entry = TOOLS.get(name.replace("-", "_"))
        if entry is None:
            return None
        command: click.Command = getattr(importlib.import_module(f"digits.cli.tools.{entry[0]}"), entry[1])
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in TOOLS.items()])


@click.group(cls=Tools)
def tools() -> None:
    """What the original's scripts in tools/ did, under their names and with their options."""
