"""The form of a pretrained model from single files (R 1.4): weights, a network text and, where there are classes, their names."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digits import tasks
from digits.domain.pretrained import PretrainedSpec
from digits.errors import FormErrors
from digits.extensions.data.files.class_names import as_meant
from digits.frameworks import DEFAULT, Framework, frameworks
from digits.service import Service
from digits.service.files.confine import readable_file
from digits.service.files.form_files import drop_form_file
from digits.service.forms import FormModel, option, parse
from digits.service.models import weights_file
from digits.service.models.form import FOREIGN_FRAMEWORKS, MAX_NAME
from digits.service.models.model_info import BadArchive, ModelInfo
from digits.service.models.network_text import problems
from digits.service.models.pretrained import TEXT, create_of_files, foreign_meta, own_meta, read_labels, read_text, snapshot_path
from digits.storage.jobs.store import Job
from digits.tasks import GENERIC
from digits.utils.constants import RESIZE_MODE_TITLES
from digits.utils.names import is_remark

FILES = ("weights_file", "model_def_file", "labels_file")


def offered_tasks() -> dict[str, str]:
    """The tasks that weights from elsewhere may be for, by name: those whose outputs say what they are, and any other."""
    return {task.name: task.title for task in tasks.TASKS if task.scores or task.moves == "boxes" or task is GENERIC}


class PretrainedForm(FormModel):
    """Weights and a network text from elsewhere (R 1.4)."""

    job_name: str = option(..., "Name", min_length=1, max_length=MAX_NAME)
    framework: str = option("", "Framework", "Which engine the network is written for; blank: pytorch.", max_length=40)
    weights_file: str = option(
        ..., "Weights", "A state_dict: .safetensors, .pth or .pt; of Keras .keras or .weights.h5.", widget="upload"
    )
    model_def_file: str = option(..., "Network text", "Python with build_network(context).", widget="upload")
    labels_file: str = option("", "Labels", "One class a line, in the order of the network's outputs.", widget="upload")
    task: str = option("", "Task", "Blank: classification.", choices={"": "Classification", **offered_tasks()})
    image_type: str = option("3", "Image type", choices={"3": "Colour", "1": "Grey"})
    width: int = option(256, "Width", "Of the pictures that the network gets, in pixels.", ge=1, le=1 << 15)
    height: int = option(256, "Height", "In pixels.", ge=1, le=1 << 15)
    resize_mode: str = option("squash", "Resize mode", choices=RESIZE_MODE_TITLES)
    pixel_mean: str = option(
        "",
        "Mean",
        "What is subtracted of each channel, from 0 to 255, e.g. 123.7, 116.3, 103.5 for networks trained on ImageNet.",
        max_length=200,
    )
    pixel_std: float = option(1.0, "Standard deviation", "What is divided by then: 57.4 for ImageNet.", gt=0)
    group_name: str = option("", "Group name", max_length=MAX_NAME)


def from_files(service: Service, values: Mapping[str, Any], owner: str = "") -> Job:
    """Weights and a network text that were sent as files of a form, or lie on the server. FormErrors with all that is wrong."""
    form = parse(PretrainedForm, values)
    row, errors = _row(form.framework), dict[str, list[str]]()
    weights = _given(service, form.weights_file, "weights_file", errors)
    definition = _given(service, form.model_def_file, "model_def_file", errors)
    labels_file = _given(service, form.labels_file, "labels_file", errors) if form.labels_file else None
    if row is None:
        errors["framework"] = [f"{form.framework!r} is not one of {', '.join(frameworks())}."]
        raise FormErrors(errors)
    if weights is not None and (said := _weights_problem(weights, row)):
        errors["weights_file"] = [said]
    text = read_text(definition) if definition is not None else ""
    if definition is not None and (wrong := problems(text, row.name) if text is not None else ["It is no text in UTF-8."]):
        errors["model_def_file"] = wrong
    labels, remark = as_meant(_collected(labels_file, errors))
    shape = int(form.image_type), form.height, form.width
    mean = _mean(form.pixel_mean, shape[0], errors)
    if errors or weights is None or text is None:
        raise FormErrors(errors)
    own = own_meta(weights, row)
    task = str(own.get("task") or form.task or tasks.CLASSIFICATION.name)
    info = ModelInfo(form.job_name, row.name, weights.name, TEXT, "", "", 1.0, task, "custom", shape, form.resize_mode, {})
    spec = PretrainedSpec(
        framework=row.name,
        weights=weights.name,
        snapshot=snapshot_path(row, float(own.get("epoch", 1.0))),
        epoch=float(own.get("epoch", 1.0)),
        task=task,
        network=text,
        network_name=str(own.get("network_name") or "custom"),
        meta={} if own else foreign_meta(info, labels, mean, form.pixel_std),
        origin={"kind": "upload", "file": weights.name, **({"labels_remark": remark} if remark and not own else {})},
    )
    count = len(own.get("class_labels", labels))
    sent = {key: value for key, value in form.model_dump(mode="json").items() if key not in FILES}
    job = create_of_files(service, form.job_name, spec, [weights], owner=owner, labels=count, group=form.group_name, form=sent)
    for path in filter(None, (weights, definition, labels_file)):
        drop_form_file(service, path)
    return job


def _row(name: str) -> Framework | None:
    name = name.strip().lower()
    return frameworks().get(DEFAULT if not name or name in FOREIGN_FRAMEWORKS else name)


def _given(service: Service, text: str, field: str, errors: dict[str, list[str]]) -> Path | None:
    try:
        return readable_file(service, text, field)
    except FormErrors as error:
        errors.update(error.errors)
        return None


def _weights_problem(path: Path, row: Framework) -> str:
    suffix = path.suffix.lower()
    if suffix == ".caffemodel":
        return "These are weights of Caffe. Convert them to a state_dict of PyTorch first; docs/pretrained.md shows how."
    if suffix == ".t7":
        return "These are weights of Torch7 (Lua). Convert them to a state_dict of PyTorch first; docs/pretrained.md shows how."
    if suffix not in row.weights:
        return f"{path.name} is no file of weights of {row.title}; expected one of {', '.join(row.weights)}."
    return weights_file.problem(path)


def _collected(path: Path | None, errors: dict[str, list[str]]) -> list[str]:
    try:
        return [label for label in read_labels(path) if not is_remark(label)] if path is not None else []
    except BadArchive as error:
        errors["labels_file"] = [str(error)]
        return []


def _mean(text: str, channels: int, errors: dict[str, list[str]]) -> tuple[float, ...]:
    """The mean of each channel; one number counts for all."""
    parts = [part for part in re.split(r"[,\s\[\]]+", text) if part]
    try:
        found = tuple(float(part) for part in parts)
    except ValueError:
        found = (math.nan,)
    found = found * channels if len(found) == 1 else found
    if found and (len(found) != channels or not all(map(math.isfinite, found))):
        errors["pixel_mean"] = [f"{text!r} is no mean: expected {channels} number{'s' if channels > 1 else ''}, or one for all."]
    return found
