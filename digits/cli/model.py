"""`digits model`: train, list, show, abort, delete, download and export models, delete exports."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from digits import tasks
from digits.cli import print_json
from digits.cli.evaluate import evaluate
from digits.cli.follow import follow
from digits.cli.form_options import absolute_paths, form_options
from digits.cli.looking import check, metrics
from digits.cli.many import add_delete, stop
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.cli.tables import add_list, find_job
from digits.domain.exports import Export
from digits.domain.jobs import PREDICTING, Kind
from digits.errors import BadRequest, DigitsError, NotFound
from digits.frameworks import DEFAULT
from digits.networks import catalog
from digits.service import Service
from digits.service.models import archives, exports
from digits.service.models.card import drop_text
from digits.service.models.choices import proposed, proposed_crop, recommended_values
from digits.service.models.create import create_models, model_dict
from digits.service.models.form import ModelForm
from digits.service.models.networks import HUB_PREFIX
from digits.service.models.snapshots import best_snapshot
from digits.storage.exports import export_folder
from digits.storage.files import atomic
from digits.storage.jobs.store import Job
from digits.storage.modes import of_the_user

NAMES = {"model_name": "name", "group_name": "group", "train_epochs": "epochs", "random_seed": "seed", "solver_type": "solver"}
SKIP = (
    "dataset",
    "method",
    "standard_networks",
    "previous_networks",
    "custom_network",
    "python_layer_client_file",
)


@click.group()
def model() -> None:
    """Train, list, show, check, evaluate, abort, delete, download and export models."""


@model.command("train")
@click.argument("dataset")
@click.option(
    "--network", default="", help="A standard or library network, e.g. lenet or timm/resnet18. [default: one that fits]"
)
@click.option("--network-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A network text of your own.")
@click.option("--previous", default="", metavar="ID_OR_NAME", help="Go on from the network and weights of this model.")
@click.option(
    "--previous-snapshot",
    default="",
    metavar="EPOCH",
    help="Which weights of it: those of an epoch, best, start, 0 for none, -1 for those that it began with. [default: the best]",
)
@form_options(ModelForm, NAMES, skip=SKIP)
@click.option("--owner", default="", help="Account that the model belongs to.")
@click.option("--no-wait", is_flag=True, help="Only put it in the queue of a running server.")
@jobs_dir_option
@json_option
def train(
    dataset: str,
    network: str,
    network_file: Path | None,
    previous: str,
    previous_snapshot: str,
    fields: dict[str, Any],
    owner: str,
    no_wait: bool,
    jobs_dir: str | None,
    as_json: bool,
) -> None:
    """Train a network on DATASET (its id or name).

    What is not given is filled in as the page does it: with the defaults of the chosen network.
    """
    with open_service(jobs_dir) as service:
        source = find_job(service, dataset, Kind.DATASET)
        pretrained = fields.pop("pretrained_networks", "")
        if not (network or network_file or previous or pretrained):
            network = _proposed(service, source, fields.get("framework") or DEFAULT)
        _check_weights(fields, network, network_file)
        values = {
            **_network(service, network, network_file, previous, previous_snapshot, pretrained),
            **absolute_paths(ModelForm, fields),
            "dataset": source.id,
        }
        crop = proposed_crop(service.folder(source.id).find_dataset_info())
        if crop and "batch_size" not in fields:
            values.setdefault("crop_size", crop)
        values.setdefault(
            "model_name", f"{source.name} {network or (network_file and network_file.stem) or previous or pretrained}"
        )
        jobs = create_models(service, tasks.recorded(source.task).area, values, owner)
        done = no_wait or follow(service, [job.id for job in jobs], quiet=as_json)
        if as_json:
            print_json([model_dict(service, service.store.get(job.id), verbose=True) for job in jobs])
        else:
            click.echo("\n".join(job.id for job in jobs))
    sys.exit(0 if done else 1)


add_list(model, Kind.MODEL, "models", model_dict)


@model.command("show")
@click.argument("name", metavar="ID_OR_NAME")
@jobs_dir_option
def show(name: str, jobs_dir: str | None) -> None:
    """Print what is known of a model, as JSON."""
    with open_service(jobs_dir) as service:
        job = find_job(service, name, Kind.MODEL)
        outputs = [vars(o) for o in service.store.outputs([job.id]).get(job.id, [])]
        print_json({**model_dict(service, job, verbose=True), "outputs": outputs, "error": job.error, "message": job.message})


@model.command("abort")
@click.argument("names", nargs=-1, required=True, metavar="ID_OR_NAME...")
@jobs_dir_option
def abort(names: tuple[str, ...], jobs_dir: str | None) -> None:
    """Stop trainings; their snapshots stay."""
    with open_service(jobs_dir) as service:
        stop(service, [find_job(service, name, Kind.MODEL) for name in names])


add_delete(model, Kind.MODEL, "Delete models with everything they made.")


@model.command("download")
@click.argument("name", metavar="ID_OR_NAME")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write. [default: <id>_epoch_<epoch>.zip]")
@click.option("--epoch", default=None, help="Snapshot of this epoch, or best, or start. [default: the newest]")
@jobs_dir_option
def download(name: str, output: Path | None, epoch: str | None, jobs_dir: str | None) -> None:
    """Write an archive with weights, preprocessing, labels and predict.py.

    The file's extension chooses the format: .zip, .tar, .tar.gz, .tgz or .tar.bz2.
    """
    with open_service(jobs_dir) as service:
        job = find_job(service, name, *PREDICTING)
        archive = archives.model_archive(service, job, _extension(output) if output else "zip", epoch)
        target = output or Path(archive.file_name)
        with of_the_user(), atomic(target) as handle:
            handle.writelines(archive.chunks)
    click.echo(str(target))


@model.command("export")
@click.argument("name", metavar="ID_OR_NAME")
@click.option(
    "--format",
    "format_name",
    default="onnx",
    show_default=True,
    help="onnx, onnx_int8, openvino, torch_export, saved_model, tflite, … (docs/export.md), or a package's.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Copy the file (or, of several, a zip) here as well.")
@click.option("--epoch", default=None, help="Snapshot of this epoch, or best, or start. [default: the newest]")
@jobs_dir_option
@json_option
def export(name: str, format_name: str, output: Path | None, epoch: str | None, jobs_dir: str | None, as_json: bool) -> None:
    """Write a model in a format of other programs, compared with the model itself and timed.

    The export stays with the model and lies in its archives. What is copied with -o is what one has to have: of ONNX
    `model.onnx`, which takes prepared pictures; `model_plain.onnx` beside it takes them as they are.
    """
    with open_service(jobs_dir) as service:
        job = find_job(service, name, *PREDICTING)
        made = exports.start_export(service, job, format_name, epoch)
        done = follow(service, [made.id], quiet=True)
        made = service.store.get(made.id)
        if not done:
            raise DigitsError(made.error or f"{made.name} did not finish.")
        found = exports.export_of_job(service, job, made.id)
        folder = export_folder(service.folder(job.id), found)
        if output:
            with of_the_user(), atomic(output) as handle:
                handle.writelines(archives.export_file(service, job, found).chunks)
        if as_json:
            print_json({**found.to_json(), "folder": str(folder), "size": found.size})
        else:
            click.echo("\n".join([*(str(folder / file) for file, _ in found.files), *_compared(found)]))


def _compared(export: Export) -> list[str]:
    """What was found of an export, in lines."""
    lost = [] if export.metric_drop is None else [f"{export.quality['title']} lost: {drop_text(export)}"]
    times = [f"{row.runtime}: p50 {row.p50_ms:.3g} ms, p95 {row.p95_ms:.3g} ms" for row in export.timings]
    return [f"differs by {export.parity:.2g} at most", *lost, *times]


@model.command("delete-export")
@click.argument("name", metavar="ID_OR_NAME")
@click.argument("names", nargs=-1, required=True, metavar="EXPORT...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@jobs_dir_option
def delete_export(name: str, names: tuple[str, ...], yes: bool, jobs_dir: str | None) -> None:
    """Delete exports of a model, each named by format and epoch: onnx-epoch_5. Its snapshots stay."""
    with open_service(jobs_dir) as service:
        job = find_job(service, name, Kind.MODEL)
        for export_name in names:
            if yes or click.confirm(f"Delete {export_name} of {job.name}?"):
                exports.delete_export(service, job, export_name)


model.add_command(evaluate)
model.add_command(check)
model.add_command(metrics)


def _network(service: Service, network: str, file: Path | None, previous: str, epoch: str, pretrained: str) -> dict[str, Any]:
    """The fields of the form that say which network and which first weights."""
    if epoch and not previous:
        raise BadRequest("--previous-snapshot is of the model that --previous names.", advice="Give --previous too.")
    ways = {"--network": network, "--network-file": file, "--previous": previous, "--pretrained-networks": pretrained}
    if len(given := [option for option, value in ways.items() if value]) > 1:
        raise BadRequest(f"{' and '.join(given)} exclude each other.", advice="Give one of them.")
    if file:
        return {"method": "custom", "custom_network": file.read_text(encoding="utf-8")}
    if previous:
        job = find_job(service, previous, Kind.MODEL)
        chosen = epoch or best_snapshot(service, job).choice
        return {"method": "previous", "previous_networks": job.id, f"{job.id}-snapshot": chosen, "framework": job.framework}
    if pretrained:
        return _pretrained(service, pretrained)
    return {**recommended_values(network), "method": "standard", "standard_networks": network}


def _pretrained(service: Service, name: str) -> dict[str, Any]:
    """A network of the list with its published weights, a pretrained model, or a model with its best ones, by id or name."""
    if name.startswith(HUB_PREFIX):
        return {"method": "pretrained", "pretrained_networks": name}
    try:
        return {**catalog.network_info(name).defaults, "method": "pretrained", "pretrained_networks": name}
    except NotFound:
        job = find_job(service, name, Kind.PRETRAINED, Kind.MODEL)
        return {"method": "pretrained", "pretrained_networks": job.id, "framework": job.framework}


def _check_weights(fields: Mapping[str, Any], network: str, file: Path | None) -> None:
    """Raises BadRequest for weights that belong to another way to a network than the one that was chosen."""
    if fields.get("custom_network_snapshot") and not file:
        raise BadRequest(
            "--custom-network-snapshot has weights for the text of --network-file.", advice="Give --network-file too."
        )
    if fields.get("use_pretrained_weights") and not network:
        raise BadRequest("--use-pretrained-weights is for a network of the list.", advice="Give --network, or leave it out.")


def _proposed(service: Service, dataset: Job, framework: str) -> str:
    """The name of the network that the page proposes for a data set."""
    found = proposed(service, dataset, framework)
    if found is None:
        raise BadRequest(
            f"There is no standard network for {tasks.words_for(dataset.task)} in {framework}.",
            advice="Give --network or --network-file.",
        )
    return found.name


def _extension(path: Path) -> str:
    for extension in ("tar.gz", "tar.bz2", "tgz", "tar", "zip"):
        if path.name.endswith(f".{extension}"):
            return extension
    raise BadRequest(f"{path.name} does not end in .zip, .tar, .tar.gz, .tgz or .tar.bz2.")
