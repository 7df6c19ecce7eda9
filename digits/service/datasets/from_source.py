"""Data sets of data plugins, built in or installed: our fields beside the plugin's own form, and its form to test models with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits.domain.datasets import DatasetSpec
from digits.domain.jobs import Resources
from digits.errors import DigitsError, FormErrors, NotFound, PluginError
from digits.service import Service
from digits.service.datasets.source import (
    LEFT_OUT_HELP,
    LEFT_OUT_TITLE,
    Errors,
    FormPage,
    Made,
    PluginForm,
    Source,
    max_left_out,
    roots,
    unknown_task,
)
from digits.service.files.confine import is_file, readable_file, readable_folder
from digits.service.files.form_files import keep_form_files
from digits.service.files.unpack import TAR, ZIP
from digits.service.forms import BoundForm, FormModel, option, parse
from digits.service.plugins import host as plugins
from digits.service.plugins.paths import check_paths
from digits.storage.folders import JobFolder
from digits.storage.jobs.store import Job
from digits.utils.cores import usable_cores

ENCODINGS = {"auto": "Automatic", "png": "PNG (lossless)", "jpg": "JPEG (lossy)", "none": "None"}
LABEL_ENCODINGS = {"none": "None", "png": "PNG (lossless)", "jpg": "JPEG (lossy)"}
BACKENDS = {"lmdb": "LMDB"}


class RecordsForm(FormModel):
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
        1, "Enforce same shape", "Leave out entries of another shape than most.", choices={"1": "Yes", "0": "No"}
    )
    dsopts_max_left_out: int | None = option(None, LEFT_OUT_TITLE, LEFT_OUT_HELP, ge=0, le=100, advanced=True)


OWN_FIELDS = frozenset(RecordsForm.model_fields) | {"clone", "username", "csrf_token", "job_id"}


class PluginSource(Source):
    """A data extension, built in or installed, whose own form stands above ours; its code runs in the plugin host."""

    name = "plugin"
    type_name = "Generic Dataset"
    model = RecordsForm

    def __init__(self, extension_id: str) -> None:
        self.extension_id = extension_id
        self.clone_words = f"a data set of the plugin {extension_id}"

    def made(self, job: Job) -> bool:
        return job.extension == self.extension_id

    def check(self, service: Service, values: Mapping[str, Any]) -> RecordsForm:
        """What is wrong with the plugin's own fields is reported as soon as ours are right, or beside what is wrong with them."""
        own = plugin_values(values)
        errors = self._outside(service, own)
        try:
            form = parse(RecordsForm, values)
        except FormErrors as error:
            errors |= error.errors
        if errors:
            raise FormErrors({**self._own_errors(service, own), **errors})
        return form

    def freeze(self, service: Service, form: Any, values: Mapping[str, Any], folder: JobFolder) -> Made:
        own = keep_form_files(service, plugin_values(values), folder.path)
        header = {"values": dict(own), "job_id": folder.id, "allowed_roots": roots(service)}
        made = plugins.request(service, "create", self.extension_id, header, timeout=service.settings.request_seconds).header
        spec = DatasetSpec(
            extension=self.extension_id,
            entry_point=str(made.get("entry_point", "")),
            distribution=str(made.get("distribution", "")),
            task=str(made["task"] or unknown_task()),
            extension_data=dict(made["values"]),
            feature_encoding=form.dsopts_feature_encoding,
            label_encoding=form.dsopts_label_encoding,
            batch_size=form.dsopts_batch_size,
            num_threads=form.dsopts_num_threads,
            force_same_shape=bool(form.dsopts_force_same_shape),
            max_left_out=max_left_out(service, form.dsopts_max_left_out),
            backend=form.dsopts_backend,
        )
        cpus = max(1, min(form.dsopts_num_threads, service.settings.cpu_slots or usable_cores()))
        return Made(spec, {**own, **form.model_dump()}, Resources("create_db", cpus=cpus))

    def page(self, service: Service, values: Mapping[str, Any], errors: Errors, mode: str, nonce: str) -> FormPage:
        """Raises NotFound for an unknown plugin; one that fails is reported on the page."""
        header = {"values": plugin_values(values), "mode": mode, "nonce": nonce}
        try:
            shown = _as_form(plugins.request(service, "dataset-form", self.extension_id, header).header)
        except NotFound:
            raise
        except DigitsError as error:
            shown = PluginForm(title=self.extension_id, failure=error)
        lead = f"{shown.category} · made by the data plugin {self.extension_id}." if shown.category else ""
        return FormPage(f"New {shown.title} Dataset", lead, BoundForm(RecordsForm, values, errors), shown)

    def look(self, service: Service, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        own = plugin_values(values)
        if errors := self._outside(service, own):
            raise FormErrors(errors)
        same_shape = str(values.get("dsopts_force_same_shape", "1")) != "0"
        return self.extension_id, {"values": own, "allowed_roots": roots(service), "same_shape": same_shape}

    def _outside(self, service: Service, own: Mapping[str, Any]) -> dict[str, list[str]]:
        """Messages for paths that lead outside the folders that may be read."""
        return check_paths(service, own, lambda: form_fields(service, self.extension_id, own))

    def _own_errors(self, service: Service, own: Mapping[str, Any]) -> dict[str, list[str]]:
        """Messages of the plugin's own form, so that a person sees all of them at once."""
        header = {"values": dict(own), "mode": "check"}
        try:
            return dict(plugins.request(service, "dataset-form", self.extension_id, header).header["errors"])
        except PluginError:
            return {}


def recognise(service: Service, folder: str) -> dict[str, Any]:
    """`proposals` for a folder (`extension`, `title`, `reason`, `values` of the form) and `remarks`, sentences about what else
    lies in it. Of a file the folder in which it lies is looked at. Raises FormErrors at `folder`."""
    remarks: list[str] = []
    if is_file(service, folder):
        file = readable_file(service, folder, "folder")
        if file.name.lower().endswith(ZIP + TAR):
            words = f"{file} is an archive. Unpack it there, or upload it: what is uploaded gets unpacked."
            raise FormErrors({"folder": [words]})
        remarks = [f"{file.name} is a file: the folder in which it lies was looked at."]
        folder = str(file.parent)
    path = readable_folder(service, folder, "folder")
    header = {"folder": str(path), "allowed_roots": roots(service)}
    found = plugins.request(service, "recognise", "folder", header).header
    return {"proposals": list(found["proposals"]), "remarks": [*remarks, *found["remarks"]]}


def plugin_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a posted form that is the plugin's."""
    return {name: value for name, value in values.items() if name not in OWN_FIELDS}


def inference_form(
    service: Service, dataset: Job, values: Mapping[str, Any] | None, nonce: str = "", extension_id: str = ""
) -> PluginForm | None:
    """The form with which a plugin tests models of a data set itself; None where it has none. It is the plugin that made the data
    set unless another is named. Raises NotFound for another that there is not."""
    own = not extension_id or extension_id == dataset.extension
    if own and (dataset.extension == "" or not service.folder(dataset.id).userdata_file.is_file()):
        return None
    header = {**_tested(dataset), "values": dict(values or {}), "mode": "refill" if values else "new", "nonce": nonce}
    name = extension_id or dataset.extension
    try:
        found = _as_form(plugins.request(service, "inference-form", name, header).header)
    except DigitsError as error:
        if isinstance(error, NotFound) and not own:
            raise
        return PluginForm(title=name, failure=error)
    return found if found.html else None


def _tested(dataset: Job) -> dict[str, str]:
    """What the host is told of the data set whose model is tested."""
    return {"job_id": dataset.id, "made_by": dataset.extension}


@dataclass(frozen=True)
class EncodedEntries:
    """What a plugin gives to test a model with: keys, features (C, H, W), labels (or None), what could not be encoded, and what
    the plugin notes on each that could (mostly empty)."""

    keys: list[str]
    features: list[Any]
    labels: list[Any]
    skipped: list[dict[str, str]]
    notes: list[str]


def inference_entries(
    service: Service, dataset: Job, values: Mapping[str, Any], scratch: Path | None = None, extension_id: str = ""
) -> EncodedEntries:
    """What a posted inference form selects for testing, encoded by its plugin: that of the data set unless another is named.

    Large arrays are files of the folder `scratch`, where one is given. Raises FormErrors for a form that does not validate, or
    input that the plugin refuses, and PluginFailure for a plugin that fails.
    """
    name = extension_id or dataset.extension
    header = {**_tested(dataset), "values": dict(values), "allowed_roots": roots(service)}
    if errors := check_paths(service, values, lambda: _inference_fields(service, name, header)):
        raise FormErrors(errors)
    from digits.storage.records import boxes as box_arrays

    requested = {**header, "scratch": str(scratch or "")}
    answer = plugins.request(service, "inference-entries", name, requested, timeout=service.settings.request_seconds)
    keys = list(answer.header["keys"])
    features = [answer.arrays[f"{i}/feature"] for i in range(len(keys))]
    labels = [box_arrays.take(answer.arrays, f"{i}/label") for i in range(len(keys))]
    return EncodedEntries(keys, features, labels, list(answer.header["skipped"]), list(answer.header["notes"]))


def form_fields(service: Service, extension_id: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of a data set's form as `digits.plugin_host.binding.describe` gives them. Raises PluginFailure."""
    header = {"values": dict(values), "mode": "refill"}
    return list(plugins.request(service, "dataset-form", extension_id, header).header["fields"])


def _inference_fields(service: Service, extension_id: str, header: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(plugins.request(service, "inference-form", extension_id, {**header, "mode": "refill"}).header["fields"])


def _as_form(header: Mapping[str, Any]) -> PluginForm:
    return PluginForm(header["title"], header.get("category", ""), header["html"], header["fields"])
