"""`digits model evaluate`: how good a model is on a split of its data set or on a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from digits.cli import print_json
from digits.cli.follow import follow
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.cli.tables import find_job
from digits.domain.jobs import Kind
from digits.errors import DigitsError
from digits.service.evaluations.results import evaluation_result, start_evaluation


@click.command("evaluate")
@click.argument("model", metavar="MODEL")
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--split", default="val", show_default=True, metavar="train|val|test", help="Of the model's own data set.")
@click.option("--epoch", default=None, help="Snapshot of this epoch. [default: the newest]")
@jobs_dir_option
@json_option
def evaluate(model: str, folder: Path | None, split: str, epoch: str | None, jobs_dir: str | None, as_json: bool) -> None:
    """Print the metrics of MODEL (its id or name) on a split of its data set, or on FOLDER.

    In FOLDER the pictures of a class lie in a sub-folder of its name, as for a data set. The evaluation stays with the model:
    its page shows the confusion matrix and every picture.
    """
    with open_service(jobs_dir) as service:
        job = find_job(service, model, Kind.MODEL)
        chosen = {"folder": str(folder.absolute())} if folder else {"split": split}
        evaluation = start_evaluation(service, job, snapshot_epoch=epoch, **chosen)  # type: ignore[arg-type]
        done = follow(service, [evaluation.id], quiet=True)
        evaluation = service.store.get(evaluation.id)
        if not done:
            raise DigitsError(evaluation.error or f"{evaluation.name} did not finish.")
        result = {"id": evaluation.id, **evaluation_result(service, evaluation)}
    if as_json:
        print_json(result)
    else:
        click.echo("\n".join([f"{evaluation.name} ({evaluation.id})", *_lines(result)]))


def _lines(result: dict[str, Any]) -> list[str]:
    counts = f"{result['count']:,} pictures" + (f", {result['skipped']:,} unreadable" if result.get("skipped") else "")
    if "top1" not in result:
        return [counts, *(f"{name}: {value:.4g}" for name, value in _numbers(result.get("metrics", {})).items())]
    if not result["labelled"]:
        return [counts, "No true classes are known, so there is no accuracy."]
    return [counts, f"top-1: {result['top1']:.2%}", f"top-5: {result['top5']:.2%}", f"loss: {result['loss']:.4g}"]


def _numbers(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}
