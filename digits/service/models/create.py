"""Models: making one (or a sweep of them) from a form, and what pages, JSON and commands say about them."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from digits import tasks
from digits.domain.datasets import TRAIN_DB, DatasetInfo
from digits.domain.jobs import Kind, Resources, Status
from digits.domain.metrics import START_WAS_BEST
from digits.domain.training import TrainingSpec
from digits.engines.network.python_layers import LayerFile, copy_name
from digits.errors import FormErrors, StorageError
from digits.frameworks import DEFAULT
from digits.service import Service
from digits.service.damage import Damaged, as_json, damage_of, require_usable
from digits.service.forms import parse
from digits.service.jobs import all_or_none, claimed_job_id, create_job, stored_form
from digits.service.models import python_layers
from digits.service.models.checks import check, check_best_metric, check_sizes
from digits.service.models.choices import suits_form
from digits.service.models.form import MAX_NAME, ModelForm, form_values
from digits.service.models.frameworks import choose_framework
from digits.service.models.gpus import cpu_processes, gpu_warnings, resources
from digits.service.models.networks import NETWORK_FILE, Network, resolve
from digits.service.models.read_models import read_model
from digits.service.models.reproduce import reproduction
from digits.service.models.snapshots import list_snapshots
from digits.storage.files import atomic
from digits.storage.jobs.store import Job

LABELS_FILE = "labels.txt"
Errors = dict[str, list[str]]


@dataclass(frozen=True)
class PlannedModel:
    """One model of a sweep: its name, the form that would make just this one, and what its worker gets."""

    name: str
    form: dict[str, Any]
    spec: TrainingSpec


@dataclass(frozen=True)
class Plan:
    """A form that has passed every check. `warnings` are for the user; they do not stop anything."""

    area: str
    dataset: Job
    models: tuple[PlannedModel, ...]
    resources: Resources
    group: str
    warnings: tuple[str, ...] = ()
    layers: LayerFile | None = None  # goes into the folder of each model
    layers_given: bool = False  # by the form, not by an earlier model
    waits_for: tuple[str, ...] = ()  # ids of jobs that make the first weights


def create_models(service: Service, area: str, values: Mapping[str, Any], owner: str = "") -> list[Job]:
    """Make one model, or one for each combination of the listed rates and batch sizes. Raises FormErrors.

    `area` is `classification` or, for every other sort of data set, `generic`. `values["clone"]` may name a model:
    its stored form is taken as it is, whatever else was sent (R 1.0).
    """
    return create_planned(service, plan_models(service, area, values), owner)


def create_planned(service: Service, plan: Plan, owner: str = "") -> list[Job]:
    """Make the jobs of a plan, in its order, or none."""
    with all_or_none(service) as made:
        for model in plan.models:
            made.append(_create(service, plan, model, owner))
    return made


def plan_models(service: Service, area: str, values: Mapping[str, Any]) -> Plan:
    """Check a form and say what would be made of it, without making it. Raises FormErrors with everything that is wrong."""
    sent, values = values, _cloned(service, values) or values
    form, errors = read(values)
    framework, warnings = _collect(errors, lambda: choose_framework(form), (DEFAULT, []))
    dataset = _collect(errors, lambda: usable_dataset(service, area, form.dataset), None) if "dataset" not in errors else None
    network = _collect(errors, lambda: resolve(service, form, values, framework, dataset.task if dataset else ""), None)
    given = _collect(errors, lambda: python_layers.chosen(service, form), None)
    needs = _collect(errors, lambda: resources(service, form, framework), None)
    info = info_of(service, dataset.id) if dataset else None
    errors.update({k: v for k, v in check(form, framework, dataset, info).items() if k not in errors})
    if dataset is not None and network is not None:
        errors.update(check_best_metric(form, network.text, dataset.task))
        errors.update(check_sizes(form, network.text, info))
        network = replace(network, layers=given or network.layers)
        if errors.keys().isdisjoint((python_layers.CLIENT, python_layers.SERVER)):
            _collect(errors, partial(python_layers.check_text, network.layers, network.text), None)
    if errors or dataset is None or network is None or needs is None:
        raise FormErrors(errors)
    processes = cpu_processes(service, form, framework, needs)
    models = tuple(_sweep(form, values, framework, dataset, network, needs, processes))
    found = (*warnings, *_of_clone(sent, form), *gpu_warnings(form, needs), *_warnings(service, form, dataset))
    notes = (*found, *python_layers.notes(network.layers, network.text))
    return Plan(area, dataset, models, needs, form.group_name, notes, network.layers, given is not None, network.waits_for)


def read(values: Mapping[str, Any]) -> tuple[ModelForm, Errors]:
    """The form with the fields that could be understood, and messages for those that could not (they keep their defaults)."""
    try:
        return parse(ModelForm, values), {}
    except FormErrors as error:
        errors = dict(error.errors)
    kept = {name: value for name, value in values.items() if name not in errors}
    return parse(ModelForm, {"model_name": "?", "dataset": "?", **kept}), errors


def usable_dataset(service: Service, area: str, dataset_id: str) -> Job:
    """The data set to train on: one that is there, is or will be whole, and suits the form. FormErrors otherwise."""
    job = service.store.find(dataset_id)
    if job is None or job.kind != Kind.DATASET:
        raise FormErrors({"dataset": [f"There is no data set {dataset_id!r} (any more). Choose one of the list."]})
    if job.status in (Status.ABORT, Status.ERROR):
        word = "was aborted" if job.status == Status.ABORT else "failed"
        raise FormErrors(
            {"dataset": [f"{job.name} {word}, so it has no pictures to learn from. Make it again or choose another."]}
        )
    try:
        require_usable(service, job)
    except Damaged as error:
        raise FormErrors({"dataset": [f"{error} No model can be trained on it."]}) from error
    if not suits_form(job, area):
        where = f"/models/images/{tasks.recorded(job.task).area}/new"
        raise FormErrors({"dataset": [f"This form is not for data sets like {job.name}. Make its model at {where}."]})
    return job


def clone_values(service: Service, job: Job) -> dict[str, Any]:
    """The stored form of a model, ready to be sent again."""
    return python_layers.cloned_values(service, job, stored_form(service, job))


def model_dict(
    service: Service, job: Job, verbose: bool = False, infos: dict[str, DatasetInfo | None] | None = None
) -> dict[str, Any]:
    """The JSON of a model, which is also the archive's `info.json` (R 7.1); `verbose` adds directory and snapshots. `infos` keeps
    what was read of data sets, for a list of many models on few of them.

    StorageError for one of a task that is not known.
    """
    tasks.recorded(job.task)
    read = read_model(service, job)
    value: dict[str, Any] = {
        "id": job.id,
        "job id": job.id,
        "name": job.name,
        "status": job.status.word,
        "username": job.owner,
        "creation time": "{:04d}-{:02d}-{:02d} {:02d}:{:02d}:{:02d}".format(*time.localtime(job.created)[:6]),
        "framework": read.framework,
        "digits version": read.version,
        "dataset_id": job.dataset_id,
        "task": job.task,
        "network": job.network,
        "network file": NETWORK_FILE,
        "mean subtraction": read.use_mean,
        "snapshot file": read.newest or "no snapshots",
        "best": best_of(job),
        **({"python layer file": copy_name(read.layers)} if read.layers else {}),
        "first weights": read.start,
        **_dataset_keys(service, job, {} if infos is None else infos),
    }
    if verbose:
        value |= reproduction(service, job)
        snapshots = list_snapshots(service, job)
        directory = str(service.folder(job.id).path)
        value |= {"directory": directory, "snapshots": [snapshot.epoch for snapshot in snapshots]}
    return value


def listed(service: Service, job: Job, infos: dict[str, DatasetInfo | None] | None = None) -> dict[str, Any]:
    """A model in a list of all: as `model_dict`, or, of one whose folder is damaged, what its row says with the `damage`."""
    try:
        return model_dict(service, job, infos=infos)
    except StorageError as error:
        found = as_json(damage_of(service, job)) or [{"found": str(error)}]
        return {"id": job.id, "name": job.name, "status": job.status.word, "username": job.owner, "damage": found}


def best_of(job: Job) -> dict[str, Any] | None:
    """What decided which weights are best: `name` of the metric, `value`, `epoch`; `words` where the training made it worse."""
    if job.best_value is None:
        return None
    return {
        "name": job.best_name,
        "value": job.best_value,
        "epoch": job.best_epoch,
        "words": START_WAS_BEST if job.best_epoch == 0 else "",
    }


def info_of(service: Service, dataset_id: str) -> DatasetInfo | None:
    """What the records of a data set hold; None while it is not whole, when its folder is gone or its file is damaged."""
    with contextlib.suppress(StorageError):
        return service.folder(dataset_id).find_dataset_info() if dataset_id else None
    return None


def _dataset_keys(service: Service, job: Job, infos: dict[str, DatasetInfo | None]) -> dict[str, Any]:
    if job.dataset_id not in infos:
        infos[job.dataset_id] = info_of(service, job.dataset_id)
    info = infos[job.dataset_id]
    if info is None:
        return {}
    value: dict[str, Any] = {}
    if info.feature_shape is not None:
        channels, height, width = info.feature_shape
        value["image dimensions"] = [height, width, channels]
    if tasks.recorded(job.task).has_labels_file:
        value |= {"image resize mode": info.extra.get("resize_mode", ""), "labels file": LABELS_FILE}
    if info.mean_image:
        value["mean file"] = info.mean_image
    return value


def _cloned(service: Service, values: Mapping[str, Any]) -> dict[str, Any]:
    source = values.get("clone")
    if not source:
        return {}
    job = service.store.find(str(source))
    if job is None or job.kind != Kind.MODEL:
        raise FormErrors({"clone": [f"{source!r} is not a model that could be cloned."]})
    return clone_values(service, job)


def _of_clone(sent: Mapping[str, Any], form: ModelForm) -> list[str]:
    """Which fields were sent with `clone` and say something else than the form that was taken over."""
    if not sent.get("clone"):
        return []
    asked, _ = read({**form_values(form), **sent})
    taken, wanted = form.model_dump(), asked.model_dump()
    unused = [name for name in sent if name in wanted and wanted[name] != taken[name]]
    return [f"A clone has the whole form of the other model: {', '.join(unused)} did not count."] if unused else []


def _collect(errors: Errors, work: Any, otherwise: Any) -> Any:
    """The result of `work`; where it finds fields wrong, they are added to `errors` and `otherwise` stands in."""
    try:
        return work()
    except FormErrors as error:
        for name, messages in error.errors.items():
            errors.setdefault(name, []).extend(messages)
        return otherwise


def _warnings(service: Service, form: ModelForm, dataset: Job) -> list[str]:
    found: list[str] = []
    info = info_of(service, dataset.id)
    split = info.splits.get(TRAIN_DB) if info else None
    largest = max(form.batch_size or [0])
    if split and largest > split.entries:
        found.append(f"A batch of {largest} is more than the {split.entries} training pictures: each epoch is a single step.")
    return found


def _sweep(
    form: ModelForm,
    values: Mapping[str, Any],
    framework: str,
    dataset: Job,
    network: Network,
    needs: Resources,
    processes: int,
) -> list[PlannedModel]:
    """One model per combination of rate and batch size; names distinguish them when there are several."""
    seed = secrets.randbelow(2**31) if form.random_seed is None else form.random_seed
    rates = form.learning_rate
    batches: list[int] | list[None] = form.batch_size or [None]
    planned = []
    for rate, batch in itertools.product(rates, batches):
        name = form.model_name
        name += f" learning_rate:{rate:g}" if len(rates) > 1 else ""
        name += f" batch_size:{batch}" if len(batches) > 1 else ""
        update = {"model_name": name[:MAX_NAME], "learning_rate": [rate], "batch_size": None if batch is None else [batch]}
        stored = form_values(form.model_copy(update=update)) | _snapshot_choice(form, values)
        spec = _spec(form, framework, dataset, network, needs, rate, batch, seed)
        planned.append(PlannedModel(name[:MAX_NAME], stored, replace(spec, cpu_processes=processes)))
    return planned


def _snapshot_choice(form: ModelForm, values: Mapping[str, Any]) -> dict[str, Any]:
    field = f"{form.previous_networks}-snapshot"
    return {field: str(values[field])} if form.method == "previous" and values.get(field) is not None else {}


def _spec(
    form: ModelForm, framework: str, dataset: Job, network: Network, needs: Resources, rate: float, batch: int | None, seed: int
) -> TrainingSpec:
    return TrainingSpec(
        dataset_id=dataset.id,
        task=dataset.task,
        framework=framework,
        network=network.text,
        network_name=network.name,
        epochs=form.train_epochs,
        batch_size=batch,
        batch_accumulation=form.batch_accumulation or 1,
        snapshot_interval=form.snapshot_interval,
        val_interval=form.val_interval,
        seed=seed,
        shuffle=form.shuffle,
        crop_size=form.crop_size,
        use_mean=form.use_mean,
        solver=form.solver(),
        learning_rate=form.schedule(rate),
        augmentation=form.augmentation(),
        start=network.start,
        batch_norm=form.batch_norm,
        precision=form.precision,
        gpu_count=needs.gpus,
        keep_snapshots=form.keep_snapshots,
        best_metric=form.best_metric,
        loss=form.loss,
        options=form.options(dataset.task),
        python_layers=network.layers.name if network.layers else "",
        traces_interval=form.traces_interval,
    )


def _create(service: Service, plan: Plan, model: PlannedModel, owner: str) -> Job:
    with claimed_job_id(service) as job_id:
        folder = service.folder(job_id).path
        with atomic(folder / NETWORK_FILE) as handle:
            handle.write(model.spec.network.encode(errors="surrogatepass"))
        if plan.layers is not None:
            python_layers.keep(plan.layers, folder)
        kept = python_layers.form_values(service, plan.layers, folder) if plan.layers_given else {}
        return create_job(
            service,
            job_id=job_id,
            kind=Kind.MODEL,
            task=plan.dataset.task,
            type_name=tasks.get(plan.area).model_type,
            name=model.name,
            group=plan.group,
            owner=owner,
            form=model.form | kept,
            spec=model.spec.to_json(),
            resources=plan.resources,
            parents=(plan.dataset.id, *plan.waits_for),
            framework=model.spec.framework,
            network=model.spec.network_name,
            dataset_id=plan.dataset.id,
            extension=plan.dataset.extension,
        )
