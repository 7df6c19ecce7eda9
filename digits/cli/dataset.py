"""`digits dataset`: create, list, show, explore, export and delete data sets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from digits.cli import print_json
from digits.cli.form_options import absolute_paths, form_options
from digits.cli.many import add_delete
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.cli.records import explore, export
from digits.cli.sources import create_from, follow_made, form, preview, recognise
from digits.cli.tables import add_list, find_job
from digits.domain.jobs import Kind
from digits.service.datasets.classification import ClassificationDatasetForm, create_classification_dataset
from digits.service.datasets.contents import dataset_dict

NAMES = {"dataset_name": "name", "group_name": "group", "folder_pct_val": "val", "folder_pct_test": "test"}


@click.group()
def dataset() -> None:
    """Create, list, show, explore, export and delete data sets."""


@dataset.command("create")
@click.argument("folder", required=False, metavar="[FOLDER]")
@form_options(ClassificationDatasetForm, NAMES, skip=("folder_train",))
@click.option("--owner", default="", help="Account that the data set belongs to.")
@click.option("--no-wait", is_flag=True, help="Only put it in the queue of a running server.")
@jobs_dir_option
@json_option
def create(folder: str | None, fields: dict[str, Any], owner: str, no_wait: bool, jobs_dir: str | None, as_json: bool) -> None:
    """Make an image classification data set from FOLDER, which has one sub-folder per class; others: `create-from`.

    Instead of FOLDER, --method textfile with --textfile-local-train-images names a list of pictures.
    """
    values = absolute_paths(ClassificationDatasetForm, fields)
    if folder:
        values["folder_train"] = str(Path(folder).expanduser().absolute())
        values.setdefault("dataset_name", Path(folder).expanduser().absolute().name)
    if values.get("method") == "textfile":
        values.setdefault("textfile_use_local_files", True)
        values.setdefault("textfile_use_val", bool(values.get("textfile_local_val_images")))
    with open_service(jobs_dir) as service:
        job = create_classification_dataset(service, values, owner)
        done = follow_made(service, job, no_wait, as_json)
    sys.exit(0 if done else 1)


dataset.add_command(recognise)
dataset.add_command(form)
dataset.add_command(preview)
dataset.add_command(create_from)
dataset.add_command(explore)
dataset.add_command(export)
add_list(dataset, Kind.DATASET, "data sets", dataset_dict)


@dataset.command("show")
@click.argument("name", metavar="ID_OR_NAME")
@jobs_dir_option
def show(name: str, jobs_dir: str | None) -> None:
    """Print what is known of a data set, as JSON."""
    with open_service(jobs_dir) as service:
        print_json(dataset_dict(service, find_job(service, name, Kind.DATASET), verbose=True))


add_delete(dataset, Kind.DATASET, "Delete data sets that no model needs.")
