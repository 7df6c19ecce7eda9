"""Texts of networks for the editor, and a look at what a text builds: done by the supervisor in a process of its own."""

from __future__ import annotations

from typing import Any

from digits.domain.jobs import Kind
from digits.errors import FormErrors, NotFound, StorageError
from digits.frameworks import DEFAULT
from digits.ipc.supervisor_client import call
from digits.service import Service
from digits.service.datasets.contents import summary_dict
from digits.service.forms import FormModel, option
from digits.service.models.form import FOREIGN_FRAMEWORKS
from digits.service.models.network_text import problems
from digits.service.models.networks import model_spec, standard_text, start_weights
from digits.service.models.pretrained import pretrained_spec, pretrained_text
from digits.service.models.python_layers import check_text, chosen, of_model, request_of
from digits.storage.folders import JobFolder
from digits.storage.jobs.store import Job
from digits.tasks import CLASSIFICATION, Labels, of

MAX_CHECKED = 400_000
CHECK_SECONDS = 100.0
UNKNOWN_CLASSES = 10  # shown while the data set is still being made
EXAMPLES = ((3, 224, 224), (1, 28, 28), (3, 28, 28), (3, 32, 32), (1, 224, 224), (2, 28, 28))  # (C, H, W) that texts are for


class CheckForm(FormModel):
    """What `visualize-network` reads. `solver_type`, `use_mean` and `num_gpus` of the original do not change the layers."""

    custom_network: str = option(..., "Network text", "Python with build_network(context).", max_length=MAX_CHECKED)
    dataset_id: str = option(
        "", "Data set", "Its pictures and classes shape the network; without one it is held against nothing."
    )
    crop_size: int | None = option(None, "Crop size", ge=1)
    framework: str = option("", "Framework", "Which engine builds it; blank: pytorch.")
    python_layer_from_client: bool = option(False, "Python layer from client", "Which of the two files is meant, where both are.")
    python_layer_client_file: str = option("", "Python layer file", "A file that is sent along.")
    python_layer_server_file: str = option("", "Python layer file on the server", "What the text imports.")


def customize_text(service: Service, network: str, framework: str, epoch: Any = None) -> dict[str, Any]:
    """`network`, the text of a standard network or of the model with that id, and, where `epoch` chooses weights, `snapshot`;
    `python_layer` is the file of layers that the text imports, where the model has one.

    Raises NotFound when there is no such network, FormErrors when the model has no snapshot of that epoch (any more).
    """
    job = service.store.find(network)
    if job is not None and job.kind == Kind.PRETRAINED:
        return _pretrained(service, job)
    if job is None or job.kind != Kind.MODEL:
        return {"network": _standard(network, framework)}
    spec, layers = model_spec(service, job), of_model(service, job, "network")
    text = {"network": spec.network, **({"python_layer": str(layers.path)} if layers else {})}
    start = start_weights(service, job, spec, epoch, "snapshot_epoch")
    if start.source == "snapshot":
        try:
            path = service.folder(start.job_id).snapshot_file(start.snapshot)
        except StorageError as error:
            raise FormErrors({"snapshot_epoch": [str(error)]}) from error
        return {**text, "snapshot": str(path)}
    return {**text, **({"snapshot": start.path} if start.source == "path" else {})}


def _pretrained(service: Service, job: Job) -> dict[str, Any]:
    path = service.folder(job.id).path / pretrained_spec(service, job).snapshot
    layers = of_model(service, job, "network")
    snapshot = {"snapshot": str(path)} if path.is_file() else {}
    return {"network": pretrained_text(service, job), **snapshot, **({"python_layer": str(layers.path)} if layers else {})}


def check_network(service: Service, form: CheckForm) -> dict[str, Any]:
    """Build the text and feed it zeros: `parameters`, `layers`, `output_shapes`, `batch_size`, `warnings`.

    Raises FormErrors at `custom_network` when the text is wrong and Unavailable when no supervisor runs.
    """
    framework = known_framework(form.framework)
    found = problems(form.custom_network, framework)
    if found:
        raise FormErrors({"custom_network": found})
    layers = chosen(service, form)
    check_text(layers, form.custom_network)
    request = {
        "op": "check-network",
        "framework": framework,
        "text": form.custom_network,
        "contexts": _contexts(service, form),
        "layers": request_of(layers),
    }
    answer = call(service.jobs_dir, request, timeout=CHECK_SECONDS)
    if answer.get("problem"):
        raise FormErrors({"custom_network": [str(answer["problem"])]})
    return dict(answer["report"])


def known_framework(name: str) -> str:
    """The framework a script means; those of the original mean the default."""
    return DEFAULT if not name or name.lower() in FOREIGN_FRAMEWORKS else name.lower()


def _standard(network: str, framework: str) -> str:
    try:
        return standard_text(network, known_framework(framework))
    except FormErrors as error:
        raise NotFound(" ".join(message for messages in error.errors.values() for message in messages)) from error


def _contexts(service: Service, form: CheckForm) -> list[dict[str, Any]]:
    """The arguments of the engine's NetworkContext: of the data set, or without one of examples that nothing is held against."""
    job = service.store.find(form.dataset_id) if form.dataset_id else None
    if form.dataset_id and (job is None or job.kind != Kind.DATASET):
        raise FormErrors({"dataset_id": [f"There is no data set {form.dataset_id!r} (any more)."]})
    if job is not None:
        return [_dataset_context(service, job, service.folder(job.id), form.crop_size)]
    sizes = EXAMPLES if form.crop_size is None else dict.fromkeys((c, form.crop_size, form.crop_size) for c, *_ in EXAMPLES)
    common = {"task": CLASSIFICATION.name, "num_classes": UNKNOWN_CLASSES, "judged": False}
    return [{**common, "input_shape": list(size), "label_shape": [size[0], 1, 1]} for size in sizes]


def _dataset_context(service: Service, job: Job, folder: JobFolder, crop: int | None) -> dict[str, Any]:
    info = folder.find_dataset_info()
    summary = summary_dict(service, job)
    shape = tuple(int(summary[f"image_{side}"] or crop or 0) for side in ("channels", "height", "width"))
    if 0 in shape:
        raise FormErrors({"crop_size": ["The pictures of this data set differ in size: give a crop size."]})
    context: dict[str, Any] = {"task": job.task, "input_shape": _cropped(shape, crop)}
    if info is None:
        return {**context, "num_classes": UNKNOWN_CLASSES}
    meta = next(iter(info.splits.values())).meta
    label_shape = None if meta.label_shape is None else list(meta.label_shape)
    labels = Labels.of_records(meta, info)
    if not of(info.task, labels).has_labels(labels):  # a picture is its own label
        label_shape = context["input_shape"]
    return {
        **context,
        "num_classes": len(info.class_labels),
        "class_labels": list(info.class_labels),
        "label_shape": label_shape,
        "label_kind": meta.label_kind,
    }


def _cropped(shape: tuple[int, ...], crop: int | None) -> list[int]:
    return list(shape) if crop is None else [shape[0], min(crop, shape[1]), min(crop, shape[2])]
