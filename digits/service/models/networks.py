"""From the form to a network: its text, its name, and where its first weights come from."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from digits.domain.jobs import Kind, Status
from digits.domain.training import StartWeights, TrainingSpec
from digits.engines.network.python_layers import LayerFile
from digits.errors import BadRequest, FormErrors, NetworkError, NotFound
from digits.frameworks import PYTORCH, frameworks
from digits.networks import catalog
from digits.networks.library_texts import HUB, HUB_OF_MAPS
from digits.service import Service
from digits.service.files.confine import readable_file
from digits.service.models.form import ModelForm
from digits.service.models.network_text import problems
from digits.service.models.pretrained import pretrained_spec, pretrained_text
from digits.service.models.python_layers import of_model
from digits.service.models.snapshots import BEST, START, Snapshot, best_snapshot, find_snapshot
from digits.storage.jobs.store import Job
from digits.tasks import get
from digits.tasks.base import BOXES, CLASSES, MAP, PICTURES
from digits.utils.values import is_number, shown

NETWORK_FILE = "network.py"
INITIAL = -1.0
RANDOM = 0.0
HUB_PREFIX = "hf-hub:"
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


@dataclass(frozen=True)
class Network:
    """A network text that looks like one, with its name, the weights to start from, and the Python layer file that an earlier
    model brings along."""

    text: str
    name: str
    start: StartWeights
    layers: LayerFile | None = None
    waits_for: tuple[str, ...] = ()  # ids of jobs that make the weights


def resolve(service: Service, form: ModelForm, values: Mapping[str, Any], framework: str, task: str = "") -> Network:
    """What the form requests, for data of a task. Raises FormErrors at the field that is wrong."""
    if form.method == "standard":
        return standard(form.standard_networks, framework, pretrained=form.use_pretrained_weights)
    if form.method == "previous":
        return _previous(service, form.previous_networks, values, framework)
    if form.method == "pretrained":
        return _pretrained(service, form.pretrained_networks, framework, task)
    return _custom(service, form, framework)


def standard(name: str, framework: str, *, pretrained: bool = False, field: str = "standard_networks") -> Network:
    """A network of the catalog. Raises FormErrors when there is none of that name."""
    text = standard_text(name, framework, field)
    return Network(text, name, StartWeights("pretrained") if pretrained else StartWeights())


def standard_text(name: str, framework: str, field: str = "standard_networks") -> str:
    """The text of a network of the catalog; FormErrors at `field` when there is none."""
    try:
        return catalog.network_text(name, framework)
    except (BadRequest, NetworkError, NotFound) as error:
        raise FormErrors({field: [str(error)]}) from error


def previous_model(service: Service, job_id: str, field: str = "previous_networks") -> Job:
    """The model named; FormErrors at `field` when there is none."""
    job = service.store.find(job_id)
    if job is None or job.kind != Kind.MODEL:
        raise FormErrors({field: [f"There is no model {job_id!r} (any more). Choose one of the list."]})
    return job


def model_spec(service: Service, job: Job) -> TrainingSpec:
    """What a model was given at its start."""
    return TrainingSpec.from_json(service.folder(job.id).spec())


def _previous(service: Service, job_id: str, values: Mapping[str, Any], framework: str) -> Network:
    if not job_id:
        raise FormErrors({"previous_networks": ["Choose the model to start from."]})
    job = previous_model(service, job_id)
    spec = model_spec(service, job)
    if spec.framework != framework:
        raise FormErrors({"previous_networks": [f"{job.name} is a {spec.framework} model; this one is for {framework}."]})
    field = f"{job_id}-snapshot"
    start = start_weights(service, job, spec, values.get(field), field)
    return Network(spec.network, spec.network_name, start, of_model(service, job, "previous_networks"))


def start_weights(service: Service, job: Job, spec: TrainingSpec, epoch: Any, field: str) -> StartWeights:
    """Weights of an earlier model: none for 0 or blank, its own initial ones for -1, else those of a snapshot, by its epoch or as
    `best` or `start`."""
    wanted = _epoch(epoch, field)
    if wanted == RANDOM:
        return StartWeights()
    if wanted == INITIAL:
        return spec.start
    try:
        snapshot = find_snapshot(service, job, wanted)
    except (BadRequest, NotFound) as error:
        raise FormErrors({field: [str(error)]}) from error
    return _start_at(job, snapshot)


def _start_at(job: Job, snapshot: Snapshot) -> StartWeights:
    return StartWeights("snapshot", job_id=job.id, snapshot=snapshot.path, epoch=snapshot.epoch, best=snapshot.best)


def start_text(start: StartWeights) -> str:
    """Where the first weights of a training come from, in words."""
    if start.source == "snapshot":
        epoch = "" if start.epoch is None else f", epoch {start.epoch:g}"
        return f"{start.snapshot} of {start.job_id}{epoch}{', its best' if start.best else ''}"
    words = {"none": "random", "pretrained": "the network's published weights", "path": start.path}
    return words.get(start.source, start.source)


def _epoch(value: Any, field: str) -> float | str:
    """A field's epoch, or the word of a snapshot; blank: 0."""
    text = str(value or 0).strip() or "0"
    if text in (BEST, START):
        return text
    if not is_number(text):
        advice = "a number is needed, 0 for none, -1 for the model's own initial weights."
        raise FormErrors({field: [f"{shown(text)} is no epoch: {advice}"]})
    return float(text)


def _pretrained(service: Service, choice: str, framework: str, task: str) -> Network:
    """`choice` is a pretrained model, a trained one (its best snapshot), or a network of the catalog with published weights."""
    field = "pretrained_networks"
    if not choice:
        raise FormErrors({field: ["Choose the network to start from."]})
    if choice.startswith(HUB_PREFIX):
        return _of_hub(service, choice, framework, field, task)
    job = service.store.find(choice)
    if job is not None and job.kind == Kind.PRETRAINED:
        return _of_pretrained(service, job, framework, field)
    if job is None or job.kind != Kind.MODEL:
        return standard(choice, framework, pretrained=True, field=field)
    try:
        snapshot = best_snapshot(service, job)
    except BadRequest as error:
        raise FormErrors({field: [str(error)]}) from error
    spec = model_spec(service, job)
    return Network(spec.network, spec.network_name, _start_at(job, snapshot), of_model(service, job, field))


def _of_hub(service: Service, choice: str, framework: str, field: str, task: str) -> Network:
    """A network with its weights from the Hugging Face hub, which its training fetches: of timm, or, where the answer is a map or
    a picture, of segmentation_models_pytorch. FormErrors where the hub is off, and for boxes."""
    name = choice.removeprefix(HUB_PREFIX)
    if not service.settings.allow_hub:
        said = f"{choice} is not fetched: the Hugging Face hub is switched off (setting allow_hub, DIGITS_ALLOW_HUB=1)."
        raise FormErrors({field: [said]})
    if not HUB_NAME.fullmatch(name):
        raise FormErrors({field: [f"{shown(choice)} is no name of the hub; expected e.g. hf-hub:timm/resnet18.a1_in1k."]})
    if framework != PYTORCH.name:
        raise FormErrors({field: [f"Networks of the hub are for {PYTORCH.title}."]})
    kind = get(task).output_kind if task else CLASSES
    if kind == BOXES:
        raise FormErrors({field: [f"{choice} finds no boxes: networks of the hub give classes, maps and pictures."]})
    text = HUB_OF_MAPS if kind in (MAP, PICTURES) else HUB
    return Network(text.format(name=name, known=name.startswith("timm/")), choice, StartWeights("pretrained"))


def _of_pretrained(service: Service, job: Job, framework: str, field: str) -> Network:
    spec, text = pretrained_spec(service, job), pretrained_text(service, job)
    if job.status in (Status.ABORT, Status.ERROR):
        word = "was aborted" if job.status == Status.ABORT else "failed"
        raise FormErrors({field: [f"{job.name} {word}: {job.error or 'it has no weights'}"]})
    if not text:
        raise FormErrors({field: [f"{job.name} is still being fetched. Wait until it is done."]})
    if spec.framework != framework:
        raise FormErrors({field: [f"{job.name} is a {spec.framework} network; this model is for {framework}."]})
    start = StartWeights("snapshot", job_id=job.id, snapshot=spec.snapshot, epoch=spec.epoch)
    waits = () if job.status == Status.DONE else (job.id,)
    return Network(text, spec.network_name, start, of_model(service, job, field), waits)


def _custom(service: Service, form: ModelForm, framework: str) -> Network:
    found = problems(form.custom_network, framework)
    if found:
        raise FormErrors({"custom_network": found})
    return Network(form.custom_network, "custom", _weight_files(service, form.custom_network_snapshot))


def _weight_files(service: Service, text: str) -> StartWeights:
    """One file of weights or several, as R 3.1 has them. Raises FormErrors with what is wrong of each."""
    field = "custom_network_snapshot"
    wrong: list[str] = []
    paths: list[str] = []
    suffixes = [suffix for row in frameworks().values() for suffix in row.weights]
    for part in filter(None, map(str.strip, text.split(os.pathsep))):
        try:
            path = readable_file(service, part, field)
        except FormErrors as error:
            wrong += error.errors[field]
            continue
        if path.suffix.lower() not in suffixes:
            wrong.append(f"{path.name} is no file of weights; expected one of {', '.join(suffixes)}.")
        paths.append(str(path))
    if wrong:
        raise FormErrors({field: wrong})
    return StartWeights("path", path=os.pathsep.join(paths)) if paths else StartWeights()
