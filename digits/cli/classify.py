"""`digits classify`: the classes of pictures, by a trained model."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from digits.cli import print_json
from digits.cli.follow import follow
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.cli.tables import find_job
from digits.domain.jobs import PREDICTING
from digits.errors import DigitsError
from digits.extensions.data.files.listing import pictures_below
from digits.service import Service
from digits.service.evaluations.create import start_evaluation
from digits.service.evaluations.results import evaluation_result, predictions
from digits.storage.jobs.store import Job
from digits.utils.names import is_input_file


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("pictures", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--epoch", default=None, help="Snapshot of this epoch, or best, or start. [default: the newest]")
@click.option("--top", default=5, show_default=True, help="How many classes to print.", type=click.IntRange(1))
@jobs_dir_option
@json_option
def classify(model: str, pictures: tuple[Path, ...], epoch: str | None, top: int, jobs_dir: str | None, as_json: bool) -> None:
    """Print the most likely classes of PICTURES (files or folders) by MODEL (its id or name)."""
    with open_service(jobs_dir) as service:
        job = find_job(service, model, *PREDICTING)
        rows = _classify(service, job, _files(pictures), epoch, top, as_json)
    if as_json:
        print_json({"classifications": rows})
        return
    for path, classes in rows.items():
        said = ", ".join(f"{label} {percent:.2f} %" for label, percent in classes)
        click.echo(f"{path}: {said or 'the scores are no numbers'}")


def _files(pictures: tuple[Path, ...]) -> list[Path]:
    files: list[Path] = []
    for path in pictures:
        inside = [Path(found) for found in pictures_below(path, is_wanted=is_input_file)] if path.is_dir() else [path]
        files += [p.absolute() for p in inside]
    return files


def _classify(
    service: Service, model: Job, files: list[Path], epoch: str | None, top: int, quiet: bool
) -> dict[str, list[tuple[str, float]]]:
    with tempfile.TemporaryDirectory() as folder:
        listing = Path(folder) / "images.txt"
        listing.write_text("".join(f"{path}\n" for path in files))
        job = start_evaluation(service, model, list_file=listing, snapshot_epoch=epoch)
    done = follow(service, [job.id], quiet=quiet)
    job = service.store.get(job.id)
    if not done:
        raise DigitsError(job.error or f"{job.name} did not finish.")
    result: dict[str, list[tuple[str, float]]] = {}
    reader = predictions(service, job)
    labels = evaluation_result(service, job)["class_labels"]
    for row in reader.rows(reader.select()):
        result[row.path] = [(labels[number], round(score * 100, 2)) for number, score in row.top[:top]]
    missing = [str(path) for path in files if str(path) not in result]
    for path in missing:
        click.echo(f"{path}: cannot be read as a picture", err=True)
    if missing and not result:
        sys.exit(1)
    return result
