"""`digits inside`: the layers of a model, why it answers so for a picture, and vectors of its data set."""

from __future__ import annotations

import base64
import contextlib
import io
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from digits.cli import print_json
from digits.cli.follow import follow
from digits.cli.options import jobs_dir_option, json_option, open_service
from digits.cli.processes import answering
from digits.cli.tables import find_job
from digits.domain.datasets import STAGES
from digits.domain.embeddings import PCA, PROJECTIONS
from digits.domain.inside import ACTIVATIONS, MAP_COLOURS, METHODS, WEIGHTS
from digits.domain.jobs import PREDICTING, Kind
from digits.errors import BadRequest, DigitsError
from digits.service import Service
from digits.service.evaluations import embeddings, inputs
from digits.service.evaluations import inside as looking
from digits.service.models.snapshots import find_snapshot
from digits.storage.files import atomic
from digits.storage.jobs.store import Job
from digits.storage.modes import of_the_user

epoch_option = click.option("--epoch", default=None, help="Snapshot of this epoch, or best, or start. [default: the newest]")
picture_option = click.option(
    "--picture", default="", metavar="FILE|val:N", help="A picture file, or a record of the model's data set."
)
dataset_option = click.option(
    "--dataset", default="", metavar="ID|NAME", help="Another data set whose records are meant. [default: the model's own]"
)


@click.group()
def inside() -> None:
    """Layers of a model, why it answers so, vectors of pictures."""


@inside.command("layers")
@click.argument("model", metavar="MODEL")
@picture_option
@dataset_option
@click.option("--search", default="", metavar="WORDS", help="Only layers whose path or kind has all of these words.")
@epoch_option
@jobs_dir_option
@json_option
def layers(model: str, picture: str, dataset: str, search: str, epoch: str | None, jobs_dir: str | None, as_json: bool) -> None:
    """Print every layer with its shapes, means and deviations; with a picture those of what it gave too."""
    with open_service(jobs_dir) as service, answering(service, plugins=False):
        job = find_job(service, model, *PREDICTING)
        given = _picture(service, job, picture, dataset) if picture else None
        found = looking.layers(service, job, find_snapshot(service, job, epoch), given)
    words = search.lower().split()
    rows = [row for row in found["layers"] if all(word in f"{row['name']} {row['kind']}".lower() for word in words)]
    if as_json:
        print_json({**found, "layers": rows})
    else:
        _print(rows)


@inside.command("draw")
@click.argument("model", metavar="MODEL")
@click.argument("layer", metavar="LAYER")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="A PNG file, or .npy for the numbers.")
@click.option("--of", type=click.Choice([WEIGHTS, ACTIVATIONS]), default=None, help="[default: weights where it has some]")
@picture_option
@dataset_option
@click.option("--colours", type=click.Choice(MAP_COLOURS), default=MAP_COLOURS[0], show_default=True)
@epoch_option
@jobs_dir_option
def draw(
    model: str,
    layer: str,
    output: Path,
    of: str | None,
    picture: str,
    dataset: str,
    colours: str,
    epoch: str | None,
    jobs_dir: str | None,
) -> None:
    """Write the weights of a layer, or what it gave for a picture, as a picture or as numbers."""
    import numpy as np

    options = {"layer": layer, "of": of or "", "colours": colours}
    with open_service(jobs_dir) as service, answering(service, plugins=False):
        job = find_job(service, model, *PREDICTING)
        snapshot, given = find_snapshot(service, job, epoch), _picture(service, job, picture, dataset) if picture else None
        if output.suffix == ".npy":
            buffer = io.BytesIO()
            np.save(buffer, looking.layer_values(service, job, snapshot, given, options), allow_pickle=False)
            data = buffer.getvalue()
        else:
            found = looking.layer(service, job, snapshot, given, options)
            if not found["image"]:
                raise DigitsError(f"{layer} is not drawn: {found['drawing']['reason']}")
            data = _bytes(found["image"])
    _save(output, data)


@inside.command("why")
@click.argument("model", metavar="MODEL")
@click.argument("picture", metavar="FILE|val:N")
@dataset_option
@click.option("--method", type=click.Choice(list(METHODS)), default=None, help="[default: the first that is there]")
@click.option("--target", default="", help="Class (name or number), or number of a box or output. [default: the most evident]")
@click.option("--layer", default="", help="Of Grad-CAM: the layer whose maps are weighed.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the map over the picture as PNG.")
@epoch_option
@jobs_dir_option
@json_option
def why(
    model: str,
    picture: str,
    dataset: str,
    method: str | None,
    target: str,
    layer: str,
    output: Path | None,
    epoch: str | None,
    jobs_dir: str | None,
    as_json: bool,
) -> None:
    """Say why a model answers so for a picture, and whether the map changes with random weights."""
    options = {"method": method or "", "target": target, "layer": layer, "sanity": True}
    with open_service(jobs_dir) as service, answering(service, plugins=False):
        job = find_job(service, model, *PREDICTING)
        found = looking.explain(
            service, job, find_snapshot(service, job, epoch), _picture(service, job, picture, dataset), options
        )
    if output:
        _save(output, _over(_bytes(found["image"]), _bytes(found["maps"][MAP_COLOURS[0]])))
    if as_json:
        print_json({name: value for name, value in found.items() if name not in ("image", "maps")})
        return
    label = next((one["label"] for one in found["targets"] if one["target"] == found["target"]), found["target"])
    click.echo(
        f"{METHODS[found['method']].title} of {label}, score {found['score']:.4g}"
        + (f", at {found['layer']}" * bool(found["layer"]))
    )
    sanity = found["sanity"]
    same = "nearly its opposite" if (sanity["correlation"] or 0) < 0 else "nearly the same"
    words = "another one" if sanity["changes"] else same
    measured = "" if sanity["correlation"] is None else f" (rank correlation {sanity['correlation']:.2f})"
    said = f"With random weights the map is {words}{measured}." if sanity["changes"] is not None else ""
    click.echo(f"{said} {sanity['reason']}".strip())
    for text in filter(None, (found["note"], found["picture_note"])):
        click.echo(text, err=True)


@inside.command("vectors")
@click.argument("model", metavar="MODEL")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Copy the Parquet file here.")
@click.option("--layer", default="", help="Whose vectors. [default: the one before the answer]")
@click.option("--split", default="", metavar="train|val|test", help="[default: val]")
@dataset_option
@click.option("--projection", type=click.Choice(list(PROJECTIONS)), default=PCA, show_default=True)
@click.option("--limit", default=0, type=click.IntRange(0), help="Only the first N pictures. [default: all]")
@epoch_option
@jobs_dir_option
@json_option
def vectors(
    model: str,
    output: Path | None,
    layer: str,
    split: str,
    dataset: str,
    projection: str,
    limit: int,
    epoch: str | None,
    jobs_dir: str | None,
    as_json: bool,
) -> None:
    """Bring the pictures of a split to vectors of one layer, and these to two dimensions."""
    with open_service(jobs_dir) as service:
        job = find_job(service, model, *PREDICTING)
        of = find_job(service, dataset, Kind.DATASET) if dataset else None
        asked: dict[str, Any] = {"split": split, "projection": projection, "snapshot_epoch": epoch, "limit": limit, "dataset": of}
        with answering(service, plugins=False) if layer else contextlib.nullcontext():
            made = embeddings.start_embedding(service, job, layer=layer, **asked)
        done = follow(service, [made.id], quiet=True)
        made = service.store.get(made.id)
        if not done:
            sys.exit(1)  # what went wrong is said already
        file, result = embeddings.vectors_file(service, made), embeddings.result_of(service, made)
        if output:
            with of_the_user(), file.open("rb") as source, atomic(output) as handle:
                shutil.copyfileobj(source, handle)
    if as_json:
        print_json({**result, "id": made.id, "file": str(file)})
    else:
        click.echo(f"{output or file}\n{result['count']:,} vectors of {result['size']:,} numbers, layer {result['layer']}")


def _picture(service: Service, model: Job, text: str, dataset: str) -> Any:
    """A file's bytes, or a record of a data set."""
    path = Path(text)
    if path.is_file():
        return path.read_bytes()
    split, colon, _ = text.partition(":")
    if not colon or f"{split.removesuffix('_db')}_db" not in STAGES:
        raise BadRequest(f"{text} is no file, and no record.", advice="Name a picture file, or a record such as val:0.")
    return inputs.from_record(service, model, text, find_job(service, dataset, Kind.DATASET).id if dataset else "")


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("Layer", "Kind", "Parameters", "Array", "Shape", "Mean", "Deviation", "NaN"):
        table.add_column(title, justify="right" if title in ("Parameters", "Mean", "Deviation", "NaN") else "left")
    for row in rows:
        head = [escape(row["name"]), escape(row["kind"]), f"{row['parameters']:,}"]
        for one in (*row[WEIGHTS], *row[ACTIVATIONS]):
            numbers = ["–" if one[name] is None else f"{one[name]:.4g}" for name in ("mean", "stddev")]
            shape = "×".join(map(str, one["shape"])) or "1"
            table.add_row(*head, escape(one["part"]), shape, *numbers, str(one["nonfinite"] or ""))
            head = ["", "", ""]
        if head[0]:
            table.add_row(*head, row["reason"])
    Console(width=160).print(table)


def _over(picture: bytes, heat: bytes) -> bytes:
    """A map over its picture, both PNG files."""
    from PIL import Image

    below = Image.open(io.BytesIO(picture)).convert("RGB")
    above = Image.open(io.BytesIO(heat)).convert("RGB").resize(below.size, Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    Image.blend(below, above, 0.5).save(buffer, "PNG")
    return buffer.getvalue()


def _bytes(address: str) -> bytes:
    return base64.b64decode(address.partition(",")[2])


def _save(path: Path, data: bytes) -> None:
    with of_the_user(), atomic(path) as handle:
        handle.write(data)
    click.echo(str(path))
