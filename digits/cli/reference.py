"""Writes the pages of `docs/` that are made from the code: commands and settings. `python -m digits.cli.reference docs`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click

from digits.cli import COMMANDS, group
from digits.config import Settings


def pages() -> dict[str, str]:
    """File name below `docs/` → its text."""
    return {"cli.md": _commands(), "configuration.md": _configuration()}


def _commands() -> str:
    head = "# Commands\n\nMade from the code by `make docs`. `digits COMMAND --help` says the same.\n"
    context = click.Context(group, info_name="digits")
    return head + "".join(_command(context, name) for name in COMMANDS)


def _command(parent: click.Context, name: str) -> str:
    assert isinstance(parent.command, click.Group)
    command = parent.command.get_command(parent, name)
    assert command is not None
    context = click.Context(command, info_name=name, parent=parent)
    level = "#" * (2 + parent.command_path.count(" "))
    text = f"\n{level} {context.command_path}\n\n{(command.help or '').strip()}\n"
    if isinstance(command, click.Group):
        return text + "".join(_command(context, child) for child in command.list_commands(context))
    usage = " ".join(command.collect_usage_pieces(context))
    return text + f"\n    {context.command_path} {usage}\n" + "".join(_options(command, context))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    rows = [record for p in command.get_params(context) if (record := p.get_help_record(context)) and p.name != "help"]
    if rows:
        yield "\n| option | meaning |\n|---|---|\n"
    for option, meaning in rows:
        yield f"| `{_cell(option)}` | {_cell(meaning)} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


CONFIGURATION = """# Configuration

Made from the code by `make docs`. A setting comes from the command line, else from its variable, else from the TOML file
(`digits/config.toml` in the user's configuration folder, or the file that `DIGITS_CONFIG` names), else from its default.
`digits config` prints each with its source.

| setting | variable | default | meaning |
|---|---|---|---|
{rows}
A TOML file names the settings themselves:

    jobs_dir = "/data/digits-jobs"
    data_dirs = "/data/pictures:/home/anna"
    port = 8080
"""


def _configuration() -> str:
    rows = ""
    for f in fields(Settings):
        default = f"`{f.default}`" if f.default != "" else "empty"
        rows += f"| `{f.name}` | `DIGITS_{f.name.upper()}` | {default} | {f.metadata['help']} |\n"
    return CONFIGURATION.format(rows=rows)


def main(folder: Path) -> None:
    """Write every page below `folder`."""
    for name, text in pages().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
