"""Writes the pages of `docs/` that are made from the code: `python -m digits.cli.reference docs`."""

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
from digits.domain.metrics import METRICS, MetricFacts
from digits.frameworks import frameworks
from digits.metrics.notes import NOTES
from digits.networks.catalog import standard_networks


def pages() -> dict[str, str]:
    """File name below `docs/` → its text."""
    return {"cli.md": _commands(), "configuration.md": _configuration(), "metrics.md": _metrics(), "rooms.md": _rooms()}


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


METRICS_HEAD = """# Metrics

Made from the code by `make docs`: every metric with its formula, what it is taken over, and the library that it is compared with
(`tests/truth/`). A metric is counted by the same code in the validation of a training, in an evaluation and for the baseline.

* **Over a whole split.** Metrics are sums, or what was kept of every picture, brought together once: batch sizes, the order
  of the records and the number of processes change nothing.
* **No numbers.** An output with NaN or infinity is wrong, is counted as such, and makes no snapshot the best.
* **Units.** Shares are fractions from 0 to 1 in JSON and files, percents on pages. Errors are in the label's units, also where
  the network learns labels divided by the full scale of their type; its loss is not.
* **Nothing to measure** is no value: `null` in JSON, a dash on pages, never 0.
* **Baseline.** Beside each metric stands what the trivial answer scores on the very same pictures, of every split, list or folder
  that is evaluated. It is made from the training labels alone:
  {guesses}. Of several the best counts. A training has the guess's loss too, where the loss is one of ours
  and not the text's own: that of the shares of classes or labels (class weights included), of the mean, of the unchanged input;
  an evaluation of classes without weights.
* **Pictures that are their own labels** are measured as they are stored, in training as in evaluations: outputs are brought back
  to these units. There are no metrics where that cannot be done: of whitened pictures, and of arrays of unknown meaning.
* **Columns.** A regression of several numbers has `mae/<column>`, `rmse/<column>` and `r2/<column>` of each, by the names that
  the table of the data set gives.
* **Own metrics** of a network text are described by its `METRICS` ([Networks](networks.md#metrics)).

`loss` is compared with the same loss only: of the parts of a loss, of class weights and of other losses there are other numbers.

| name | title | better | range | taken over |
|---|---|---|---|---|
{facts}
"""

METRICS_NOTES = """
## {name}

{title}.

* **Formula**: {formula}
* **Source**: {source}
* **Taken over**: {over}
* **Ties**: {ties}
* **Nothing to measure**: {empty}
* **Compared with**: {compared}
"""
GUESSES = """the most frequent class (its probabilities the shares of all), how frequent each label is, the most frequent class
  for every pixel, no box, the mean of each column, the mean colour or the unchanged input"""


def _metrics() -> str:
    rows = [f"| `{name}` | {one.title} | {one.better or '–'} | {_range(one)} | {one.over} |" for name, one in METRICS.items()]
    text = METRICS_HEAD.format(guesses=GUESSES, facts="\n".join(rows))
    for name, one in METRICS.items():
        note = NOTES[name]
        more = {"source": note.source or "–", "ties": note.ties or "none", "over": one.over, "title": one.title}
        text += METRICS_NOTES.format(name=name, formula=note.formula, empty=note.empty, compared=note.compared, **more)
    return text


def _range(one: MetricFacts) -> str:
    """Its ends, in its unit."""
    low, high = (word if end is None else f"{end:g}".replace("-", "−") for word, end in (("−∞", one.low), ("∞", one.high)))
    return f"{low} to {high}{' dB' if one.unit == 'dB' else ''}"


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
