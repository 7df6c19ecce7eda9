"""What the form of a new model offers: data sets, networks of the catalog, earlier models with their snapshots, frameworks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import islice
from typing import Any

from digits import tasks
from digits.domain.datasets import PROPOSED_NETWORK, DatasetInfo
from digits.domain.jobs import Kind, Status
from digits.errors import NotFound, StorageError
from digits.frameworks import frameworks
from digits.networks import catalog
from digits.service import Service
from digits.service.datasets.contents import CLASSIFICATION, summary_dict
from digits.service.models.snapshots import list_snapshots
from digits.storage.jobs.store import Job, JobQuery
from digits.utils.values import counted

USABLE = (Status.DONE, Status.INIT, Status.WAIT, Status.RUN)
MAX_OFFERED = 100  # data sets; a search finds the others
ROWS_AT_ONCE = 200
MAX_PREVIOUS = 200
MAX_FOUND = 60
EVERY = 10**6
CROP_STEP = 8


def suits_form(job: Job, area: str) -> bool:
    """Whether a data set, or a model for one, belongs to the form of an area: of classification or of every other task.

    What a plugin made for classification belongs to both: scripts of the original train on all plugins' data sets by the other.
    """
    task = tasks.find(job.task)
    if task is None:
        return False
    return task.area == area or (area == tasks.GENERIC.area and job.extension not in CLASSIFICATION.values())


def dataset_choices(
    service: Service, area: str, extension: str = "", *, text: str = "", also: str = ""
) -> tuple[list[dict[str, Any]], bool]:
    """Data sets a new model may learn from, newest first, and whether there are more than these: those that are whole or being
    made, suit the form and have every word of `text` in their name, id, tags, owner or notes. `also` is the id of one that is
    listed in any case.

    Each says under `networks` for which task a network fits it, under `proposed` which one by framework, and under `crop_size`
    the crop that pictures of several sizes need.
    """
    rows = _usable_datasets(service, area, extension, text)
    found = list(islice(rows, MAX_OFFERED))
    more = next(rows, None) is not None
    if also and also not in {job.id for job in found}:
        one = service.store.find(also)
        found += [one] if one is not None and _is_usable(one, area, extension) else []
    return [dataset for dataset in (_dataset(service, job) for job in found) if dataset is not None], more


def _usable_datasets(service: Service, area: str, extension: str, text: str) -> Iterator[Job]:
    """Row by row, for a laboratory has thousands."""
    query = JobQuery(kind=Kind.DATASET, statuses=[str(s) for s in USABLE], text=text, limit=ROWS_AT_ONCE)
    while jobs := service.store.query(query).jobs:
        yield from (job for job in jobs if _is_usable(job, area, extension))
        query = replace(query, offset=query.offset + len(jobs))


def _is_usable(job: Job, area: str, extension: str) -> bool:
    return (
        job.kind == Kind.DATASET
        and job.status in USABLE
        and suits_form(job, area)
        and (not extension or job.extension == extension)
    )


def previous_choices(service: Service, area: str) -> list[dict[str, Any]]:
    """Models whose network (and weights) may be the start of a new one, newest first."""
    found = service.store.query(JobQuery(kind=Kind.MODEL, limit=MAX_PREVIOUS)).jobs
    return [_previous(service, job) for job in found if suits_form(job, area)]


def pretrained_choices(service: Service, area: str) -> list[dict[str, Any]]:
    """Pretrained models that a new one may start from, newest first: `id`, `name`, `network`, `framework`, `status`…"""
    found = service.store.query(JobQuery(kind=Kind.PRETRAINED, limit=MAX_PREVIOUS)).jobs
    usable = [job for job in found if job.status not in (Status.ABORT, Status.ERROR)]
    return [
        {
            "id": job.id,
            "name": job.name,
            "network": job.network,
            "framework": job.framework,
            "task_title": tasks.title_of(job.task),
            "status": str(job.status),
            "classes": job.summary.get("classes") or "",
        }
        for job in sorted(usable, key=lambda job: tasks.recorded(job.task).area != area)
    ]


def framework_choices() -> list[dict[str, Any]]:
    """Every framework: `id`, `title`, whether it is `installed`, the `command` that installs it, and what the form needs to know
    of it: `missing_tasks`, `solvers`, `precisions`, the `imports` that give away its texts, `libraries` to search."""
    return [
        {
            "id": row.name,
            "title": row.title,
            "installed": row.is_installed,
            "command": row.install,
            "missing_tasks": row.missing_tasks,
            "solvers": row.solvers,
            "precisions": row.precisions,
            "imports": row.imports,
            "libraries": row.library_title,
        }
        for row in frameworks().values()
    ]


def standard_choices(framework: str, area: str) -> list[dict[str, Any]]:
    """The networks with a readable text of ours that the form of an area offers, with the sound defaults of each: those for the
    task that the area is named for, all of them where it is open to any."""
    task = "" if area == tasks.GENERIC.area else area
    return [asdict(network) for network in catalog.standard_networks(framework, task)]


def networks_task(task: str, info: DatasetInfo | None) -> str:
    """The task whose networks fit the records of a data set; `task` while they are not known.

    For arrays the labels decide: those that lie over their picture want another network than two numbers.
    """
    return tasks.of_dataset(info).networks_task(tasks.Labels.of_dataset(info)) if info else task


def fitting(task: str, info: DatasetInfo | None, framework: str) -> catalog.NetworkInfo | None:
    """The network to propose for records: the one that their source names, else the largest input that their pictures still
    fill, then the fewest weights."""
    labels = tasks.Labels.of_dataset(info) if info else tasks.Labels()
    networks = [one for one in catalog.standard_networks(framework, task) if task in one.tasks]
    named = info.extra.get(PROPOSED_NETWORK) if info else None
    if own := [one for one in networks if one.name == named]:
        return own[0]
    networks = [one for one in networks if not one.keeps_channels or _same_channels(labels)]
    if not networks or info is None or info.feature_shape is None:
        return networks[0] if networks else None
    side = min(info.feature_shape[1:])
    inside = [network for network in networks if max(network.input_size, network.minimum_size) <= side]
    if not inside:
        return min(networks, key=lambda network: network.minimum_size)
    return min(inside, key=lambda network: (-network.input_size // 100, network.parameters))


def _same_channels(labels: tasks.Labels) -> bool:
    """Whether labels have as many channels as their pictures, as far as is known; pictures that are their own labels have."""
    if labels.kind == "none" or not labels.shape or not labels.feature_shape:
        return True
    return labels.shape[0] == labels.feature_shape[0]


def proposed(service: Service, dataset: Job, framework: str) -> catalog.NetworkInfo | None:
    """The network that page and command propose for a data set; None where the framework has none for its task."""
    info = service.folder(dataset.id).find_dataset_info()
    return fitting(networks_task(dataset.task, info), info, framework)


def proposed_crop(info: DatasetInfo | None) -> int | None:
    """The crop that makes batches of pictures of several sizes: what the smallest still has, by eights where it can be."""
    if info is None or info.feature_shape is not None or not info.sizes:
        return None
    least = min(min(width, height) for width, height, _ in info.sizes)
    return max(least - least % CROP_STEP, min(least, CROP_STEP)) or None


def recommended_values(name: str) -> dict[str, Any]:
    """What the page fills in for a network of the catalog, by field; empty for a name it does not have."""
    try:
        return dict(catalog.network_info(name).defaults)
    except NotFound:
        return {}


def library_choices(text: str, framework: str, task: str, limit: int = MAX_FOUND) -> dict[str, Any]:
    """Library networks of a framework for a task whose name has every word of `text`: `total` and the first `limit` as
    `networks`."""
    found = catalog.search(text, limit=EVERY, framework=framework, task=task)
    return {"total": len(found), "networks": [asdict(network) for network in found[:limit]]}


def _dataset(service: Service, job: Job) -> dict[str, Any] | None:
    """None for a data set whose folder is damaged."""
    if job.damage and job.damage["vital"] or not service.folder(job.id).exists():
        return None
    try:
        summary = {k: v for k, v in summary_dict(service, job).items() if k != "class_labels"}
    except StorageError:
        return None
    info = service.folder(job.id).find_dataset_info()
    task = networks_task(job.task, info)
    networks = {name: proposed(service, job, name) for name in frameworks()}
    return {
        **summary,
        "label": _label(job, summary),
        "created": job.created,
        "letter": str(job.status),
        "networks": task,
        "task_title": tasks.get(task).title,
        "proposed": {name: network.name if network else "" for name, network in networks.items()},
        "crop_size": proposed_crop(info),
    }


def _label(job: Job, summary: dict[str, Any]) -> str:
    """A data set in one line of a list: its name, how large it is, and its status where it is not whole yet."""
    images, classes = summary.get("total_count"), summary.get("class_count")
    size = f" – {counted(images, 'image')}" + (f", {counted(classes, 'class', 'classes')}" if classes else "") if images else ""
    return f"{job.name}{size}" + ("" if job.status == Status.DONE else f" ({job.status.word.lower()})")


def _previous(service: Service, job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "network": job.network,
        "framework": job.framework,
        "status": str(job.status),
        "created": job.created,
        "best_name": job.best_name,
        "best_value": job.best_value,
        "best_epoch": job.best_epoch,
        "snapshots": [
            {"choice": snapshot.choice, "label": snapshot.label, "best": snapshot.best}
            for snapshot in reversed(list_snapshots(service, job, with_best=True))
        ],
    }
