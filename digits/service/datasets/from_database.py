"""Data sets out of databases that exist already ("Other"): the form and the creation. The databases stay where they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digits.domain.datasets import DatasetSpec
from digits.domain.jobs import Kind, Resources, Task
from digits.errors import FormErrors
from digits.service import Service
from digits.service.files.confine import readable_file, readable_folder
from digits.service.forms import FormModel, option, parse
from digits.service.jobs import create_job, stored_form
from digits.storage.jobs.store import Job

TYPE_NAME = "Generic Image Dataset"
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
        1, "Enforce same shape", "Refuse records of another shape than the first.", choices={"1": "Yes", "0": "No"}
    )


def create_dataset(service: Service, values: Mapping[str, Any], owner: str = "") -> Job:
    """Make the job. Raises FormErrors. `values["clone"]` may name a data set of the same sort."""
    form = parse(PrebuiltForm, {**_cloned(service, values), **values})
    paths = _paths(service, form)
    return create_job(
        service,
        kind=Kind.DATASET,
        task=Task.GENERIC,
        type_name=TYPE_NAME,
        name=form.dataset_name,
        group=form.group_name,
        owner=owner,
        form=form.model_dump(),
        spec=DatasetSpec(
            extension=EXTENSION,
            task=str(Task.GENERIC),
            extension_data={**paths, "ignore_labels": form.prebuilt_ignore_labels},
            feature_encoding="none",
            force_same_shape=bool(form.force_same_shape),
        ).to_json(),
        resources=Resources("analyze_db"),
        extension=EXTENSION,
    )


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
    if not (path / "data.mdb").is_file() and not (path / "records.json").is_file():
        raise FormErrors({name: [f"{path} holds neither an LMDB (data.mdb) nor records (records.json)."]})
    return path


def _cloned(service: Service, values: Mapping[str, Any]) -> dict[str, Any]:
    source = values.get("clone")
    if not source:
        return {}
    job = service.store.find(str(source))
    if job is None or job.kind != Kind.DATASET or job.extension != EXTENSION:
        raise FormErrors({"clone": [f"{source!r} is not a data set out of prebuilt databases that could be cloned."]})
    return stored_form(service, job)
