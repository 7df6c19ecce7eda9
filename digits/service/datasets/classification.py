"""Image classification data sets: the form with its fields, defaults and meanings, and the way from it to a job (R 2.1)."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import field_validator

from digits import tasks
from digits.domain.datasets import PNG_OR_NONE, DatasetSpec
from digits.domain.jobs import Resources
from digits.errors import DataError, FormErrors
from digits.extensions.data.files.class_names import read_labels
from digits.extensions.data.files.tables import is_table_file
from digits.service import Service
from digits.service.datasets import folder_checks
from digits.service.datasets.contents import CLASSIFICATION, compression, feature_encoding, is_classification
from digits.service.datasets.source import (
    LEFT_OUT_HELP,
    LEFT_OUT_TITLE,
    Errors,
    FormPage,
    Made,
    Source,
    create_dataset,
    max_left_out,
    roots,
)
from digits.service.files.confine import confine, confinement, readable_file, readable_folder
from digits.service.forms import BoundForm, FormModel, extra_of, option, parse
from digits.service.jobs import stored_form
from digits.storage.folders import JobFolder
from digits.storage.jobs.store import Job
from digits.utils.constants import RESIZE_MODE_TITLES
from digits.utils.cores import usable_cores
from digits.utils.values import counted

TITLE = "New Image Classification Dataset"
METHODS = {"folder": "Folder", "textfile": "Text files"}
CHANNELS = {"3": "Colour", "1": "Grayscale", "0": "As in the source"}
ENCODINGS = {
    "auto": "Automatic",
    "none": "None",
    "png": "PNG (lossless)",
    PNG_OR_NONE: "PNG where it holds the values",
    "jpg": "JPEG (lossy, quality 90)",
}
BACKENDS = {"lmdb": "LMDB", "hdf5": "HDF5", "tfrecords": "TFRecords"}
COMPRESSIONS = {"none": "None", "gzip": "GZIP"}
MAX_SIDE = 16384
Found = dict[str, list[str]]  # messages by field
STAGES = ("train", "val", "test")
UPLOADED = "uploaded:"  # marks, in a stored form, a text file that was copied into the job's folder
UPLOAD_FIELDS = ("textfile_train_images", "textfile_val_images", "textfile_test_images", "textfile_labels_file")
NOT_FOR_INGEST = ("dataset_name", "group_name", "encoding", "max_left_out", "backend", "compression")
LEAD = "Pictures that each belong to one class become a data set: resized, split into training, validation and test, and checked."

_PCT = "Taken from each class, so that every split has the same mix of classes."
_MIN = "A class with fewer pictures is left out, with a warning."
_MAX = "Blank: no limit. Otherwise so many are drawn at random from each class."
_SAME_LAYOUT = "Laid out like the training folder; sub-folders that it does not have there are ignored."
_LIST = (
    "One picture a line: its path, a space, the number of its class (0, 1, …); or a table (CSV) of pictures and classes, such as "
    "id,label, with names for the classes if you like."
)
_LIST_PCT = "Taken from each class of the training list, for lack of a list."
_LABELS = "One class name a line; the first line is class 0. A table of names needs none."
_COLUMN = "Of a table: the name of the column. Blank: seen from the table."
_BASE = "Folder that relative paths in the list start from."


class ClassificationDatasetForm(FormModel):
    """Every setting of an image classification data set. Names are those of the original form."""

    dataset_name: str = option(..., "Name", "How you will find it again.", min_length=1, max_length=255)
    group_name: str = option("", "Group", "Jobs of one group are shown together on the home page.", max_length=255)
    method: str = option("folder", "Source", choices=METHODS, widget="hidden")

    resize_channels: int = option(3, "Colour", "How many channels each picture gets.", choices=CHANNELS)
    resize_width: int = option(256, "Width", "In pixels.", ge=1, le=MAX_SIDE)
    resize_height: int = option(256, "Height", "In pixels.", ge=1, le=MAX_SIDE)
    resize_mode: str = option(
        "squash",
        "Resize mode",
        "Squash changes the aspect ratio; crop keeps it and cuts the edges; fill keeps it and pads with noise.",
        choices=RESIZE_MODE_TITLES,
    )
    keep_size: bool = option(
        False,
        "Keep original size",
        "Store pictures as they are, for training with random crops. Width, height and resize mode are then not used.",
        advanced=True,
    )
    min_side: int | None = option(
        None,
        "Smallest side",
        "Pictures whose shorter side has fewer pixels are skipped and listed. Blank: no limit.",
        ge=1,
        le=MAX_SIDE,
        advanced=True,
    )

    folder_train: str = option("", "Training pictures", "A folder on the server with one sub-folder per class.", widget="path")
    folder_pct_val: float = option(25, "For validation (%)", _PCT, ge=0, le=100)
    folder_pct_test: float = option(0, "For testing (%)", _PCT, ge=0, le=100)
    folder_train_min_per_class: int = option(2, "Fewest pictures per class", _MIN, ge=1, advanced=True)
    folder_train_max_per_class: int | None = option(None, "Most pictures per class", _MAX, ge=1, advanced=True)
    has_val_folder: bool = option(False, "Separate validation folder", "Used instead of the percentage above.")
    folder_val: str = option("", "Validation pictures", _SAME_LAYOUT, widget="path")
    folder_val_min_per_class: int = option(2, "Fewest pictures per class", _MIN, ge=1)
    folder_val_max_per_class: int | None = option(None, "Most pictures per class", _MAX, ge=1)
    has_test_folder: bool = option(False, "Separate test folder", "Used instead of the percentage above.")
    folder_test: str = option("", "Test pictures", _SAME_LAYOUT, widget="path")
    folder_test_min_per_class: int = option(2, "Fewest pictures per class", _MIN, ge=1)
    folder_test_max_per_class: int | None = option(None, "Most pictures per class", _MAX, ge=1)
    group_pattern: str = option(
        "",
        "Keep together",
        r"A regular expression on the path below the class folder, e.g. patient(\d+): pictures for which the bracket "
        "(or, without one, the whole match) finds the same text go into the same split.",
        max_length=500,
        advanced=True,
    )
    seed: int = option(0, "Seed", "The same seed gives the same split and order.", ge=0, le=2**31 - 1, advanced=True)

    textfile_use_local_files: bool = option(False, "The lists are on the server", "Otherwise they are uploaded from here.")
    textfile_train_images: str = option("", "Training list", _LIST, widget="upload")
    textfile_local_train_images: str = option("", "Training list", _LIST, widget="path")
    textfile_train_folder: str = option("", "Training folder", _BASE, widget="path")
    textfile_use_val: bool = option(True, "Validation list")
    textfile_val_images: str = option("", "Validation list", _LIST, widget="upload")
    textfile_local_val_images: str = option("", "Validation list", _LIST, widget="path")
    textfile_val_folder: str = option("", "Validation folder", _BASE, widget="path")
    textfile_use_test: bool = option(False, "Test list")
    textfile_test_images: str = option("", "Test list", _LIST, widget="upload")
    textfile_local_test_images: str = option("", "Test list", _LIST, widget="path")
    textfile_test_folder: str = option("", "Test folder", _BASE, widget="path")
    textfile_shuffle: bool = option(True, "Shuffle", "Mix the order of each list.")
    textfile_labels_file: str = option("", "Labels", _LABELS, widget="upload")
    textfile_local_labels_file: str = option("", "Labels", _LABELS, widget="path")
    textfile_pct_val: float = option(0, "For validation (%)", _LIST_PCT, ge=0, le=100)
    textfile_pct_test: float = option(0, "For testing (%)", _LIST_PCT, ge=0, le=100)
    textfile_image_column: str = option("", "Column of the picture", _COLUMN, advanced=True)
    textfile_class_column: str = option("", "Column of the class", _COLUMN, advanced=True)

    encoding: str = option(
        "auto",
        "Image encoding",
        "Automatic keeps small pictures and all wider than 8 bits unencoded, and large ones as PNG; nothing is lost. A script "
        "that leaves it out gets PNG.",
        choices=ENCODINGS,
        advanced=True,
    )
    max_left_out: int | None = option(None, LEFT_OUT_TITLE, LEFT_OUT_HELP, ge=0, le=100, advanced=True)
    backend: str = option("lmdb", "Backend", "Kept for scripts; records are always Arrow files.", choices=BACKENDS, advanced=True)
    compression: str = option(
        "none", "Compression", "Kept for scripts; records are always Arrow files.", choices=COMPRESSIONS, advanced=True
    )

    @field_validator("group_pattern")
    @classmethod
    def _is_pattern(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}.") from error
        return value

    def list_field(self, name: str) -> str:
        """The field that holds a text file: `train_images` is uploaded (`textfile_…`) or on the server (`textfile_local_…`)."""
        return f"textfile_local_{name}" if self.textfile_use_local_files else f"textfile_{name}"

    def list_stages(self) -> tuple[str, ...]:
        """The splits that have a text file."""
        return ("train", *(stage for stage in STAGES[1:] if getattr(self, f"textfile_use_{stage}")))

    def folder_stages(self) -> tuple[str, ...]:
        """The splits that have a folder of their own."""
        return ("train", *(stage for stage in STAGES[1:] if getattr(self, f"has_{stage}_folder")))

    def percentages(self) -> dict[str, float]:
        """Share of the training folder or list that goes to `val` and `test`; 0 where that split has its own."""
        if self.method == "textfile":
            return {
                "val": 0.0 if self.textfile_use_val else self.textfile_pct_val,
                "test": 0.0 if self.textfile_use_test else self.textfile_pct_test,
            }
        return {
            "val": 0.0 if self.has_val_folder else self.folder_pct_val,
            "test": 0.0 if self.has_test_folder else self.folder_pct_test,
        }

    @classmethod
    def file_fields(cls) -> tuple[str, ...]:
        """All fields that name a file or folder on the server, uploaded ones among them."""
        return tuple(name for name, info in cls.model_fields.items() if extra_of(info).get("widget") in ("path", "upload"))

    def path_fields(self) -> frozenset[str]:
        """The file fields that count, given the other choices."""
        if self.method == "folder":
            return frozenset(f"folder_{stage}" for stage in self.folder_stages())
        stages = self.list_stages()
        lists = [self.list_field(f"{stage}_images") for stage in stages]
        return frozenset([self.list_field("labels_file"), *lists, *(f"textfile_{stage}_folder" for stage in stages)])


def read(values: Mapping[str, Any]) -> tuple[ClassificationDatasetForm, dict[str, list[str]]]:
    """The form with the fields that could be understood, and messages for those that could not.

    Fields that are wrong keep their defaults, so that the caller can check the others and report everything at once.
    """
    if str(values.get("method", "")) == "s3":
        values, errors = {**values, "method": "folder"}, {"method": [_S3]}
    else:
        errors = {}
    try:
        return parse(ClassificationDatasetForm, values), errors
    except FormErrors as error:
        errors = {**error.errors, **errors}
    kept = {name: value for name, value in values.items() if name not in errors}
    return parse(ClassificationDatasetForm, {"dataset_name": "?", **kept}), errors


def check(service: Service, form: ClassificationDatasetForm) -> Found:
    """Everything wrong with a form that its single fields do not show: paths, and rules between fields."""
    return _check_folders(service, form) if form.method == "folder" else _check_lists(service, form)


def _check_folders(service: Service, form: ClassificationDatasetForm) -> Found:
    errors = _check_percentages(form)
    for stage in form.folder_stages():
        low, high = getattr(form, f"folder_{stage}_min_per_class"), getattr(form, f"folder_{stage}_max_per_class")
        if high is not None and high < low:
            errors[f"folder_{stage}_max_per_class"] = [f"{high} is less than the fewest pictures per class ({low})."]
        if messages := folder_checks.check_folder(service, f"folder_{stage}", getattr(form, f"folder_{stage}"), low):
            errors[f"folder_{stage}"] = messages
    return errors


def _check_percentages(form: ClassificationDatasetForm) -> Found:
    shares = form.percentages()
    total = sum(shares.values())
    if total < 100:
        return {}
    field_name = f"{form.method}_pct_{'val' if shares['val'] else 'test'}"
    return {field_name: [f"Validation and test take {total:g} %, which leaves nothing to train on. Stay below 100 %."]}


def _check_lists(service: Service, form: ClassificationDatasetForm) -> Found:
    errors = _check_percentages(form)
    labels = _check_labels(service, form, errors)
    for stage in form.list_stages():
        list_name, folder_name = form.list_field(f"{stage}_images"), f"textfile_{stage}_folder"
        try:
            path = _list_file(service, form, list_name)
            if messages := folder_checks.check_lines(path, labels):
                errors[list_name] = messages
        except FormErrors as error:
            errors.update(error.errors)
        except DataError as error:
            errors[list_name] = [str(error)]
        if base := getattr(form, folder_name):
            try:
                readable_folder(service, base, folder_name)
            except FormErrors as error:
                errors.update(error.errors)
    return errors


def _check_labels(service: Service, form: ClassificationDatasetForm, errors: Found) -> int | None:
    """Number of classes in the labels file, None (and a message in `errors`) when it cannot be used."""
    name = form.list_field("labels_file")
    if not getattr(form, name) and _is_table(service, form):
        return None
    try:
        path = _list_file(service, form, name)
        count = len(read_labels(path))
    except FormErrors as error:
        errors.update(error.errors)
        return None
    except DataError as error:
        errors[name] = [str(error)]
        return None
    if count < 2:
        errors[name] = [f"{path.name} names {counted(count, 'class', 'classes')}; at least two are needed, one a line."]
        return None
    return count


def _is_table(service: Service, form: ClassificationDatasetForm) -> bool:
    """Whether the training list is a table, which may name the classes itself."""
    try:
        return is_table_file(_list_file(service, form, form.list_field("train_images")))
    except (FormErrors, DataError):  # which are said where the list is checked
        return False


def _list_file(service: Service, form: ClassificationDatasetForm, name: str) -> Path:
    text = getattr(form, name)
    if not text:
        raise FormErrors({name: ["This field is required."]})
    return readable_file(service, text, name)


class ClassificationFormSource(Source):
    """Folders of pictures, or lists of them."""

    name = "classification"
    type_name = tasks.CLASSIFICATION.dataset_type
    model = ClassificationDatasetForm
    clone_words = "an image classification data set"

    def made(self, job: Job) -> bool:
        return is_classification(job)

    def check(self, service: Service, values: Mapping[str, Any]) -> ClassificationDatasetForm:
        form, errors = read(values)
        if errors := {**check(service, form), **errors}:
            raise FormErrors(errors)
        return form

    def freeze(self, service: Service, form: Any, values: Mapping[str, Any], folder: JobFolder) -> Made:
        stored, uploads = _keep_uploads(service, form, folder)
        size = {} if form.keep_size else {"width": form.resize_width, "height": form.resize_height}
        spec = DatasetSpec(
            extension=CLASSIFICATION[form.method],
            task=tasks.CLASSIFICATION.name,
            extension_data={**_ingest_values(service, form), **uploads},
            feature_encoding=feature_encoding(form.model_dump()),
            force_same_shape=not form.keep_size,
            max_left_out=max_left_out(service, form.max_left_out),
            backend=form.backend,
            compression=compression(form.model_dump()),
        )
        summary = {"channels": form.resize_channels or None, "backend": form.backend, **size}
        return Made(spec, stored, Resources("create_db", cpus=_cpus(service)), summary)

    def page(self, service: Service, values: Mapping[str, Any], errors: Errors, mode: str, nonce: str) -> FormPage:
        names = list(self.model.model_fields)
        ordered = dict(sorted(errors.items(), key=lambda item: names.index(item[0]) if item[0] in names else -1))
        return FormPage(TITLE, LEAD, BoundForm(self.model, values, ordered))

    def look(self, service: Service, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        form = self.check(service, {"dataset_name": "?", **{name: value for name, value in values.items() if value}})
        own = _ingest_values(service, form)
        header = {"values": own, "allowed_roots": roots(service), "checked": True, "same_shape": not form.keep_size}
        return CLASSIFICATION[form.method], header

    def stored(self, service: Service, job: Job) -> dict[str, Any]:
        """Uploaded files are named by their place in the job's folder."""
        values = stored_form(service, job)
        for name in UPLOAD_FIELDS:
            text = str(values.get(name) or "")
            if text.startswith(UPLOADED):
                values[name] = str(service.folder(job.id).path / text.removeprefix(UPLOADED))
        return values


SOURCE = ClassificationFormSource()


def of_script(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a script means by a form that leaves the encoding out: PNG (R 2.0), which the original's 8 bits always fitted."""
    return dict(values) if str(values.get("encoding") or "").strip() else {**values, "encoding": PNG_OR_NONE}


def create_classification_dataset(service: Service, values: Mapping[str, Any], owner: str = "") -> Job:
    """`create_dataset` from this form, as the command makes it. Raises FormErrors."""
    return create_dataset(service, SOURCE, values, owner)


def _ingest_values(service: Service, form: ClassificationDatasetForm) -> dict[str, Any]:
    """What the data extension gets; paths are resolved, those that do not count are blank."""
    data = {name: value for name, value in form.model_dump(mode="json").items() if name not in NOT_FOR_INGEST}
    used = form.path_fields()
    for name in ClassificationDatasetForm.file_fields():
        data[name] = str(confine(service, data[name])) if name in used and data[name] else ""
    return {**data, "allowed_roots": roots(service)}


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
            with confinement(service).open(confine(service, source)) as content, open(target, "wb") as copy:
                shutil.copyfileobj(content, copy)
            stored[name], paths[name] = UPLOADED + target.name, str(target)
    return stored, paths


def _cpus(service: Service) -> int:
    """All slots of a small machine, three quarters of a larger one, at most 8: reading pictures scales, other jobs go on."""
    slots = service.settings.cpu_slots or usable_cores()
    return slots if slots <= 2 else min(8, slots * 3 // 4)


def _whole(value: Any) -> Any:
    """25.0 as 25, as it was typed."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_S3 = (
    "Reading from S3 is not supported yet. Supported are a folder on the server, text files, and an upload: "
    "copy the bucket to a folder, or mount it, and name that folder."
)
