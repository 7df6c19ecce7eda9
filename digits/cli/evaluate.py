"""`digits model evaluate`: how good a model is on a split of its data set or on a folder of pictures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from digits.cli import print_json
from digits.cli.follow import follow
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.cli.tables import find_job
from digits.domain.events import BaselineEvent
from digits.domain.inference import TTA
from digits.domain.jobs import PREDICTING, Kind
from digits.domain.metrics import column_title, facts, gained_text, value_text
from digits.domain.training import TaskOptions
from digits.errors import BadRequest, DigitsError
from digits.service.evaluations.analysis import analysis_of
from digits.service.evaluations.answering import answering_of
from digits.service.evaluations.create import start_evaluation
from digits.service.evaluations.results import about_classes, baseline_of, evaluation_result, task_of_result, verdict

MOST_CLASSES = 40  # in a table; the JSON has all


@click.command("evaluate")
@click.argument("model", metavar="MODEL")
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--split", default="val", show_default=True, metavar="train|val|test", help="Of the model's own data set.")
@click.option("--dataset", default="", metavar="ID_OR_NAME", help="Another data set, whose split is meant.")
@click.option("--list", "list_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="`path [label]` a line.")
@click.option(
    "--video", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A video, whose frames are predicted."
)
@click.option("--every", default=1, type=click.IntRange(1), help="Of a video only every Nth frame. [default: all]")
@click.option("--limit", default=0, type=click.IntRange(0), help="Only the first N pictures. [default: all]")
@click.option("--tiling", is_flag=True, help="Answer pictures larger than the network's input in overlapping tiles.")
@click.option("--tile-overlap", default="", metavar="SHARE", help="How much tiles overlap, 0 to 0.5 of a tile. [default: 0.25]")
@click.option("--tta", multiple=True, metavar="|".join(TTA), help="Mean over the picture and what these make of it.")
@click.option("--epoch", default=None, help="Snapshot of this epoch, or best, or start. [default: the newest]")
@jobs_dir_option
@json_option
def evaluate(
    model: str,
    folder: Path | None,
    split: str,
    dataset: str,
    list_file: Path | None,
    video: Path | None,
    every: int,
    limit: int,
    epoch: str | None,
    tiling: bool,
    tile_overlap: str,
    tta: tuple[str, ...],
    jobs_dir: str | None,
    as_json: bool,
) -> None:
    """Print the metrics of MODEL (its id or name) on a split of a data set, on FOLDER, or on a list of pictures.

    In FOLDER the pictures of a class lie in a sub-folder of its name, as for a data set; with --list it is where relative paths
    start. The evaluation stays with the model: its page shows the confusion matrix and every picture.
    """
    if dataset and (folder or list_file or video):
        raise BadRequest(
            "--dataset names the data set of a split; FOLDER, --list and --video name pictures.", advice="Give one of them."
        )
    if video and (folder or list_file):
        raise BadRequest("--video, FOLDER and --list exclude each other.", advice="Give one of them.")
    with open_service(jobs_dir) as service:
        job = find_job(service, model, *PREDICTING)
        base = str((folder or Path()).absolute()) if folder or list_file else ""
        evaluation = start_evaluation(
            service,
            job,
            snapshot_epoch=epoch,
            list_file=list_file,
            folder=base,
            split="" if base or video else split,
            dataset=find_job(service, dataset, Kind.DATASET) if dataset else None,
            limit=limit,
            video=video.absolute() if video else None,
            every=every,
            how=answering_of(tiling, tile_overlap, tta),
        )
        done = follow(service, [evaluation.id], quiet=True)
        evaluation = service.store.get(evaluation.id)
        if not done:
            raise DigitsError(evaluation.error or f"{evaluation.name} did not finish.")
        result = {"id": evaluation.id, **evaluation_result(service, evaluation)}
        baseline = baseline_of(service, evaluation, result)
        told = analysis_of(service, evaluation) or {}
    if as_json:
        print_json({**result, "analysis": told})
    else:
        click.echo(f"{evaluation.name} ({evaluation.id})")
        _print(result, baseline, told)


def _print(result: dict[str, Any], baseline: BaselineEvent | None, told: dict[str, Any]) -> None:
    """The numbers of all pictures and of each class, whatever the task, and what has to be said about them."""
    unreadable = f", {result['skipped']:,} unreadable" if result.get("skipped") else ""
    click.echo(f"{result['count']:,} pictures{unreadable}")
    for text in about_classes(result):
        click.echo(text)
    if not result["labelled"]:
        click.echo("The truth of none of the pictures is known, so there is nothing to measure.")
        return
    for name, value in result["metrics"].items():
        trivial = f" (baseline {value_text(name, baseline.values[name])})" if baseline and name in baseline.values else ""
        known = told.get("intervals", {}).get(name, {})
        ends = [known.get(end) for end in ("low", "high")]
        within = f" [{value_text(name, ends[0])} to {value_text(name, ends[1])}, 95 %]" if None not in ends else ""
        click.echo(f"{facts(name).title}: {value_text(name, value)}{within}{trivial}")
    for name, row in (result.get("gain") or {}).get("metrics", {}).items():
        if row["gain"] is not None:
            within = f" [{gained_text(name, row['low'])} to {gained_text(name, row['high'])}, 95 %]" if "low" in row else ""
            without = f"{value_text(name, row['without'])} without test-time augmentation"
            click.echo(f"{facts(name).title}: {without}, gain {gained_text(name, row['gain'])}{within}")
    _print_told(told)
    words = task_of_result(result).words_of(TaskOptions.from_json(result["options"]))
    for text in (words, *verdict(result, baseline)):
        click.echo(text, nl=bool(text))
    if 0 < len(result["per_class"]) <= MOST_CLASSES:
        _print_classes(task_of_result(result).parts[0], result["per_class"])


def _print_told(told: dict[str, Any]) -> None:
    """Calibration, the kinds of wrong boxes, outlines, and what has to be said of them."""
    calibration = told.get("calibration")
    if calibration and calibration["before"]["ece"] is not None:
        after = calibration["after"]
        mended = f"; {100 * after['ece']:.2f} % at the temperature {calibration['temperature']:.3g}" if after else ""
        click.echo(f"Expected calibration error: {100 * calibration['before']['ece']:.2f} %{mended}")
    for row in (told.get("errors") or {}).get("kinds", ()):
        click.echo(f"Wrong boxes, {row['kind']}: {row['count']:,}, which cost {value_text('ap50', row['gain'])} of AP@.5")
    for name, value in (told.get("boundaries") or {}).get("means", {}).items():
        click.echo(f"{facts(name).title}: {value_text(name, value)}")
    for text in told.get("notes", ()):
        click.echo(text)


def _print_classes(part: str, rows: Sequence[dict[str, Any]]) -> None:
    """A row for each class or column, with the columns of the report."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    names = [name for name in rows[0] if name != "label"]
    table = Table(box=None, pad_edge=False)
    table.add_column(part)
    for name in names:
        table.add_column(column_title(name), justify="right")
    for row in rows:
        table.add_row(escape(row["label"]), *(value_text(name, row[name]) for name in names))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
