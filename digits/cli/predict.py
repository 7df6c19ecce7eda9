"""`digits predict`: what a model of any task makes of pictures, videos, lists, databases, records, or its plugin's own form."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from digits.cli import print_json
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.cli.processes import answering
from digits.cli.sources import absolute_value, shown_values
from digits.cli.tables import find_job
from digits.domain.inference import TTA, Answering, main_output
from digits.domain.jobs import PREDICTING
from digits.domain.metrics import nonfinite_text
from digits.domain.training import TaskOptions
from digits.errors import BadRequest, DigitsError, FormErrors, NotFound
from digits.extensions.data.files.listing import pictures_below
from digits.extensions.data.files.text import read_text
from digits.ipc.scratch import scratch_folder
from digits.service import Service
from digits.service.datasets.from_source import inference_form
from digits.service.evaluations import inputs, sources
from digits.service.evaluations.answering import answering_of, check_answering, outputs_json
from digits.service.evaluations.predict import best, gives_one_class
from digits.service.evaluations.saved import save_predictions
from digits.service.evaluations.sources import TestResults
from digits.service.evaluations.videos import run_with_videos
from digits.service.models.snapshots import Snapshot, find_snapshot
from digits.service.models.validation_samples import META_FILE, task_of
from digits.service.plugins.views import ViewSample
from digits.storage.files import read_json
from digits.storage.jobs.store import Job
from digits.storage.modes import of_the_user
from digits.storage.publications import Publications
from digits.tasks import Labels, Task
from digits.tasks.base import CLASSES
from digits.utils.names import is_address, is_input_file


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("files", nargs=-1, metavar="[FILE|FOLDER]...")
@click.option("--list", "list_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="`path [label]` a line.")
@click.option("--image-folder", default="", help="Where relative paths of the list start. [default: here]")
@click.option(
    "--db", default="", help="A database: the folder of an LMDB of Datum records, or of a split (val_db) of a data set."
)
@click.option(
    "--record", "records", multiple=True, metavar="SPLIT:NUMBER", help="A record of the model's data set, such as val:17."
)
@click.option(
    "--form", "own", multiple=True, metavar="FIELD=VALUE", help="A field of the form with which the plugin tests models."
)
@click.option(
    "--every",
    default=None,
    type=click.IntRange(1),
    help="Of a video, or of an animated picture, only every Nth frame. [default: all]",
)
@click.option(
    "--num-test-images",
    default=0,
    type=click.IntRange(0),
    help="Only the first N of a list or database, or frames of each video. [default: all]",
)
@click.option("--dont-resize", is_flag=True, help="Keep the pictures' sizes.")
@click.option("--tiling", is_flag=True, help="Answer pictures larger than the network's input in overlapping tiles.")
@click.option("--tile-overlap", default="", metavar="SHARE", help="How much tiles overlap, 0 to 0.5 of a tile. [default: 0.25]")
@click.option(
    "--tta", multiple=True, metavar="|".join(TTA), help="Answer with the mean over the picture and what these make of it."
)
@click.option("--epoch", default=None, help="Snapshot of this epoch, or best, or start. [default: the newest]")
@click.option("--top", default=5, show_default=True, type=click.IntRange(1), help="How many classes or boxes to print.")
@click.option(
    "--score-threshold",
    default=None,
    type=click.FloatRange(0, 1),
    help="Print boxes from this score on. [default: what the model was trained with]",
)
@click.option(
    "--save", type=click.Path(file_okay=False, path_type=Path), help="Also write all outputs as files into this folder."
)
@jobs_dir_option
@json_option
def predict(
    model: str,
    top: int,
    score_threshold: float | None,
    save: Path | None,
    jobs_dir: str | None,
    as_json: bool,
    epoch: str | None,
    **given: Any,
) -> None:
    """Print what MODEL (its id or name, or a published name), of any task, makes of pictures: files, folders, videos, or one of
    the options below. A video is answered frame by frame; an animated picture is, with --every, and else by its first.

    The JSON has the keys of `infer_many.json`; of one class for each picture also `classifications`, the best classes with their
    percentages. What cannot be used is named (on the error output, in the JSON as `skipped`), the others are answered, and the
    exit status is 1.
    """
    with open_service(jobs_dir) as service:
        job, snapshot = _model(service, model, epoch)
        how = answering_of(given["tiling"], given["tile_overlap"], given["tta"])
        check_answering(job, how)
        plugins = any(given[name] for name in ("own", "db", "records"))  # the plugin host reads the databases of others too
        with answering(service, plugins=plugins), scratch_folder(service.jobs_dir) as scratch:
            tested = _tested(service, job, snapshot, scratch, given, how)
            meta = read_json(service.folder(job.id).path / META_FILE)
            if save:
                with of_the_user():
                    save_predictions(save, tested.samples)
            if as_json:
                print_json(_as_json(job, snapshot, tested, meta, top, how))
            else:
                _print(tested, meta, top, score_threshold)
    sys.exit(0 if tested.samples and not tested.skipped else 1)


def _model(service: Service, name: str, epoch: str | None) -> tuple[Job, Snapshot]:
    """The model of an id or a name, or the one that is active under a published name, there with the snapshot that it serves."""
    try:
        job = find_job(service, name, *PREDICTING)
    except NotFound:
        publication = Publications(service.jobs_dir).find(name)
        version = publication.version(publication.active) if publication is not None else None
        if version is None:
            raise
        job = service.store.get(version.model_id, *PREDICTING)
        if epoch is None:
            return job, Snapshot(version.epoch, version.snapshot)
    return job, find_snapshot(service, job, epoch)


def _tested(
    service: Service, model: Job, snapshot: Snapshot, scratch: Path, given: dict[str, Any], how: Answering
) -> TestResults:
    """What comes of the one source that is given. Raises BadRequest for none or several."""
    asked = {
        "files": given["files"] or given["records"],
        "--list": given["list_file"],
        "--db": given["db"],
        "--form": given["own"],
    }
    chosen = [name for name, value in asked.items() if value]
    if len(chosen) != 1:
        found = f"{' and '.join(chosen)} exclude each other." if chosen else "Nothing to predict was given."
        raise BadRequest(found, advice="Give files or --record, or one of --list, --db and --form.")
    keep, limit, last = given["dont_resize"], given["num_test_images"], (scratch, False)
    if given["every"] and not given["files"]:
        raise BadRequest("--every is of videos, and none is given.", advice="Name the files of videos, or leave it out.")
    if given["list_file"]:
        folder = str(Path(given["image_folder"]).expanduser().absolute())
        return sources.run_list(service, model, read_text(given["list_file"]), folder, limit, snapshot, keep, *last, how=how)
    if given["db"]:
        path = str(Path(given["db"]).expanduser().absolute())
        return sources.run_database(service, model, path, limit, snapshot, *last, how=how)
    if given["own"]:
        dataset, values = _own_form(service, model, given["own"])
        return sources.run_extension(service, model, dataset, values, snapshot, *last, how=how)
    opened, missing = _opened(service, model, given)
    wanted: dict[str, Any] = {"dont_resize": keep, "every": given["every"] or 0, "limit": limit, "how": how}
    return run_with_videos(service, model, opened, snapshot, scratch, skipped=missing, **wanted)


def _named(given: dict[str, Any]) -> list[str]:
    """The files that are given, and the pictures in folders."""
    names: list[str] = []
    for name in given["files"]:
        folder = not is_address(name) and Path(name).expanduser().is_dir()
        names += (
            list(pictures_below(Path(name).expanduser(), is_wanted=is_input_file))
            if folder
            else [str(name) if is_address(name) else str(Path(name).expanduser())]
        )
    return names


def _opened(service: Service, model: Job, given: dict[str, Any]) -> tuple[list[tuple[str, Any]], list[dict[str, str]]]:
    """The files and records that are given, and those that cannot be had (`entry`, `message`); what is wrong with the only one is
    raised."""
    paths = {name: name if is_address(name) else str(Path(name).absolute()) for name in _named(given)}
    asked: list[tuple[str, Callable[[], Any]]] = [(n, partial(inputs.from_path, service, path)) for n, path in paths.items()]
    asked += [(text, partial(inputs.from_record, service, model, text)) for text in given["records"]]
    found: list[tuple[str, Any]] = []
    missing: list[dict[str, str]] = []
    for name, opened in asked:
        try:
            found.append((name, opened()))
        except DigitsError as error:
            if len(asked) == 1:
                raise
            missing.append(inputs.unusable(name, error))
    return found, missing


def _own_form(service: Service, model: Job, texts: Sequence[str]) -> tuple[Job, dict[str, Any]]:
    """The data set of a model and values of its plugin's inference form. Raises BadRequest, FormErrors for an unknown field."""
    dataset = service.store.find(model.dataset_id) if model.dataset_id else None
    form = inference_form(service, dataset, None) if dataset is not None else None
    if dataset is None or form is None:
        raise BadRequest("The data set of this model was not made by a plugin that tests models.", advice="Give pictures.")
    if form.failure is not None:
        raise form.failure
    known = {field["name"]: field for field in form.fields}
    values = shown_values(known)
    for text in texts:
        name, equals, value = text.partition("=")
        if name not in known or not equals:
            raise FormErrors({"form": [f"{text!r} is no FIELD=VALUE; fields are {', '.join(known)}."]})
        values[name] = absolute_value(known[name], value)
    return dataset, values


def _as_json(
    model: Job, snapshot: Snapshot, tested: TestResults, meta: dict[str, Any], top: int, how: Answering
) -> dict[str, Any]:
    """The keys of `infer_many.json` and what model and weights answered."""
    outputs = {sample.key: outputs_json(sample, how) for sample in tested.samples}
    said = {key: [tested.notes.get(key, ""), text] for key, (_, text) in outputs.items()}
    notes = {key: " ".join(filter(None, texts)) for key, texts in said.items() if any(texts)}
    found: dict[str, Any] = {
        "model_id": model.id,
        "snapshot_epoch": snapshot.epoch,
        "outputs": {key: values for key, (values, _) in outputs.items()},
        "skipped": tested.skipped,
        "nonfinite": tested.nonfinite,
    }
    found |= {"notes": notes} if notes else {}
    lying = {sample.key: sample.in_picture for sample in tested.samples if sample.in_picture}
    if lying:
        found |= {"scale": {key: lies["scale"] for key, lies in lying.items()}, "in_picture": lying}
    if gives_one_class(task_of(meta)):
        labels = list(meta.get("class_labels", ()))
        best_of = {s.key: best(dict(s.outputs), labels, top) for s in tested.samples}
        found["classifications"] = {key: [[one.label, one.percent] for one in classes] for key, classes in best_of.items()}
    return found


def _print(tested: TestResults, meta: dict[str, Any], top: int, score_threshold: float | None) -> None:
    task, labels, options = task_of(meta), Labels.of_snapshot(meta), TaskOptions.from_json(meta.get("options", {}))
    if score_threshold is not None:
        options = replace(options, score_threshold=score_threshold)
    for sample in tested.samples:
        click.echo(sample.key)
        for line in _lines(sample, task, labels, options, top):
            click.echo(f"  {line}")
    for key, note in tested.notes.items():
        click.echo(f"{key}: {note}", err=True)
    for row in tested.skipped:
        click.echo(f"{row['entry']}: {row['message']}", err=True)
    if tested.nonfinite:
        click.echo(nonfinite_text(tested.nonfinite, len(tested.samples)), err=True)


def _lines(sample: ViewSample, task: Task, labels: Labels, options: TaskOptions, top: int) -> list[str]:
    """A prediction in words; boxes in the pixels of the given picture where they lie over one."""
    import numpy as np

    output = task.kept(np.asarray(main_output(sample.outputs)))
    boxes = (sample.in_picture or {}).get("boxes")
    if boxes is not None:
        output = np.array([[*box["box"], box["score"], box["class"]] for box in boxes], np.float64).reshape(-1, 6)
    if len(sample.thresholds) and task.output_kind == CLASSES:
        options = replace(options, label_thresholds=tuple(sample.thresholds))
    return task.lines(output, labels, options, top)
