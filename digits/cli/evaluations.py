"""`digits evaluation`: the evaluations that were made, their numbers and files; `digits model evaluate` makes one."""

from __future__ import annotations

from getpass import getuser
from pathlib import Path
from typing import Any

import click

from digits.cli import print_json
from digits.cli.many import add_delete
from digits.cli.options import jobs_dir_option, open_service
from digits.cli.tables import add_list, find_job
from digits.domain.jobs import Kind
from digits.errors import BadRequest
from digits.service import Service
from digits.service.evaluations.analysis import analysis_of, choose_threshold
from digits.service.evaluations.downloads import FILES, file_of
from digits.service.evaluations.results import evaluation_result
from digits.service.evaluations.review import CHOICES, VERDICTS, as_json, counts_of, judge, review_of
from digits.service.evaluations.to_dataset import choice_of, to_dataset
from digits.service.rows import row_dict
from digits.storage.files import atomic
from digits.storage.jobs.store import Job
from digits.storage.modes import of_the_user


def evaluation_dict(service: Service, job: Job) -> dict[str, Any]:
    """What a list says of an evaluation."""
    return {key: row_dict(job)[key] for key in ("id", "name", "status", "summary", "best_name", "best_value", "tags")}


@click.group()
def evaluation() -> None:
    """List, show, review, download and delete evaluations; `digits model evaluate` makes one."""


add_list(evaluation, Kind.EVALUATION, "evaluations", evaluation_dict)


@evaluation.command("show")
@click.argument("name", metavar="ID_OR_NAME")
@jobs_dir_option
def show(name: str, jobs_dir: str | None) -> None:
    """Print all numbers of an evaluation, with curves and calibration, as JSON."""
    with open_service(jobs_dir) as service:
        job = find_job(service, name, Kind.EVALUATION)
        told = {"analysis": analysis_of(service, job), "review": counts_of(review_of(service, job))}
        print_json({"id": job.id, "name": job.name, **evaluation_result(service, job), **told})


@evaluation.command("review")
@click.argument("name", metavar="ID_OR_NAME")
@click.argument("rows", nargs=-1, type=click.IntRange(0))
@click.option("--as", "verdict", type=click.Choice(tuple(VERDICTS)), help="What is wrong with the pictures of these ROWS.")
@click.option("--clear", is_flag=True, help="Take back what was said of these ROWS.")
@jobs_dir_option
def review(name: str, rows: tuple[int, ...], verdict: str | None, clear: bool, jobs_dir: str | None) -> None:
    """Print what was said of the pictures of an evaluation, as JSON; with ROWS say it."""
    if bool(rows) != (clear or verdict is not None) or (clear and verdict):
        raise BadRequest("ROWS go with --as or with --clear.", advice="Give the numbers of pictures and one of both.")
    with open_service(jobs_dir) as service:
        job = find_job(service, name, Kind.EVALUATION)
        if rows:
            judge(service, job, rows, verdict or "", getuser())
        print_json(as_json(review_of(service, job)))


@evaluation.command("dataset")
@click.argument("name", metavar="ID_OR_NAME")
@click.argument("rows", nargs=-1, type=click.IntRange(0))
@click.option("--only", type=click.Choice(("wrong", "right")), help="Pictures of classes. [default without a choice: wrong]")
@click.option("--review", "said", type=click.Choice(CHOICES), help="Pictures of which this was said.")
@click.option("--most", default=0, type=click.IntRange(0), help="Only the first N, the worst first.")
@click.option("--as", "title", default="", metavar="NAME", help="The name of the new data set.")
@click.option("--percent-val", default=0.0, type=click.FloatRange(0, 99), help="How many percent are for the validation.")
@jobs_dir_option
def dataset(
    name: str,
    rows: tuple[int, ...],
    only: str | None,
    said: str | None,
    most: int,
    title: str,
    percent_val: float,
    jobs_dir: str | None,
) -> None:
    """Make a new data set of pictures of an evaluation, these ROWS or those that are chosen, with their true labels, and print
    its id and counts as JSON. Pictures that the review calls bad, or wrongly labelled, are left out unless asked for."""
    with open_service(jobs_dir) as service:
        job = find_job(service, name, Kind.EVALUATION)
        choice = choice_of(service, job, rows, most, only=only or "", review=said or "")
        sent = to_dataset(service, job, choice, name=title, percent_val=percent_val, owner=getuser())
        counts = {"count": sent.count, "left_out": sent.left_out, "unlabelled": sent.unlabelled}
        print_json({"id": sent.job.id, "name": sent.job.name, **counts})


@evaluation.command("threshold")
@click.argument("name", metavar="ID_OR_NAME")
@click.argument("threshold", type=click.FloatRange(0, 1), required=False)
@click.option("--label", default="", help="The class. [default: all classes of a detection model, or the only one]")
@jobs_dir_option
def threshold(name: str, threshold: float | None, label: str, jobs_dir: str | None) -> None:
    """Keep with the model from which score on a class counts, and print what that does; without THRESHOLD forget it."""
    with open_service(jobs_dir) as service:
        job = find_job(service, name, Kind.EVALUATION)
        print_json(choose_threshold(service, job, label, threshold, getuser()))


@evaluation.command("download")
@click.argument("name", metavar="ID_OR_NAME")
@click.argument("file", type=click.Choice(FILES))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write. [default: <id>_FILE]")
@jobs_dir_option
def download(name: str, file: str, output: Path | None, jobs_dir: str | None) -> None:
    """Write a table of an evaluation, every picture as Parquet, a list of the wrong ones, masks, or boxes in COCO's form."""
    with open_service(jobs_dir) as service:
        job = find_job(service, name, Kind.EVALUATION)
        target = output or Path(f"{job.id}_{file}")
        with of_the_user(), atomic(target) as handle:
            handle.writelines(file_of(service, job, file))
    click.echo(str(target))


add_delete(evaluation, Kind.EVALUATION, "Delete evaluations; their models stay.")
