"""A training done again from what was kept of it: the same request, network text, records, first weights, and
random seed; its worker then says whether it gives the same. Here, or wherever `digits jobs import` took it in."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from digits.domain.jobs import Kind, Resources, Status
from digits.domain.training import TrainingSpec
from digits.errors import BadRequest, Conflict, StorageError
from digits.service import Service
from digits.service.damage import require_records
from digits.service.datasets.same_records import Wanted, dataset_with
from digits.service.jobs import claimed_job_id, create_job, stored_form
from digits.service.models import python_layers
from digits.service.models.form import MAX_NAME
from digits.service.models.networks import NETWORK_FILE, model_spec
from digits.storage.files import atomic, read_json
from digits.storage.jobs.store import Job

SUFFIX = " (done again)"


def reproduce(service: Service, job: Job, owner: str = "", dataset_id: str = "") -> Job:
    """The model that does the training of `job` again, on the data set of the same content hash, or on one that is named.

    BadRequest for what is no model, or none that is done, and for a named data set with other records; NotFound, naming its hash,
    where the data set is not here; Conflict where the weights that it started from are gone.
    """
    if job.kind != Kind.MODEL:
        raise BadRequest(f"{job.name} is no model.", advice="Only trainings are done again.")
    if job.status != Status.DONE:
        raise BadRequest(f"{job.name} is {job.status.word}; only a training that is done can be done again.")
    folder, spec = service.folder(job.id), model_spec(service, job)
    capsule = _capsule(service, job)
    dataset = _dataset_of(service, job, capsule, dataset_id)
    _check_start(service, job, spec)
    threads, processes = capsule.get("threads"), max(1, int(capsule.get("processes") or 1))
    if isinstance(threads, int) and threads > 0 and not spec.gpu_count:
        spec = replace(spec, threads=threads * processes if spec.framework == "pytorch" else threads)
    spec = replace(spec, dataset_id=dataset.id)
    layers = python_layers.of_model(service, job, "python_layer_server_file")
    name = job.name.removesuffix(SUFFIX)[: MAX_NAME - len(SUFFIX)] + SUFFIX
    with claimed_job_id(service) as job_id:
        own = service.folder(job_id).path
        with atomic(own / NETWORK_FILE) as handle:
            handle.write(spec.network.encode(errors="surrogatepass"))
        if layers is not None:
            python_layers.keep(layers, own)
        form = {**stored_form(service, job), "model_name": name, "dataset": dataset.id, "random_seed": spec.seed}
        return create_job(
            service,
            job_id=job_id,
            kind=Kind.MODEL,
            task=job.task,
            type_name=job.type_name,
            name=name,
            group=job.group,
            owner=owner,
            form=form,
            spec=spec.to_json(),
            resources=_resources(folder.request().resources),
            parents=(dataset.id,),
            framework=job.framework,
            network=job.network,
            dataset_id=dataset.id,
            extension=job.extension,
            summary={"reproduces": job.id, "reproduces_name": job.name},
        )


def reproduction(service: Service, job: Job) -> dict[str, Any]:
    """Of a training that does another one again: `reproduces`, its id, and the `verdict`, empty until it is done; of any other
    nothing."""
    original = job.summary.get("reproduces")
    if not original:
        return {}
    found: dict[str, Any] = {}
    with contextlib.suppress(StorageError):
        value = read_json(service.folder(job.id).reproduction_file)
        found = value if isinstance(value, dict) else {}
    details = {"reproduction": found} if found else {}
    return {"reproduces": original, "verdict": str(found.get("verdict", "")), **details}


def _capsule(service: Service, job: Job) -> dict[str, Any]:
    """What the training was made of; empty of one of a version that kept nothing."""
    with contextlib.suppress(StorageError):
        value = read_json(service.folder(job.id).capsule_file)
        return value if isinstance(value, dict) else {}
    return {}


def _dataset_of(service: Service, job: Job, capsule: Mapping[str, Any], named: str) -> Job:
    """The data set with the records of the training: its own, or another of the same hash, or the one that is named."""
    wanted = Wanted.read(capsule.get("dataset"), capsule.get("dataset_hash_kind"), capsule.get("splits"))
    own = service.store.find(job.dataset_id)
    if not wanted.content_hash and not named and own is not None and own.status == Status.DONE:
        require_records(service, own.id)
        return own
    return dataset_with(service, job.name, wanted, job.dataset_id, named)


def _check_start(service: Service, job: Job, spec: TrainingSpec) -> None:
    """Raises Conflict where the first weights are not where they were."""
    if spec.start.source == "snapshot":
        try:
            service.folder(spec.start.job_id).snapshot_file(spec.start.snapshot)
        except StorageError as error:
            raise Conflict(f"The weights that {job.name} started from are gone: {error.message}") from error
    if gone := [str(path) for path in spec.start.paths if not path.is_file()]:
        raise Conflict(f"The weights that {job.name} started from are gone: {', '.join(gone)}.")


def _resources(before: Resources) -> Resources:
    """The same, with any GPUs of that number: those of another machine have other names."""
    return replace(before, gpus=before.gpus or len(before.gpu_ids), gpu_ids=())
