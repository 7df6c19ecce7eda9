"""The `digits` command. Each sub-command lives in a module of its own and is loaded when it is called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from digits import __version__
from digits.errors import DigitsError, FormErrors
from digits.utils.masking import masked
from digits.utils.values import finite

COMMANDS = {
    "serve": ("digits.cli.serve", "serve", "Start the server (this is also what bare `digits` does)."),
    "demo": ("digits.cli.demo", "demo", "Start the server with a model trained on real handwritten digits."),
    "dataset": ("digits.cli.dataset", "dataset", "Create, list, show, explore, export and delete data sets."),
    "model": ("digits.cli.model", "model", "Train, list, show, abort, delete and download models."),
    "publish": ("digits.cli.publish", "publish", "Let models answer other programs under a name, with versions and tokens."),
    "pretrained": ("digits.cli.pretrained", "pretrained", "List, show, add, download and delete pretrained models."),
    "store": ("digits.cli.pretrained", "store", "List models of stores, take one over, build a store."),
    "predict": ("digits.cli.predict", "predict", "Print what a model of any task makes of pictures."),
    "classify": ("digits.cli.classify", "classify", "Classify pictures with a trained model."),
    "inside": ("digits.cli.inside", "inside", "Layers of a model, why it answers so, vectors of pictures."),
    "compare": ("digits.cli.compare", "compare", "Say which of several models is better, and what differs between them."),
    "evaluation": ("digits.cli.evaluations", "evaluation", "List, show, download and delete evaluations."),
    "jobs": ("digits.cli.jobs", "jobs", "List, edit, tag, abort and resume jobs, rebuild the database from the job folders."),
    "upload": ("digits.cli.uploads", "upload", "List and delete uploads, also those that were never finished."),
    "plugins": ("digits.cli.plugins", "plugins", "List and install plugins, start a new one."),
    "user": ("digits.cli.accounts", "user", "Add, list and remove accounts, end their sessions."),
    "token": ("digits.cli.accounts", "token", "Make, list and revoke bearer tokens for scripts."),
    "notifications": (
        "digits.cli.notifications",
        "notifications",
        "Say by e-mail, webhook or browser that jobs are done, failed, the best or stalled.",
    ),
    "download-data": ("digits.cli.download", "download_data", "Write MNIST, CIFAR or Fashion-MNIST as folders of pictures."),
    "tools": (
        "digits.cli.tools",
        "tools",
        "What the original's scripts in tools/ did, under their names and with their options.",
    ),
    "backup": ("digits.cli.backup", "backup", "Copy jobs, uploads and database while the server runs."),
    "doctor": ("digits.cli.doctor", "doctor", "Say what is wrong with this installation and what to do."),
    "config": ("digits.cli.config", "config", "Print every setting with its value and source."),
}
OF_A_FORM = "form_"  # what the names of parameters begin with that are fields of a form
ALIASES = {"plugin": "plugins"}


class LazyGroup(click.Group):
    """Knows its sub-commands by name and imports only the one that is called; bare options go to `serve`."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        entry = COMMANDS.get(ALIASES.get(name, name))
        if entry is None:
            return None
        module, attribute, _ = entry
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        first = args[0] if args else ""
        if not args or (first.startswith("-") and first not in ("--help", "--version")):
            args = ["serve", *args]
        return super().parse_args(context, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="digits")
def group() -> None:
    """Manage image data sets, train deep networks, watch them live, test them and take them away."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command; an error of digits is printed as its message and advice, with exit code 1."""
    try:
        group.main(args=arguments, prog_name="digits")
    except FormErrors as error:
        called = _called(sys.argv[1:] if arguments is None else arguments)
        options = {str(one.name).removeprefix(OF_A_FORM): one.opts[0] for one in called.params if isinstance(one, click.Option)}
        for name, messages in error.errors.items():
            text = masked(" ".join(messages))
            click.echo(f"{click.style('error', fg='red')}: {options.get(name, name)}: {text}", err=True)
        sys.exit(1)
    except DigitsError as error:
        click.echo(f"{click.style('error', fg='red')}: {masked(str(error))}", err=True)
        sys.exit(1)


def _called(arguments: Sequence[str]) -> click.Command:
    """The command that some arguments name."""
    command: click.Command = group
    for word in arguments:
        found = command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
        if found is None:
            break
        command = found
    return command


def print_json(value: Any) -> None:
    """Write `value` as indented JSON to standard output."""
    import json

    click.echo(json.dumps(finite(value), indent=2, default=str))
