"""Data sets: making one from a form, and what pages, JSON and commands say about it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import Any

from digits.domain.datasets import TEST_DB, TRAIN_DB, VAL_DB, DatasetInfo, DatasetSpec, SplitInfo
from digits.domain.jobs import TYPE_NAMES, Kind, Resources, Task
from digits.engines.network.losses import LOSSES, usual_loss
from digits.errors import FormErrors, StorageError
from digits.service import Service
from digits.service.datasets.classification_checks import check
from digits.service.datasets.classification_form import ClassificationDatasetForm, read
from digits.service.files.confine import allowed_roots, confine
from digits.service.generic_facts import generic_dict
from digits.service.jobs import claimed_job_id, create_job, stored_form
from digits.storage.folders import JobFolder
from digits.storage.jobs.store import Job

EXTENSIONS = {"folder": "image-classification-folder", "textfile": "image-classification-textfile"}
UPLOADED = "uploaded:"  # marks, in a stored form, a text file that was copied into the job's folder
UPLOAD_FIELDS = ("textfile_train_images", "textfile_val_images", "textfile_test_images", "textfile_labels_file")
SPLITS = {"train": TRAIN_DB, "val": VAL_DB, "test": TEST_DB}
_NOT_FOR_INGEST = ("dataset_name", "group_name", "encoding", "backend", "compression")


def create_classification_dataset(service: Service, values: Mapping[str, Any], owner: str = "") -> Job:
    """Make the job of a classification data set from form values. Raises FormErrors.

    `values["clone"]` may name a data set whose stored form stands in for what `values` leaves out.
    """
    values = {**_cloned(service, values), **values}
    form, errors = read(values)
    errors = {**check(service, form), **errors}
    if errors:
        raise FormErrors(errors)
    with claimed_job_id(service) as job_id:
        stored, paths = _keep_uploads(service, form, service.folder(job_id))
        return create_job(
            service,
            job_id=job_id,
            kind=Kind.DATASET,
            task=Task.CLASSIFICATION,
            type_name=TYPE_NAMES[Kind.DATASET, Task.CLASSIFICATION],
            name=form.dataset_name,
            group=form.group_name,
            owner=owner,
            form=stored,
            spec=_spec(service, form, paths).to_json(),
            resources=Resources("create_db", cpus=_cpus(service)),
            extension=EXTENSIONS[form.method],
            summary=_request_summary(form),
        )


def form_values(service: Service, job: Job) -> dict[str, Any]:
    """The stored form of a data set, ready to be sent again: its uploaded files are named by their place in the job's folder."""
    folder = service.folder(job.id)
    values = stored_form(service, job)
    for name in UPLOAD_FIELDS:
        text = str(values.get(name) or "")
        if text.startswith(UPLOADED):
            values[name] = str(folder.path / text.removeprefix(UPLOADED))
    return values


def dataset_dict(service: Service, job: Job, verbose: bool = False) -> dict[str, Any]:
    """The JSON of a data set: `id`, `name`, `status`; with `verbose` also its directory and what each stage found."""
    value: dict[str, Any] = {"id": job.id, "name": job.name, "status": job.status.word}
    if not verbose:
        return value
    folder = service.folder(job.id)
    value["directory"] = str(folder.path)
    if is_classification(job):
        form = folder.request().form
        info = folder.find_dataset_info()
        value["ParseFolderTasks"] = parse_folder_tasks(form, info)
        value["CreateDbTasks"] = create_db_tasks(form, info)
    else:
        value |= generic_dict(folder.find_dataset_info())
    return value


def parse_folder_tasks(form: Mapping[str, Any], info: DatasetInfo | None) -> list[dict[str, Any]]:
    """One entry for the training folder and one for each separate folder; counts are those of the records, None before."""
    if form.get("method") != "folder":
        return []
    stages = _folder_stages(form)
    own = [stage for stage in ("val", "test") if form.get(f"has_{stage}_folder")]
    return [_parse_task(stages, info, of_training=True), *(_parse_task([stage], info) for stage in own)]


def create_db_tasks(form: Mapping[str, Any], info: DatasetInfo | None) -> list[dict[str, Any]]:
    """One entry per split, with the size that the pictures have in the records (None where sizes differ)."""
    stages = [name.removesuffix("_db") for name in info.splits] if info else _stages(form)
    return [_db_task(stage, form, _split(info, stage)) for stage in stages]


def require_done(job: Job) -> None:
    """Raises NotReady when the records of a data set are not whole yet, or never will be."""
    if job.status.word != "Done":
        raise NotReady(
            f"{job.name} cannot be shown: its status should be Done, but is {job.status.word}.",
            advice="Wait until it is done." if job.status.is_running else "Clone it to make it again.",
        )


class NotReady(StorageError):
    """A data set is asked for records that it does not have (the original answered with code 500 as well)."""


def is_classification(job: Job) -> bool:
    """Whether a job is a data set made by this module."""
    return job.kind == Kind.DATASET and job.extension in EXTENSIONS.values()


def summary_dict(service: Service, job: Job) -> dict[str, Any]:
    """A data set in a few figures; `image_*` are None and counts 0 while they are not known."""
    info = service.folder(job.id).find_dataset_info()
    form = service.folder(job.id).request().form
    shape = info.feature_shape if info else None
    channels, height, width = shape or _asked_shape(form)
    counts = {f"{stage}_count": (split.entries if (split := _split(info, stage)) else 0) for stage in SPLITS}
    return {
        **dataset_dict(service, job),
        "type": job.type_name,
        "task": job.task,
        "extension": job.extension,
        "image_width": width,
        "image_height": height,
        "image_channels": channels,
        "resize_mode": form.get("resize_mode"),
        "backend": form.get("backend"),
        "class_count": len(info.class_labels) if info else 0,
        "class_labels": list(info.class_labels) if info else [],
        "usual_loss": LOSSES.get(usual_loss(job.task, info), "") if info else "",
        **counts,
        "total_count": sum(counts.values()),
    }


def _cloned(service: Service, values: Mapping[str, Any]) -> dict[str, Any]:
    source = values.get("clone")
    if not source:
        return {}
    job = service.store.find(str(source))
    if job is None or job.kind != Kind.DATASET or job.task != Task.CLASSIFICATION:
        raise FormErrors({"clone": [f"{source!r} is not an image classification data set that could be cloned."]})
    return form_values(service, job)


def _keep_uploads(service: Service, form: ClassificationDatasetForm, folder: JobFolder) -> tuple[dict[str, Any], dict[str, str]]:
    """Copy uploaded text files into the job's folder; the form to store and the paths to read them from."""
    stored = {name: _whole(value) for name, value in form.model_dump(mode="json").items()}
    paths: dict[str, str] = {}
    if form.method != "textfile" or form.textfile_use_local_files:
        return stored, paths
    for name in UPLOAD_FIELDS:
        source = getattr(form, name)
        if source and name in form.path_fields():
            target = folder.path / f"{name}.txt"
            shutil.copyfile(confine(service, source), target)
            stored[name], paths[name] = UPLOADED + target.name, str(target)
    return stored, paths


def _spec(service: Service, form: ClassificationDatasetForm, uploads: Mapping[str, str]) -> DatasetSpec:
    data = {name: value for name, value in form.model_dump(mode="json").items() if name not in _NOT_FOR_INGEST}
    used = form.path_fields()
    for name in ClassificationDatasetForm.file_fields():
        data[name] = str(confine(service, data[name])) if name in used and data[name] else ""
    return DatasetSpec(
        extension=EXTENSIONS[form.method],
        task=str(Task.CLASSIFICATION),
        extension_data={**data, **uploads, "allowed_roots": [str(root) for root in allowed_roots(service)]},
        feature_encoding=_encoding(form.model_dump()),
        force_same_shape=not form.keep_size,
        backend=form.backend,
        compression=_compression(form.model_dump()),
    )


def _encoding(form: Mapping[str, Any]) -> str:
    """HDF5 never held encoded pictures; scripts that ask for it get them unencoded."""
    return "none" if form.get("backend") == "hdf5" else str(form.get("encoding") or "auto")


def _compression(form: Mapping[str, Any]) -> str:
    return "none" if form.get("backend") == "lmdb" else str(form.get("compression") or "none")


def _cpus(service: Service) -> int:
    """All slots of a small machine, three quarters of a larger one, at most 8: reading pictures scales, other jobs go on."""
    slots = service.settings.cpu_slots or os.cpu_count() or 1
    return slots if slots <= 2 else min(8, slots * 3 // 4)


def _request_summary(form: ClassificationDatasetForm) -> dict[str, Any]:
    size = {} if form.keep_size else {"width": form.resize_width, "height": form.resize_height}
    return {"channels": form.resize_channels or None, "backend": form.backend, **size}


def _whole(value: Any) -> Any:
    """25.0 as 25, as it was typed."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _stages(form: Mapping[str, Any]) -> list[str]:
    """The splits that a form asks for."""
    if form.get("method") == "textfile":
        return ["train", *(stage for stage in ("val", "test") if form.get(f"textfile_use_{stage}"))]
    separate = [stage for stage in ("val", "test") if form.get(f"has_{stage}_folder")]
    return [stage for stage in SPLITS if stage in {*_folder_stages(form), *separate}]


def _folder_stages(form: Mapping[str, Any]) -> list[str]:
    """The splits that the training folder is divided into."""
    shared = [s for s in ("val", "test") if not form.get(f"has_{s}_folder") and float(form.get(f"folder_pct_{s}") or 0) > 0]
    return ["train", *shared]


def _split(info: DatasetInfo | None, stage: str) -> SplitInfo | None:
    return info.splits.get(SPLITS[stage]) if info else None


def _parse_task(stages: list[str], info: DatasetInfo | None, of_training: bool = False) -> dict[str, Any]:
    counts: dict[str, Any] = {f"{stage}_count": 0 if info else None for stage in SPLITS}
    labels: int | None = None
    if info:
        splits = [split for split in (_split(info, stage) for stage in stages) if split]
        counts |= {f"{split.name.removesuffix('_db')}_count": split.entries for split in splits}
        labels = len(info.class_labels) if of_training else sum(count > 0 for count in splits[0].class_counts) if splits else 0
    return {"name": f"Parse Folder ({'/'.join(stages)})", "label_count": labels, **counts}


def _db_task(stage: str, form: Mapping[str, Any], split: SplitInfo | None) -> dict[str, Any]:
    unknown = (None, None, None)
    channels, height, width = (split.meta.feature_shape or unknown) if split else _asked_shape(form)
    encoding = _encoding(form)
    return {
        "name": f"Create DB ({stage})",
        "entries": split.entries if split else None,
        "image_width": width,
        "image_height": height,
        "image_channels": channels,
        "backend": form.get("backend"),
        "encoding": split.meta.feature_encoding if split and encoding == "auto" else encoding,
        "compression": _compression(form),
    }


def _asked_shape(form: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Channels, height and width that a form asks for; None where the sources decide."""
    if form.get("keep_size"):
        return form.get("resize_channels") or None, None, None
    return form.get("resize_channels") or None, form.get("resize_height"), form.get("resize_width")
