"""`digits pretrained`: list, show, add, download and delete pretrained models; `digits store`: take one over, build a store."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from digits.cli import print_json
from digits.cli.follow import follow
from digits.cli.many import add_delete
from digits.cli.model import download
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.cli.tables import add_list, find_job
from digits.domain.jobs import PREDICTING, Kind
from digits.errors import BadRequest, NotFound
from digits.service import Service
from digits.service.files.unpack import is_archive
from digits.service.models import pretrained as models
from digits.service.models import store_building, stores
from digits.service.models.pretrained_form import PretrainedForm, from_files
from digits.storage.jobs.store import Job
from digits.utils.values import sizeof_fmt

OWNER = click.option("--owner", default="", help="Account that it belongs to.")
NO_WAIT = click.option("--no-wait", is_flag=True, help="Only put it in the queue of a running server.")


@click.group()
def pretrained() -> None:
    """List, show, add, download and delete pretrained models: networks with weights that new models start from."""


add_list(pretrained, Kind.PRETRAINED, "pretrained models", models.pretrained_dict)


@pretrained.command("show")
@click.argument("name", metavar="ID_OR_NAME")
@jobs_dir_option
def show(name: str, jobs_dir: str | None) -> None:
    """Print what a pretrained model is and where it comes from, as JSON."""
    with open_service(jobs_dir) as service:
        print_json(models.pretrained_dict(service, find_job(service, name, Kind.PRETRAINED)))


@pretrained.command("add")
@click.argument("source", metavar="ARCHIVE|WEIGHTS|MODEL")
@click.option("--name", default="", help="What it is called. [default: as in the archive, or as the file]")
@click.option("--network-file", type=click.Path(exists=True, dir_okay=False), help="The network text of a file of weights.")
@click.option("--labels", type=click.Path(exists=True, dir_okay=False), help="Its classes, one a line.")
@click.option("--size", default=256, show_default=True, help="Sides of the pictures that the network gets.")
@click.option("--channels", type=click.Choice(["3", "1"]), default="3", show_default=True, help="Colour or grey.")
@click.option("--resize-mode", default="squash", show_default=True, help="squash, crop, fill or half_crop.")
@click.option("--task", default="", help="What it is for. [default: classification]")
@click.option("--framework", default="", help="pytorch or tensorflow. [default: pytorch]")
@click.option("--mean", default="", help="What is subtracted of each channel, 0 to 255. [default: nothing]")
@click.option("--std", default=1.0, show_default=True, help="What is divided by then.")
@click.option("--epoch", default=None, help="Of a model: its snapshot of this epoch, or best, or start. [default: the newest]")
@OWNER
@NO_WAIT
@jobs_dir_option
def add(source: str, name: str, epoch: str | None, owner: str, no_wait: bool, jobs_dir: str | None, **fields: Any) -> None:
    """Add a pretrained model: an archive of a model, a file of weights with its --network-file, or a model here by id or name."""
    with open_service(jobs_dir) as service:
        job = _added(service, source, name, epoch, owner, fields)
        done = no_wait or follow(service, [job.id])
        click.echo(job.id)
    sys.exit(0 if done else 1)


def _added(service: Service, source: str, name: str, epoch: str | None, owner: str, fields: dict[str, Any]) -> Job:
    path = Path(source)
    if path.is_file() and is_archive(path.name):
        return models.from_archive(service, path, path.name, owner, name)
    if not path.is_file():
        return models.from_model(service, find_job(service, source, Kind.MODEL), epoch, owner, name)
    if not fields["network_file"]:
        raise BadRequest(f"{path.name} is a file of weights.", advice="Give the text of its network with --network-file.")
    values = {
        "job_name": name or path.stem,
        "framework": fields["framework"],
        "weights_file": str(path.absolute()),
        "model_def_file": str(Path(fields["network_file"]).absolute()),
        "labels_file": str(Path(fields["labels"]).absolute()) if fields["labels"] else "",
        "task": fields["task"],
        "image_type": fields["channels"],
        "width": fields["size"],
        "height": fields["size"],
        "resize_mode": fields["resize_mode"],
        "pixel_mean": fields["mean"],
        "pixel_std": fields["std"],
    }
    assert values.keys() <= PretrainedForm.model_fields.keys()
    return from_files(service, values, owner)


pretrained.add_command(download)
add_delete(pretrained, Kind.PRETRAINED, "Delete pretrained models; models that started from them stay.")


@click.group()
def store() -> None:
    """List what model stores offer, take a model over, build a store of models here."""


@store.command("list")
@click.option("--search", default="", help="Only models of which these words are said.")
@click.option("--refresh", is_flag=True, help="Ask the stores again.")
@json_option
@jobs_dir_option
def list_models(search: str, refresh: bool, as_json: bool, jobs_dir: str | None) -> None:
    """Print the models of the stores that the setting model_store_url names."""
    with open_service(jobs_dir) as service:
        found = [one.to_json(search) for one in stores.read_stores(service, refresh)]
    if as_json:
        print_json({one["base_url"]: one for one in found})
        return
    if not found:
        click.echo("No store is set up: DIGITS_MODEL_STORE_URL names folders and addresses, separated by commas.")
    for one in found:
        click.echo(f"{one['base_url']}  {one['error'] or one['welcome_msg']}".rstrip())
        for model in one["model_list"]:
            size = sizeof_fmt(model["size"]) if model["size"] is not None else ""
            name = model["info"].get("name") or model["dir_name"]
            click.echo(f"  {model['id']}  {name}  {model['info'].get('framework', '')}  {size}  {model['problem']}".rstrip())


@store.command("install")
@click.argument("name", metavar="ID_OR_NAME")
@OWNER
@NO_WAIT
@jobs_dir_option
def install(name: str, owner: str, no_wait: bool, jobs_dir: str | None) -> None:
    """Take a model of a store over, as a pretrained model: by its id, its folder or its name."""
    with open_service(jobs_dir) as service:
        every = [model for one in stores.read_stores(service) for model in one.models]
        found = [model for model in every if name in (model.id, model.folder, model.info.get("name"))]
        if not found:
            raise NotFound(f"No store offers {name!r}.", advice="`digits store list --refresh` prints what they offer.")
        job = stores.install(service, found[0], owner)
        done = no_wait or follow(service, [job.id])
        click.echo(job.id)
    sys.exit(0 if done else 1)


@store.command("build")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("names", nargs=-1, required=True, metavar="ID_OR_NAME...")
@click.option("--epoch", default=None, help="Snapshot of this epoch, or best, or start. [default: the best]")
@click.option("--message", default="", help="What the store says to its visitors.")
@click.option("--licence", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A text that goes with the models.")
@click.option("--licence-name", default="", help="Its name, e.g. CC-BY-4.0.")
@click.option("--dataset", default="", help="What they were trained on, in words.")
@click.option("--affiliation", default="", help="Whose they are.")
@click.option("--note", default="", help="What else is to be said.")
@jobs_dir_option
def build(
    folder: Path,
    names: tuple[str, ...],
    epoch: str | None,
    message: str,
    licence: Path | None,
    licence_name: str,
    dataset: str,
    affiliation: str,
    note: str,
    jobs_dir: str | None,
) -> None:
    """Write models and pretrained models into a FOLDER that any web server hands out as a store, e.g. python -m http.server.

    More can be added to the same folder later. Each file has its size and SHA-256 in the store, which whoever takes it over
    compares.
    """
    about = {"license": licence_name, "dataset": dataset, "affiliation": affiliation, "note": note}
    with open_service(jobs_dir) as service:
        jobs = [find_job(service, name, *PREDICTING) for name in names]
        made = store_building.build_store(service, folder, jobs, epoch=epoch, message=message, about=about, licence=licence)
    for path in made:
        click.echo(str(path))
