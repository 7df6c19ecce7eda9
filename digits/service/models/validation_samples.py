"""The film strip of a training: a few fixed validation samples and what the model made of them at each validation.

`kind` says what a sample is: `classes` (scores of a class index), `map` (a class per pixel), `boxes`, `pictures` (image to
image) or `numbers`. Pictures travel inside the JSON as `data:` addresses; index maps as grey PNG whose values are the classes.
"""

from __future__ import annotations

import base64
import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.domain.datasets import VAL_DB
from digits.domain.inference import output_kind
from digits.errors import NotFound, StorageError
from digits.images.palette import class_colours as palette_colours
from digits.images.palette import object_colours
from digits.service import Service
from digits.service.datasets.explore import encode_picture
from digits.service.models.create import info_of
from digits.service.models.history import RunHistory
from digits.storage.files import read_json
from digits.storage.jobs.store import Job
from digits.utils.finite import finite

if TYPE_CHECKING:
    import numpy as np

    Arrays = Mapping[str, np.ndarray]

FOLDER = "samples"
INPUTS = f"{FOLDER}/inputs.npz"
META_FILE = "preprocessing.json"  # written by the engine before the first validation
TOP = 3
MOST_NUMBERS = 64
MOST_COLOURS = 256
LARGEST_SIDE = 640


def frames(history: RunHistory, folder: Path) -> list[dict[str, float]]:
    """`step` and `epoch` of every validation whose samples are there, in order."""
    found = {event.step: event for event in history.samples if (folder / event.path).is_file()}
    return [{"step": step, "epoch": found[step].epoch} for step in sorted(found)]


def film(service: Service, job: Job) -> dict[str, Any]:
    """What does not change between validations: `kind`, `class_labels`, `colours`, and per sample `key`, `input` (a picture, or
    empty) and `truth` (see `frame`). No samples while nothing was validated."""
    meta = _meta(service, job)
    arrays = _load(service.folder(job.id).path / INPUTS)
    kind = output_kind(meta)
    labels = list(meta.get("class_labels", ()))
    colours = class_colours(service, job.dataset_id, labels, kind)
    found: dict[str, Any] = {"kind": kind, "class_labels": labels, "colours": colours, "samples": []}
    for i, index in enumerate(arrays["indices"].tolist() if arrays else ()):
        feature = arrays[f"{i}/feature"]
        label = arrays.get(f"{i}/label", feature)
        shown = picture_address(feature) if min(feature.shape[1:]) > 1 else ""
        truth = describe_truth(kind, label, labels)
        size = [int(feature.shape[2]), int(feature.shape[1])]
        found["samples"].append({"key": f"{VAL_DB[:3]}:{index}", "input": shown, "size": size, "truth": truth})
    return found


def frame(service: Service, job: Job, step: int) -> dict[str, Any]:
    """The samples at one validation, in order.

    `classes`: `top` (`[label, percent]`, best first) and `correct`. `map`: `map` and `dice` (mean over the classes that are in
    the sample or its prediction, without class 0; null when there is none). `pictures`: `picture` and, for 8 bits, `psnr`.
    `numbers`: `values`. `boxes`: `boxes` of `box` (x0, y0, x1, y1 in pixels), `class` and `score`. Raises NotFound.
    """
    folder = service.folder(job.id).path
    outputs, inputs = _load(folder / FOLDER / f"step_{step}.npz"), _load(folder / INPUTS)
    if not outputs or not inputs:
        raise NotFound(f"{job.name} has no samples of step {step}.")
    meta = _meta(service, job)
    kind, labels = output_kind(meta), list(meta.get("class_labels", ()))
    samples = []
    for i in range(len(inputs["indices"])):
        own = [array for name, array in outputs.items() if name.startswith(f"{i}/")]
        truth = inputs.get(f"{i}/label", inputs[f"{i}/feature"])
        samples.append(describe_output(kind, own[0], truth, labels) if own else {})
    return {"step": step, "samples": samples}


def _meta(service: Service, job: Job) -> dict[str, Any]:
    """What the engine wrote about the data; empty before the training has begun."""
    try:
        return dict(read_json(service.folder(job.id).path / META_FILE))
    except StorageError:
        return {}


def class_colours(service: Service, dataset_id: str, labels: Sequence[str], kind: str) -> list[list[int]]:
    """RGB of each class, as the data set's gallery has them; of boxes none is black, as there is no background among them."""
    info = info_of(service, dataset_id)
    palette = (info.extra.get("color_palette") if info else None) or ()
    count = min(len(labels), MOST_COLOURS)
    return object_colours(count, palette) if kind == "boxes" else palette_colours(count, palette, labels)


def describe_truth(kind: str, label: np.ndarray, labels: Sequence[str]) -> Any:
    """A label for the page: the name of its class, the address of its picture, boxes or numbers."""
    if kind == "classes":
        return _name(int(label), labels)
    if kind == "map":
        return _map(label)
    if kind == "pictures":
        return picture_address(label)
    if kind == "boxes":
        return [{"box": [float(value) for value in list(row)[:4]], "class": int(row[4])} for row in label]
    return _numbers(label)


def describe_output(kind: str, output: np.ndarray, truth: np.ndarray | None, labels: Sequence[str]) -> dict[str, Any]:
    """An output for the page; see `frame`. Without a truth there is nothing to compare it with."""
    if kind == "classes":
        scores = output.ravel()[: len(labels)]
        best = (-scores).argsort(kind="stable")[:TOP]
        top = [[labels[i], finite(100 * float(scores[i]))] for i in best]
        return {"top": top, "correct": truth is None or bool(best[0] == int(truth))}
    if kind == "map":
        return {"map": _map(output), "dice": _dice(output, truth)}
    if kind == "pictures":
        return {"picture": picture_address(output) if output.ndim == 3 else "", "psnr": _psnr(output, truth)}
    if kind == "boxes":
        return {"boxes": _boxes(output)}
    return {"values": _numbers(output)}


def _map(classes: np.ndarray) -> str:
    """Classes as a grey picture; those that do not fit into 8 bits share the last value."""
    return _address(*encode_picture(classes.reshape(1, *classes.shape[-2:]).clip(0, 255).astype("uint8")))


def _dice(output: np.ndarray, truth: np.ndarray | None) -> float | None:
    import numpy as np

    if truth is None:
        return None
    made, real = output.reshape(output.shape[-2:]), truth.reshape(truth.shape[-2:])
    if made.shape != real.shape:
        return None
    kept = real != 255
    classes = set(np.unique(made[kept]).tolist()) | set(np.unique(real[kept]).tolist())
    values = []
    for c in classes - {0}:
        a, b = (made == c) & kept, (real == c) & kept
        values.append(2 * int((a & b).sum()) / int(a.sum() + b.sum()))
    return sum(values) / len(values) if values else None


def _psnr(output: np.ndarray, truth: np.ndarray | None) -> float | None:
    import numpy as np

    if truth is None or output.dtype != np.uint8 or output.shape != truth.shape:
        return None
    error = float(np.mean(np.square(output.astype(np.float64) - truth)))
    return 10 * math.log10(255**2 / max(error, 1e-6))


def _boxes(output: np.ndarray) -> list[dict[str, Any]]:
    """Rows x0, y0, x1, y1, score and, with several classes, class; rows without a score are padding."""
    rows = output.reshape(-1, output.shape[-1]) if output.ndim and output.shape[-1] >= 5 else output.reshape(0, 5)
    return [
        {"box": row[:4].tolist(), "score": float(row[4]), "class": int(row[5]) if len(row) > 5 else 0}
        for row in rows
        if row[4] > 0
    ]


def _numbers(values: np.ndarray) -> list[float | None]:
    return [finite(float(value)) for value in values.ravel()[:MOST_NUMBERS]]


def _name(index: int, labels: Sequence[str]) -> str:
    return labels[index] if 0 <= index < len(labels) else f"class {index}"


def picture_address(array: np.ndarray) -> str:
    """A (C, H, W) array as a `data:` address, shrunk where it is large."""
    return _address(*encode_picture(array, LARGEST_SIDE))


def _address(picture: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(picture).decode()}"


def _load(path: Path) -> Arrays:
    """The arrays of an archive; nothing where there is none (any more). Never unpickles."""
    import numpy as np

    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise StorageError(f"{path} cannot be read: {error}.") from error
