"""Writes the pages of `docs/` that are made from the code: commands, settings, rooms. `python -m digits.cli.reference docs`."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click

import digits
from digits.cli import COMMANDS, group
from digits.config import Settings
from digits.frameworks import frameworks
from digits.networks.catalog import standard_networks


def pages() -> dict[str, str]:
    """File name below `docs/` → its text."""
    return {"cli.md": _commands(), "configuration.md": _configuration(), "rooms.md": _rooms()}


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


ROOMS = """# Rooms

Made from the code by `make docs`: every module with the first sentence of what it says of itself. Search for the word you
know; [Architecture](architecture.md) says how the parts work together.
"""
PACKAGE = Path(digits.__file__).parent
NO_ROOMS = ("templates", "starters", "versions")  # files that are copied as they are

NETWORKS = {network.name for name in frameworks() for network in standard_networks(name)}  # texts for users


def _rooms() -> str:
    text, shown = ROOMS, ""
    for path in sorted(PACKAGE.rglob("*.py"), key=lambda path: (path.parent, path.name != "__init__.py", path.name)):
        inside = path.relative_to(PACKAGE)
        is_text = inside.parts[0] == "networks" and path.stem in NETWORKS
        if any(part in NO_ROOMS for part in inside.parts[:-1]) or is_text or path.name == "__main__.py":
            continue
        if str(inside.parent) != shown:
            shown = str(inside.parent)
            text += f"\n## `digits/{shown}/`\n\n" if shown != "." else "\n## `digits/`\n\n"
        if path.name == "__init__.py":
            text += f"{_sentence(path)}\n\n"
        else:
            text += f"* `{path.name}`: {_sentence(path)}\n"
    return text


def _sentence(path: Path) -> str:
    """The first paragraph of a module's docstring on one line."""
    words = ast.get_docstring(ast.parse(path.read_text())) or ""
    return " ".join(words.split("\n\n")[0].split())


def main(folder: Path) -> None:
    """Write every page below `folder`."""
    for name, text in pages().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
