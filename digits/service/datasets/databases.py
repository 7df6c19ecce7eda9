"""Data sets out of databases that exist already ("Other", R 2.2): the form and the way from it to a job."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digits.domain.datasets import DatasetSpec
from digits.domain.jobs import Resources
from digits.errors import FormErrors
from digits.extensions.data.source import ROOTS
from digits.service import Service
from digits.service.datasets.source import (
    LEFT_OUT_HELP,
    LEFT_OUT_TITLE,
    Errors,
    FormPage,
    Made,
    Source,
    max_left_out,
    roots,
    unknown_task,
)
from digits.service.files.confine import confinement, readable_file, readable_folder
from digits.service.forms import BoundForm, FormModel, option, parse
from digits.storage.folders import JobFolder
from digits.storage.jobs.store import Job

TITLE = "New Image Dataset"
LEAD = (
    "Databases that exist already become a data set and stay where they are: LMDBs of Datum records, or the records of "
    "another data set here (its train_db and val_db), for example to train an auto-encoder on the pictures of classes."
)
EXTENSION = "prebuilt"
FOLDERS = ("prebuilt_train_images", "prebuilt_train_labels", "prebuilt_val_images", "prebuilt_val_labels")
_DB = "A folder with an LMDB of Datum records (it holds data.mdb), or a split of a data set here (…/train_db)."
_LABELS = "A database of labels under the same keys. Blank: the number inside each record of the pictures."


class PrebuiltForm(FormModel):
    """Names are those of the original form."""

    dataset_name: str = option(..., "Name", "How you will find it again.", min_length=1, max_length=255)
    group_name: str = option("", "Group", "Jobs of one group are shown together on the home page.", max_length=255)
    method: str = option("prebuilt", "Source", choices={"prebuilt": "Prebuilt"}, widget="hidden")
    prebuilt_train_images: str = option(..., "Training pictures", _DB, widget="path", min_length=1)
    prebuilt_train_labels: str = option("", "Training labels", _LABELS, widget="path")
    prebuilt_val_images: str = option("", "Validation pictures", _DB, widget="path")
    prebuilt_val_labels: str = option("", "Validation labels", _LABELS, widget="path")
    prebuilt_mean_file: str = option("", "Mean file", "A .binaryproto; blank: computed.", widget="path")
    prebuilt_ignore_labels: bool = option(
        False,
        "Leave labels out",
        "A network then learns to give back the picture itself, as auto-encoders do; numbers inside the records do not count.",
    )
    force_same_shape: int = option(
        1, "Enforce same shape", "Leave out records of another shape than most.", choices={"1": "Yes", "0": "No"}
    )
    max_left_out: int | None = option(None, LEFT_OUT_TITLE, LEFT_OUT_HELP, ge=0, le=100, advanced=True)


class DatabaseSource(Source):
    """LMDBs of Datum records, or the records of other data sets; they stay where they are."""

    name = "databases"
    type_name = "Generic Image Dataset"
    model = PrebuiltForm
    clone_words = "a data set out of prebuilt databases"

    def made(self, job: Job) -> bool:
        return job.extension == EXTENSION

    def check(self, service: Service, values: Mapping[str, Any]) -> PrebuiltForm:
        form = parse(PrebuiltForm, values)
        _paths(service, form)
        return form

    def freeze(self, service: Service, form: Any, values: Mapping[str, Any], folder: JobFolder) -> Made:
        return Made(self._spec(service, form), form.model_dump(), Resources("analyze_db"))

    def page(self, service: Service, values: Mapping[str, Any], errors: Errors, mode: str, nonce: str) -> FormPage:
        return FormPage(TITLE, LEAD, BoundForm(self.model, values, errors))

    def look(self, service: Service, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        form = self.check(service, {**values, "dataset_name": "?"})
        spec = self._spec(service, form)
        header = {"values": spec.extension_data, "allowed_roots": roots(service), "checked": True}
        return EXTENSION, {**header, "same_shape": spec.force_same_shape}

    def _spec(self, service: Service, form: PrebuiltForm) -> DatasetSpec:
        return DatasetSpec(
            extension=EXTENSION,
            task=unknown_task(),
            extension_data={**_paths(service, form), "ignore_labels": form.prebuilt_ignore_labels, ROOTS: roots(service)},
            feature_encoding="none",
            force_same_shape=bool(form.force_same_shape),
            max_left_out=max_left_out(service, form.max_left_out),
        )


SOURCE = DatabaseSource()


def _paths(service: Service, form: PrebuiltForm) -> dict[str, str]:
    """The databases and the mean file by their short names, resolved. Raises FormErrors with all messages at once."""
    errors: dict[str, list[str]] = {}
    paths: dict[str, str] = {}
    for name in (*FOLDERS, "prebuilt_mean_file"):
        text = getattr(form, name)
        try:
            if name == "prebuilt_mean_file":
                found = str(readable_file(service, text, name)) if text else ""
            else:
                found = str(_database(service, text, name)) if text else ""
            paths[name.removeprefix("prebuilt_")] = found
        except FormErrors as error:
            errors |= error.errors
    if form.prebuilt_val_labels and not form.prebuilt_val_images:
        errors["prebuilt_val_images"] = ["Validation labels need validation pictures."]
    if errors:
        raise FormErrors(errors)
    return paths


def _database(service: Service, text: str, name: str) -> Path:
    if Path(text).name == "features" and not Path(text).exists():
        text = str(Path(text).parent)
    path = readable_folder(service, text, name)
    for file in ("data.mdb", "records.json"):
        if refusal := confinement(service).refusal(path / file):
            raise FormErrors({name: [refusal]})
    if not (path / "data.mdb").is_file() and not (path / "records.json").is_file():
        raise FormErrors({name: [f"{path} holds neither an LMDB (data.mdb) nor records (records.json)."]})
    return path
