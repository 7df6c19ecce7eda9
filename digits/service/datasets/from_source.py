"""Data sets that a data source makes: the generic options beside its own form, creation, JSON, the test with its own form."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from digits.domain.datasets import DatasetSpec
from digits.domain.jobs import Kind, Resources, Task
from digits.errors import DigitsError, FormErrors, NotFound, PluginError
from digits.service import Service
from digits.service.files.confine import allowed_roots, readable_folder
from digits.service.files.form_files import keep_form_files
from digits.service.forms import FormModel, option, parse
from digits.service.jobs import claimed_job_id, create_job, stored_form
from digits.service.plugins import host as plugins
from digits.service.plugins.paths import check_paths
from digits.storage.jobs.store import Job

TYPE_NAME = "Generic Dataset"
ENCODINGS = {"auto": "Automatic", "png": "PNG (lossless)", "jpg": "JPEG (lossy)", "none": "None"}
LABEL_ENCODINGS = {"none": "None", "png": "PNG (lossless)", "jpg": "JPEG (lossy)"}
BACKENDS = {"lmdb": "LMDB"}


class GenericDatasetForm(FormModel):
    """What every data source's form is followed by. Names are those of the original form."""

    dataset_name: str = option(..., "Name", "How you will find it again.", min_length=1, max_length=255)
    group_name: str = option("", "Group", "Jobs of one group are shown together on the home page.", max_length=255)
    dsopts_feature_encoding: str = option(
        "auto",
        "Feature encoding",
        "Automatic: PNG for large pictures of 8 bits, none for all else. PNG and JPEG need 8 bits; JPEG loses detail.",
        choices=ENCODINGS,
    )
    dsopts_label_encoding: str = option(
        "none", "Label encoding", "For labels that are pictures; JPEG would change class numbers.", choices=LABEL_ENCODINGS
    )
    dsopts_batch_size: int = option(32, "Encoder batch size", "Entries handed to a process at once.", ge=1, advanced=True)
    dsopts_num_threads: int = option(4, "Encoder processes", "How many entries are encoded at the same time.", ge=1, le=256)
    dsopts_backend: str = option(
        "lmdb", "Backend", "Echoed for scripts; the store is ours.", choices={"lmdb": "LMDB"}, advanced=True
    )
    dsopts_force_same_shape: int = option(
        1, "Enforce same shape", "Refuse entries of another shape than the first.", choices={"1": "Yes", "0": "No"}
    )


OWN_FIELDS = frozenset(GenericDatasetForm.model_fields) | {"clone", "username", "csrf_token", "job_id"}


@dataclass(frozen=True)
class PluginForm:
    """A plugin's form as the page shows it; `failure` stands in its place when the plugin failed."""

    title: str = ""
    category: str = ""
    html: str = ""
    fields: list[dict[str, Any]] = field(default_factory=list)
    failure: DigitsError | None = None

    @property
    def trace(self) -> str:
        return str(getattr(self.failure, "trace", ""))


def dataset_form(
    service: Service, extension_id: str, values: Mapping[str, Any], mode: str = "new", nonce: str = ""
) -> PluginForm:
    """The plugin's form: `new`, `fill` with a few values, `refill` with stored ones, or `check` with what was posted.

    Raises NotFound only.
    """
    header = {"values": plugin_values(values), "mode": mode, "nonce": nonce}
    try:
        return _as_form(plugins.ask(service, "dataset-form", extension_id, header).header)
    except NotFound:
        raise
    except DigitsError as error:
        return PluginForm(title=extension_id, failure=error)


def create_dataset(service: Service, extension_id: str, values: Mapping[str, Any], owner: str = "") -> Job:
    """Make the job of a data set through a plugin. Raises FormErrors; PluginFailure when the plugin fails.

    `values["clone"]` may name a data set of the same plugin whose stored form stands in for what `values` leaves out.
    """
    values = {**_cloned(service, extension_id, values), **values}
    form, errors = _read(values)
    own = plugin_values(values)
    errors |= check_paths(service, own, lambda: form_fields(service, extension_id, own))
    if errors:
        raise FormErrors(_all_errors(service, extension_id, own, errors))
    assert form is not None
    with claimed_job_id(service) as job_id:
        own = keep_form_files(service, own, service.folder(job_id).path)
        made = _make_instance(service, extension_id, own, job_id)
        return create_job(
            service,
            job_id=job_id,
            kind=Kind.DATASET,
            task=Task(made["task"] or Task.GENERIC),
            type_name=TYPE_NAME,
            name=form.dataset_name,
            group=form.group_name,
            owner=owner,
            form={**own, **form.model_dump()},
            spec=_spec(extension_id, form, made).to_json(),
            resources=Resources("create_db", cpus=_cpus(service, form.dsopts_num_threads)),
            extension=extension_id,
        )


def preview(service: Service, extension_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a posted form would make: `counts`, `class_labels` and their `colours`, `problems`, ten random `samples` (`picture`:
    bytes of a PNG).

    Nothing is kept. Raises FormErrors; PluginFailure with the source's message when it can make no data set of the files.
    """
    own = plugin_values(values)
    if errors := check_paths(service, own, lambda: form_fields(service, extension_id, own)):
        raise FormErrors(errors)
    same_shape = str(values.get("dsopts_force_same_shape", "1")) != "0"
    header = {"values": own, "allowed_roots": _roots(service), "same_shape": same_shape}
    answer = plugins.ask(service, "preview", extension_id, header, timeout=plugins.CREATE_SECONDS)
    found = {name: answer.header[name] for name in ("counts", "class_labels", "colours", "problems", "problem_count", "samples")}
    for number, sample in enumerate(found["samples"]):
        picture = answer.arrays.get(f"{number}/picture")
        sample["picture"] = picture.tobytes() if picture is not None else b""
    return found


def recognise(service: Service, folder: str) -> list[dict[str, Any]]:
    """Proposals for a folder: `extension`, `title`, `reason`, `values` of the form. Raises FormErrors at `folder`."""
    path = readable_folder(service, folder, "folder")
    header = {"folder": str(path), "allowed_roots": _roots(service)}
    return list(plugins.ask(service, "recognise", "folder", header).header["proposals"])


def plugin_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a posted form that is the plugin's."""
    return {name: value for name, value in values.items() if name not in OWN_FIELDS}


def inference_form(service: Service, dataset: Job, values: Mapping[str, Any] | None, nonce: str = "") -> PluginForm | None:
    """The form with which the data set's plugin tests a model itself; None where it has none."""
    if not service.folder(dataset.id).userdata_file.is_file() or dataset.extension == "":
        return None
    header = {"job_id": dataset.id, "values": dict(values or {}), "mode": "refill" if values else "new", "nonce": nonce}
    try:
        found = _as_form(plugins.ask(service, "inference-form", dataset.extension, header).header)
    except DigitsError as error:
        return PluginForm(title=dataset.extension, failure=error)
    return found if found.html else None


@dataclass(frozen=True)
class EncodedEntries:
    """What a plugin gives to test a model with: keys, features (C, H, W), labels (or None), and what could not be encoded."""

    keys: list[str]
    features: list[Any]
    labels: list[Any]
    skipped: list[dict[str, str]]


def inference_entries(service: Service, dataset: Job, values: Mapping[str, Any]) -> EncodedEntries:
    """What a posted inference form asks to be tested, encoded by the plugin.

    Raises FormErrors for a form that does not validate and PluginFailure for a plugin that fails.
    """
    header = {"job_id": dataset.id, "values": dict(values), "allowed_roots": _roots(service)}
    if errors := check_paths(service, values, lambda: _inference_fields(service, dataset, header)):
        raise FormErrors(errors)
    from digits.storage.records import boxes as box_arrays

    answer = plugins.ask(service, "inference-entries", dataset.extension, header, timeout=plugins.ENCODE_SECONDS)
    keys = list(answer.header["keys"])
    features = [answer.arrays[f"{i}/feature"] for i in range(len(keys))]
    labels = [box_arrays.take(answer.arrays, f"{i}/label") for i in range(len(keys))]
    return EncodedEntries(keys, features, labels, list(answer.header["skipped"]))


def form_fields(service: Service, extension_id: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of a data set's form as `digits.plugin_host.binding.describe` gives them. Raises PluginFailure."""
    header = {"values": dict(values), "mode": "refill"}
    return list(plugins.ask(service, "dataset-form", extension_id, header).header["fields"])


def _inference_fields(service: Service, dataset: Job, header: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(plugins.ask(service, "inference-form", dataset.extension, {**header, "mode": "refill"}).header["fields"])


def _as_form(header: Mapping[str, Any]) -> PluginForm:
    return PluginForm(header["title"], header.get("category", ""), header["html"], header["fields"])


def _read(values: Mapping[str, Any]) -> tuple[GenericDatasetForm | None, dict[str, list[str]]]:
    try:
        return parse(GenericDatasetForm, values), {}
    except FormErrors as error:
        return None, dict(error.errors)


def _all_errors(
    service: Service, extension_id: str, own: Mapping[str, Any], errors: dict[str, list[str]]
) -> dict[str, list[str]]:
    """Messages of the plugin's own form beside ours, so that a person sees all of them at once."""
    header = {"values": dict(own), "mode": "check"}
    try:
        found = plugins.ask(service, "dataset-form", extension_id, header).header["errors"]
    except PluginError:
        return errors
    return {**found, **errors}


def _make_instance(service: Service, extension_id: str, own: Mapping[str, Any], job_id: str) -> dict[str, Any]:
    header = {"values": dict(own), "job_id": job_id, "allowed_roots": _roots(service)}
    return plugins.ask(service, "create", extension_id, header, timeout=plugins.CREATE_SECONDS).header


def _cloned(service: Service, extension_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
    source = values.get("clone")
    if not source:
        return {}
    job = service.store.find(str(source))
    if job is None or job.kind != Kind.DATASET or job.extension != extension_id:
        raise FormErrors({"clone": [f"{source!r} is not a data set of the plugin {extension_id} that could be cloned."]})
    return stored_form(service, job)


def _spec(extension_id: str, form: GenericDatasetForm, made: Mapping[str, Any]) -> DatasetSpec:
    return DatasetSpec(
        extension=extension_id,
        entry_point=str(made.get("entry_point", "")),
        task=str(made["task"] or Task.GENERIC),
        extension_data=dict(made["values"]),
        feature_encoding=form.dsopts_feature_encoding,
        label_encoding=form.dsopts_label_encoding,
        batch_size=form.dsopts_batch_size,
        num_threads=form.dsopts_num_threads,
        force_same_shape=bool(form.dsopts_force_same_shape),
        backend=form.dsopts_backend,
    )


def _roots(service: Service) -> list[str]:
    return [str(root) for root in allowed_roots(service)]


def _cpus(service: Service, wanted: int) -> int:
    return max(1, min(wanted, service.settings.cpu_slots or os.cpu_count() or 1))
