"""`digits dataset explore` and `export`: the records of a data set, listed and as files."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from digits.cli import print_json
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.cli.tables import find_job
from digits.domain.jobs import Kind
from digits.errors import BadRequest
from digits.service import Service
from digits.service.datasets.explore import MAX_SIZE, GalleryQuery, gallery
from digits.service.datasets.export_records import Wanted, export_records
from digits.storage.jobs.store import Job
from digits.storage.modes import of_the_user
from digits.utils.values import is_digits

label_option = click.option("--label", default="", metavar="CLASS", help="Only records of this class: its name or number.")


@click.command("explore")
@click.argument("name", metavar="ID_OR_NAME")
@click.option("--split", default="train", show_default=True, metavar="train|val|test")
@click.option("--page", default=0, show_default=True, type=click.IntRange(0))
@click.option("--size", default=25, show_default=True, type=click.IntRange(1, MAX_SIZE), help="Records of a page.")
@label_option
@jobs_dir_option
@json_option
def explore(name: str, split: str, page: int, size: int, label: str, jobs_dir: str | None, as_json: bool) -> None:
    """Print the records of a data set page by page: key, class, source, original size."""
    with open_service(jobs_dir) as service:
        job = find_job(service, name, Kind.DATASET)
        query = GalleryQuery(split, page, size, class_number(service, job, label))
        found = gallery(service, job, query)
    if as_json:
        print_json(found)
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("Record", "Key", "Class", "Size", "Source"):
        table.add_column(title, no_wrap=title != "Source")
    for row in found["records"]:
        size_text = "×".join(str(side) for side in row["original_size"] if side)
        known = row["label_name"] or ("" if row["label"] is None else str(row["label"]))
        table.add_row(str(row["index"]), escape(str(row["key"])), escape(known), size_text, escape(str(row["source"])))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    click.echo(f"page {page} of {found['pages']}, {found['total']:,} records in {split}")


@click.command("export")
@click.argument("name", metavar="ID_OR_NAME")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--split", "splits", multiple=True, metavar="train|val|test", help="May be given several times. [default: all]")
@label_option
@click.option("--limit", default=0, type=click.IntRange(0), help="At most so many records of each split; 0: all.")
@jobs_dir_option
@json_option
def export(name: str, folder: Path, splits: tuple[str, ...], label: str, limit: int, jobs_dir: str | None, as_json: bool) -> None:
    """Write the records of a data set into the new FOLDER: pictures in folders of their classes or beside their labels.

    Masks are written as PNG, boxes as COCO's annotations.json, numbers in records.csv, which names every record.
    """
    with open_service(jobs_dir) as service:
        job = find_job(service, name, Kind.DATASET)
        wanted = Wanted(splits, class_number(service, job, label), limit)
        with of_the_user():
            counts = export_records(service, job, folder.expanduser().absolute(), wanted)
    if as_json:
        print_json({"folder": str(folder.expanduser().absolute()), "records": counts})
    else:
        click.echo(", ".join(f"{count:,} {split}" for split, count in counts.items()) + f" records in {folder}")


def class_number(service: Service, job: Job, text: str) -> int | None:
    """The number of the class that is meant; None for all. Raises BadRequest for one that there is not."""
    if not text:
        return None
    info = service.folder(job.id).find_dataset_info()
    names = list(info.class_labels) if info else []
    if text in names:
        return names.index(text)
    if is_digits(text) and int(text) < len(names):
        return int(text)
    raise BadRequest(f"{job.name} has no class {text!r}.", advice=f"It has {', '.join(names[:20]) or 'none'}.")
