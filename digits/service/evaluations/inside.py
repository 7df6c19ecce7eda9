"""Looking inside a model: its layers, one of them drawn, and maps of why it answers so; the predictor does the work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from digits.domain.inside import MAP_COLOURS
from digits.domain.jobs import PREDICTING, Kind, Status
from digits.errors import BadRequest, StorageError
from digits.images.addresses import png_address
from digits.ipc.messages import Message
from digits.service import Service
from digits.service.evaluations.create import Comparable, dataset_info, splits_of
from digits.service.evaluations.predict import bytes_of, picture_entry, request_predictor
from digits.service.files.confine import allowed_roots
from digits.service.models.snapshots import Snapshot, list_snapshots
from digits.storage.jobs.store import Job, JobQuery
from digits.storage.snapshots import snapshot_metadata

if TYPE_CHECKING:
    import numpy as np

    from digits.service.evaluations.predict import Picture

MOST_VALUES = 16 * 2**20  # numbers of an array that is sent as such
OFFERED = 30  # data sets, and models to lie beside


def layers(service: Service, model: Job, snapshot: Snapshot, picture: Picture | None) -> dict[str, Any]:
    """`layers` in the order of the network's definition, with the statistics of what each holds and, for a picture, of what it
    gave; `total_parameters`."""
    answer = _request(service, model, snapshot, "inside", picture, {})
    rows = answer.header["layers"]
    return {
        **_about(answer, snapshot),
        "total_parameters": sum(row["parameters"] for row in rows),
        "seconds": answer.header["seconds"],
        "layers": rows,
    }


def layer(
    service: Service, model: Job, snapshot: Snapshot, picture: Picture | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """One array of one layer: `layer` with its statistics, `image` (a `data:` address, empty where `drawing.reason` says why)."""
    answer = _request(service, model, snapshot, "layer", picture, options)
    header = answer.header
    shown = {name: header[name] for name in ("layer", "of", "part", "drawing")}
    return {**_about(answer, snapshot), **shown, "image": _address(answer, "image")}


def layer_values(
    service: Service, model: Job, snapshot: Snapshot, picture: Picture | None, options: Mapping[str, Any]
) -> np.ndarray:
    """The same array as numbers, of any shape. BadRequest where there is none, or too many."""
    answer = _request(service, model, snapshot, "layer", picture, {**options, "values": True})
    if "values" not in answer.arrays:
        raise BadRequest(f"{answer.header['layer']['name']}: {answer.header['drawing']['reason']}")
    values: np.ndarray = answer.arrays["values"]
    if values.size > MOST_VALUES:
        raise BadRequest(f"The array has {values.size:,} numbers; at most {MOST_VALUES:,} are sent.")
    return values


def explain(service: Service, model: Job, snapshot: Snapshot, picture: Picture, options: Mapping[str, Any]) -> dict[str, Any]:
    """Why the model answers so: `maps` by colours and the `image` beneath as `data:` addresses, what could be explained
    (`targets`) and what was (`target`, `score`), `sanity`; with `values` the map as nested lists."""
    answer = _request(service, model, snapshot, "explain", picture, options)
    left_out = ("meta", "device", "picture_note", "arrays")
    body = {name: value for name, value in answer.header.items() if name not in left_out}
    maps = {colours: _address(answer, f"map/{colours}") for colours in MAP_COLOURS}
    values = {"values": answer.arrays["values"].tolist()} if "values" in answer.arrays else {}
    return {**_about(answer, snapshot), **body, "image": _address(answer, "image"), "maps": maps, **values}


def picture_sets(service: Service, model: Job, wanted: str = "") -> list[Comparable]:
    """Data sets whose pictures the model can be shown: the one that is wanted, its own, those of its task (of a model without one
    of its own those of its classes before), the rest, the newest first. NotFound for a wanted one that is not there."""
    newest = service.store.query(JobQuery(kind=Kind.DATASET, statuses=(Status.DONE,), limit=OFFERED)).jobs
    own = service.store.find(model.dataset_id) if model.dataset_id else None
    chosen = service.store.get(wanted, Kind.DATASET) if wanted else None
    classes = set() if own else _classes(service, model)

    def strangeness(job: Job) -> tuple[bool, bool]:
        info = dataset_info(service, job) if classes else None
        return job.task != model.task, info is None or not set(info.class_labels) <= classes

    jobs = {job.id: job for job in (chosen, own, *sorted(newest, key=strangeness)) if job is not None}
    found = [Comparable(job, splits_of(service, job)) for job in jobs.values()]
    return [one for one in found if one.splits or one.job is chosen]


def _classes(service: Service, model: Job) -> set[str]:
    """The names of the classes that a model's newest snapshot knows."""
    found = list_snapshots(service, model, with_best=True)
    try:
        meta = snapshot_metadata(service.folder(model.id).path / found[-1].path) if found else {}
    except StorageError:
        return set()
    return {str(label) for label in meta.get("class_labels") or ()}


def models_beside(service: Service, model: Job) -> list[Job]:
    """Other models that can lie beside one: those of its task, those of its data set first, else the newest."""
    queries = [JobQuery(kind=kind, statuses=(Status.DONE,), task=model.task, limit=OFFERED) for kind in PREDICTING]
    found = [job for query in queries for job in service.store.query(query).jobs if job.id != model.id]
    return sorted(found, key=lambda job: job.dataset_id != model.dataset_id)


def _request(
    service: Service, model: Job, snapshot: Snapshot, operation: str, picture: Picture | None, options: Mapping[str, Any]
) -> Message:
    entry, arrays = picture_entry(picture, "p0") if picture is not None else ({}, {})
    roots = [str(root) for root in allowed_roots(service)]
    header = {"op": operation, "pictures": [entry] if entry else [], "roots": roots, **options}
    return request_predictor(service, model, snapshot, Message(header, arrays))


def _about(answer: Message, snapshot: Snapshot) -> dict[str, Any]:
    meta = answer.header["meta"]
    return {
        "snapshot_epoch": snapshot.epoch,
        "network": meta.get("network_name") or "",
        "device": answer.header["device"],
        "picture_note": answer.header["picture_note"],
    }


def _address(answer: Message, name: str) -> str:
    found = answer.arrays.get(name)
    return "" if found is None else png_address(bytes_of(found))
