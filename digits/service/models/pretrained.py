"""Pretrained models: taken in from an archive, or made of a model here; what JSON and pages say of them. Those of single files
are made in `pretrained_form`.

Holds: nothing that was sent is believed or run here. Archives are unpacked aside by the rules for uploads; weights are looked at
without unpickling; the network text runs in the job's worker, which makes the snapshot and tries it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import digits
from digits import tasks
from digits.domain.jobs import Kind, Resources
from digits.domain.pretrained import ABOUT, GIVEN, LICENCE, PretrainedSpec, describes_a_model
from digits.engines.network.python_layers import MODULE, copy_name, layer_file_of
from digits.errors import BadRequest, DataError, StorageError
from digits.extensions.data.files.class_names import said_of_numbers
from digits.extensions.data.files.text import LARGEST_LABELS, lines_of
from digits.frameworks import Framework, frameworks
from digits.service import Service
from digits.service.files.unpack import begins_as, is_archive, unpack
from digits.service.jobs import claimed_job_id, create_job
from digits.service.models import python_layers, weights_file
from digits.service.models.form import MAX_NAME
from digits.service.models.model_info import INFO, BadArchive, ModelInfo, model_info, read_info
from digits.service.models.moving import MANIFEST, aside
from digits.service.models.network_text import problems
from digits.service.models.snapshots import find_snapshot
from digits.storage.files import atomic, read_json
from digits.storage.jobs.store import Job
from digits.storage.snapshots import snapshot_metadata
from digits.storage.thresholds import FILE as THRESHOLDS
from digits.storage.thresholds import read_thresholds
from digits.tasks import GENERIC

TYPE_NAME = "Pretrained Model"
TEXT = "network.py"
MOST_TEXT = 400_000
MOST_LABELS = 100_000
WHITE = 255.0  # white of the pictures that weights from elsewhere get, for augmentations


def from_archive(service: Service, archive: Path, file_name: str, owner: str = "", name: str = "") -> Job:
    """Take in an archive of a model: our own (Download), or one with the same `info.json`. BadArchive says what is wrong with it
    in the words of R 1.4."""
    if not (is_archive(file_name) or begins_as(archive)):
        raise BadArchive("Incorrect archive type.", advice="Send a zip, tar, tar.gz, tar.bz2 or tar.xz.")
    with aside(service) as place:
        try:
            skipped = unpack(service.settings, archive, file_name, place)
        except BadRequest as error:
            raise BadArchive(f"Incorrect archive type: {error.message}", advice=error.advice) from error
        if skipped:
            raise BadArchive("The archive holds links or other things that no model has; nothing of it is taken in.")
        root = _root(place)
        info = model_info(read_info(root / INFO))
        return from_folder(service, root, info, {"kind": "archive", "file": file_name[:200]}, owner=owner, name=name)


def from_folder(service: Service, root: Path, info: ModelInfo, origin: dict[str, Any], *, owner: str = "", name: str = "") -> Job:
    """The job of the files that an `info.json` names, which are copied. BadArchive for files that are missing or not what they
    should be."""
    for needed in info.needed:
        if not (root / needed).is_file():
            raise BadArchive(f"{INFO} names {needed}, which is not there.", advice="Send the whole archive.")
    row, text = frameworks()[info.framework], read_text(root / info.text)
    if wrong := problems(text, info.framework) if text is not None else ["it is no text in UTF-8 of reasonable length."]:
        raise BadArchive(f"Missing model definition: {info.text}: {wrong[0]}")
    if said := weights_file.problem(root / info.weights):
        raise BadArchive(said)
    if info.layers and (said := python_layers.problem(".py", (root / info.layers).read_bytes())):
        raise BadArchive(f"{info.layers}: {said}")
    labels = read_labels(root / info.labels) if info.labels else []
    meta = own_meta(root / info.weights, row)
    if not meta and (remark := said_of_numbers(labels)):  # of an archive lines count, as they did where it was made
        origin = {**origin, "labels_remark": remark}
    spec = PretrainedSpec(
        framework=info.framework,
        weights=info.weights,
        snapshot=snapshot_path(row, float(meta.get("epoch", info.epoch))),
        epoch=float(meta.get("epoch", info.epoch)),
        task=str(meta.get("task", info.task)),
        network=text or "",
        network_name=str(meta.get("network_name") or info.network_name)[:200],
        meta={} if meta else foreign_meta(info, labels),
        origin={**origin, "name": info.name},
        python_layers=info.layers,
    )
    beside = (info.layers, LICENCE, ABOUT, THRESHOLDS)
    files = [root / info.weights, *(root / name for name in beside if name and (root / name).is_file())]
    return create_of_files(service, name or info.name, spec, files, owner=owner, labels=len(meta.get("class_labels", labels)))


def from_model(service: Service, model: Job, epoch: float | str | None = None, owner: str = "", name: str = "") -> Job:
    """A pretrained model of one snapshot of a model here (the newest by default), which then needs that no more. Raises what
    `find_snapshot` raises."""
    snapshot, folder = find_snapshot(service, model, epoch), service.folder(model.id)
    path, meta = folder.snapshot_file(snapshot.path), snapshot_metadata(folder.snapshot_file(snapshot.path))
    row = frameworks().get(model.framework)
    if row is None:
        raise BadRequest(f"{model.name} is of no framework that is installed here.", advice="Install its package.")
    layers = layer_file_of(folder)
    if layers is not None and layers.copy_name != f"{MODULE}.py":
        raise BadRequest(f"{layers.name} is compiled Python, which does not travel.", advice="Train with its .py file.")
    dataset = service.folder(model.dataset_id).find_dataset_info() if model.dataset_id else None
    spec = PretrainedSpec(
        framework=model.framework,
        weights=path.name,
        snapshot=snapshot_path(row, snapshot.epoch),
        epoch=snapshot.epoch,
        task=str(meta.get("task") or model.task),
        network=_text_of(service, model),
        network_name=model.network,
        origin={
            "kind": "model",
            "model_id": model.id,
            "name": model.name,
            "dataset_hash": dataset.content_hash if dataset else "",
            **({"metric": model.best_name, "value": model.best_value} if snapshot.best and model.best_value is not None else {}),
        },
        python_layers=layers.name if layers else "",
    )
    chosen = folder.path / THRESHOLDS
    files = [path, *([layers.path] if layers else []), *([chosen] if chosen.is_file() else [])]
    return create_of_files(service, name or model.name, spec, files, owner=owner, labels=len(meta.get("class_labels", ())))


def pretrained_spec(service: Service, job: Job) -> PretrainedSpec:
    """What a pretrained model is made of."""
    return PretrainedSpec.from_json(service.folder(job.id).spec())


def pretrained_text(service: Service, job: Job) -> str:
    """The network text of a pretrained model; empty while it is still to be fetched."""
    return pretrained_spec(service, job).network or (read_text(service.folder(job.id).path / TEXT) or "")


def pretrained_dict(service: Service, job: Job) -> dict[str, Any]:
    """The JSON of a pretrained model; `image dimensions` is [height, width, channels], `labels` the names of classes."""
    spec, folder = pretrained_spec(service, job), service.folder(job.id)
    snapshot, meta = folder.path / spec.snapshot, spec.meta
    if snapshot.is_file():
        meta = snapshot_metadata(snapshot) or meta
    shape = meta.get("stored_shape") or meta.get("input_shape")
    about = read_json(folder.path / ABOUT) if (folder.path / ABOUT).is_file() else {}
    value = {
        "id": job.id,
        "job id": job.id,
        "name": job.name,
        "status": job.status.word,
        "error": job.error,
        "username": job.owner,
        "framework": spec.framework,
        "digits version": folder.request().digits_version or digits.__version__,
        "task": spec.task,
        "network": spec.network_name,
        "network file": TEXT,
        "snapshot file": Path(spec.snapshot).name,
        "snapshot_epoch": spec.epoch,
        "labels": [str(label) for label in meta.get("class_labels", ())],
        "has_labels": bool(meta.get("class_labels") or job.summary.get("has_labels")),
        "origin": spec.origin,
        "about": about if isinstance(about, dict) else {},
        "thresholds": read_thresholds(folder.path),
    }
    if shape:
        channels, height, width = shape
        mode = (meta.get("image") or {}).get("resize_mode", "")
        value |= {"image dimensions": [height, width, channels], "image resize mode": mode}
    if value["labels"]:
        value["labels file"] = "labels.txt"
    if spec.python_layers:
        value["python layer file"] = copy_name(spec.python_layers)
    if (folder.path / LICENCE).is_file():
        value["licence file"] = LICENCE
    return value


def snapshot_path(row: Framework, epoch: float) -> str:
    """Where the snapshot of a pretrained model lies in its folder."""
    return f"snapshots/epoch_{epoch:g}{row.snapshot_suffix}"


def foreign_meta(info: ModelInfo, labels: list[str], mean: tuple[float, ...] = (), std: float = 1.0) -> dict[str, Any]:
    """What travels with weights that say nothing of themselves: pictures of 8 bits in the size that is given, less `mean` of each
    channel, divided by `std`."""
    task = tasks.get(info.task)
    channels, height, width = shape = info.shape or (3, 256, 256)
    label_shape = {"map": [1, height, width], "boxes": []}.get(task.moves, [len(labels)] if task.scores == "sigmoid" else [])
    return {
        "version": 1,
        "framework": info.framework,
        "task": task.name,
        "network_name": info.network_name,
        "class_labels": labels,
        "input_shape": list(shape),
        "stored_shape": list(shape),
        "one_size": True,
        "label_kind": task.label_kinds[0],
        "activation": task.scores,
        "label_shape": None if task is GENERIC else label_shape,
        "box_sizes": [],
        "options": {},
        "preparation": {
            "stored_shape": list(shape),
            "input_shape": list(shape),
            "mean_kind": "pixel" if mean else "none",
            "pixel_mean": list(mean),
            "std": std,
            "unit": WHITE,
            "dtype": "uint8",
        },
        "image": {"resize_mode": info.resize_mode or "squash", "width": width, "height": height},
        "epoch": info.epoch,
        "job_id": "",
        "dataset_id": "",
    }


def create_of_files(
    service: Service,
    name: str,
    spec: PretrainedSpec,
    files: list[Path],
    *,
    owner: str,
    labels: int,
    group: str = "",
    form: Mapping[str, Any] | None = None,
) -> Job:
    with claimed_job_id(service) as job_id:
        folder = service.folder(job_id).path
        (folder / GIVEN).mkdir()
        for path in files:
            _copy(path, (folder if path.name == f"{MODULE}.py" else folder / GIVEN) / path.name)
        with atomic(folder / TEXT) as handle:
            handle.write(spec.network.encode(errors="surrogatepass"))
        return create_pretrained(service, name, spec, job_id, owner=owner, labels=labels, group=group, form=form)


def create_pretrained(
    service: Service,
    name: str,
    spec: PretrainedSpec,
    job_id: str,
    *,
    owner: str,
    labels: int,
    group: str = "",
    form: Mapping[str, Any] | None = None,
) -> Job:
    """The job whose worker makes the model of what lies, or is to be fetched, in its folder. `labels` counts the classes."""
    return create_job(
        service,
        job_id=job_id,
        kind=Kind.PRETRAINED,
        task=tasks.get(spec.task).name,
        type_name=TYPE_NAME,
        name=name[:MAX_NAME],
        group=group,
        owner=owner,
        form=dict(form or {}),
        spec=spec.to_json(),
        resources=Resources("pretrained"),
        framework=spec.framework,
        network=spec.network_name,
        summary={"has_labels": labels > 0, "classes": labels, "from": str(spec.origin.get("kind", ""))},
    )


def _copy(source: Path, target: Path) -> None:
    """The same file under another name where that is possible: snapshots are replaced, never changed."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _root(place: Path) -> Path:
    """The folder of the archive's files: its own, or the only one in it. BadArchive for an archive that is something else."""
    if (place / MANIFEST).is_file():
        raise BadArchive(
            "This is an archive of `digits jobs export`: a whole training.", advice="Take it in with `digits jobs import`."
        )
    inside = list(place.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else place


def own_meta(weights: Path, row: Framework) -> dict[str, Any]:
    """What a snapshot of digits says of itself; empty for other files. BadArchive where that is not what snapshots say."""
    if weights.suffix != row.snapshot_suffix:
        return {}
    try:
        meta = snapshot_metadata(weights)
    except StorageError as error:
        raise BadArchive(f"{weights.name} cannot be read: {error.message}") from error
    if not meta:
        return {}
    if not describes_a_model(meta) or tasks.find(str(meta.get("task"))) is None:
        raise BadArchive(f"{weights.name} says of itself what no snapshot says.", advice="Download the model again.")
    return meta


def read_text(path: Path) -> str | None:
    """A network text; None for what is too long, or not in UTF-8."""
    try:
        return path.read_text(encoding="utf-8") if path.stat().st_size <= MOST_TEXT else None
    except (OSError, UnicodeDecodeError):
        return None


def _text_of(service: Service, model: Job) -> str:
    text = read_text(service.folder(model.id).path / TEXT)
    return str(service.folder(model.id).spec().get("network", "")) if text is None else text


def read_labels(path: Path) -> list[str]:
    """The lines of a labels file without blank ones. BadArchive where it holds none, too many, or no text."""
    try:
        found = [line.strip().lstrip("\ufeff") for line in lines_of(path, LARGEST_LABELS) if line.strip()]
    except DataError as error:
        raise BadArchive(error.message, advice="Write one class a line.") from error
    if not 0 < len(found) <= MOST_LABELS:
        raise BadArchive(f"{path.name} names {len(found):,} classes.", advice="Write one class a line.")
    return found
