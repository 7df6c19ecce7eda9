"""The validation samples of a training: a few fixed pictures and what the model made of them at each validation.

`kind` says what a sample is (`Task.output_kind`) and so how it is described (`Task.describe_label`, `describe_output`). Pictures
travel inside the JSON as `data:` addresses; index maps as grey PNG whose values are the classes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.domain.datasets import VAL_DB
from digits.domain.inference import main_output
from digits.domain.training import TaskOptions
from digits.errors import NotFound, StorageError
from digits.images.addresses import picture_address, shown_pair
from digits.images.palette import class_colours as palette_colours
from digits.images.palette import object_colours
from digits.service import Service
from digits.service.models.create import info_of
from digits.service.models.history import RunHistory
from digits.storage.files import read_json
from digits.storage.jobs.store import Job
from digits.tasks import Labels, Task, of
from digits.utils.zips import check_packing

if TYPE_CHECKING:
    import numpy as np

    Arrays = Mapping[str, np.ndarray]

FOLDER = "samples"
INPUTS = f"{FOLDER}/inputs.npz"
META_FILE = "preprocessing.json"  # written by the engine before the first validation
MOST_COLOURS = 256
MOST_BYTES = 1 << 30  # of all arrays of a file of samples


def frames(history: RunHistory, folder: Path) -> list[dict[str, float]]:
    """`step` and `epoch` of every validation whose samples are there, in order."""
    found = {event.step: event for event in history.samples if (folder / event.path).is_file()}
    return [{"step": step, "epoch": found[step].epoch} for step in sorted(found)]


def sample_set(service: Service, job: Job) -> dict[str, Any]:
    """What does not change between validations: `kind`, `class_labels`, `colours`, and per sample `key`, `input` (a picture, or
    empty) and `truth` (see `frame`). No samples while nothing was validated."""
    meta = meta_of(service, job)
    arrays = load_arrays(service.folder(job.id).path / INPUTS)
    task = task_of(meta)
    labels = list(meta.get("class_labels", ()))
    colours = class_colours(service, job.dataset_id, labels, task)
    found: dict[str, Any] = {"kind": task.output_kind, "class_labels": labels, "colours": colours, "samples": []}
    for i, index in enumerate(arrays["indices"].tolist() if arrays else ()):
        feature = arrays[f"{i}/feature"]
        label = arrays.get(f"{i}/label", feature)
        shown = picture_address(shown_pair(feature, meta.get("image") or {})) if min(feature.shape[1:]) > 1 else ""
        truth = task.describe_label(label, Labels.of_snapshot(meta))
        size = [int(feature.shape[2]), int(feature.shape[1])]
        found["samples"].append({"key": f"{VAL_DB[:3]}:{index}", "input": shown, "size": size, "truth": truth})
    return found


def frame(service: Service, job: Job, step: int) -> dict[str, Any]:
    """The samples at one validation, in order, each as `Task.describe_output` has it. Raises NotFound."""
    folder = service.folder(job.id).path
    outputs, inputs = load_arrays(folder / FOLDER / f"step_{step}.npz"), load_arrays(folder / INPUTS)
    if not outputs or not inputs:
        raise NotFound(f"{job.name} has no samples of step {step}.")
    meta = meta_of(service, job)
    task, labels = task_of(meta), Labels.of_snapshot(meta)
    chosen = {name: outputs[name].tolist() for name in task.options if name in outputs}
    options = TaskOptions.from_json({**meta.get("options", {}), **chosen})
    samples = []
    for i in range(len(inputs["indices"])):
        own = {name.removeprefix(f"{i}/"): array for name, array in outputs.items() if name.startswith(f"{i}/")}
        truth = inputs.get(f"{i}/label", inputs[f"{i}/feature"])
        samples.append(task.describe_output(main_output(own), truth, labels, options) if own else {})
    return {"step": step, "samples": samples}


def meta_of(service: Service, job: Job) -> dict[str, Any]:
    """What the engine wrote about the data; empty before the training has begun."""
    try:
        return dict(read_json(service.folder(job.id).path / META_FILE))
    except StorageError:
        return {}


def task_of(meta: Mapping[str, Any]) -> Task:
    """The task of a model by what its engine wrote (see `meta_of`)."""
    return of(str(meta.get("task", "")), Labels.of_snapshot(meta))


def class_colours(service: Service, dataset_id: str, labels: Sequence[str], task: Task) -> list[list[int]]:
    """RGB of each class, as the data set's gallery has them; black only where a background is among them."""
    info = info_of(service, dataset_id)
    palette = (info.extra.get("color_palette") if info else None) or ()
    count = min(len(labels), MOST_COLOURS)
    return palette_colours(count, palette, labels) if task.has_background else object_colours(count, palette)


def load_arrays(path: Path) -> Arrays:
    """The arrays of an archive; nothing where there is none (any more). Never unpickles."""
    import numpy as np

    try:
        data = io.BytesIO(path.read_bytes())
        _check_members(data)
        with np.load(data, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise StorageError(f"{path} cannot be read: {error}.") from error


def _check_members(data: io.BytesIO) -> None:
    """Raises BadZipFile for an archive of somebody else's model that unpacks to far more than samples take."""
    with zipfile.ZipFile(data) as archive:
        for member in archive.infolist():
            check_packing(member)
        if sum(member.file_size for member in archive.infolist()) > MOST_BYTES:
            raise zipfile.BadZipFile(f"it claims to hold more than {MOST_BYTES >> 20} MiB")
