"""One picture and what a model of any task makes of it, as its page shows it at once."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from digits.domain.inference import Answering, main_output
from digits.domain.training import TaskOptions
from digits.images.addresses import picture_address, shown_pair
from digits.service import Service
from digits.service.evaluations import predict
from digits.service.evaluations.in_picture import named_boxes, origin_json
from digits.service.evaluations.inputs import record_label
from digits.service.models.snapshots import find_snapshot
from digits.service.models.validation_samples import META_FILE, class_colours, task_of
from digits.storage.files import read_json
from digits.storage.jobs.store import Job
from digits.tasks import Labels, Task
from digits.tasks.base import BOXES

if TYPE_CHECKING:
    import numpy as np

    from digits.images.place import Origin
    from digits.service.evaluations.predict import Picture

TOP = 5


@dataclass(frozen=True)
class Answered:
    """What a model made of one picture: `body` is the JSON of it, `output` the kept main output as the network gave it, and where
    that lies over the picture `restored`, the same in the pixels of the given picture, and its `origin`."""

    body: dict[str, Any]
    output: np.ndarray
    restored: np.ndarray | None
    origin: Origin | None
    task: Task
    labels: Labels
    options: TaskOptions


def answer_one(
    service: Service,
    model: Job,
    picture: Picture,
    name: str,
    *,
    snapshot_epoch: float | str | None = None,
    dont_resize: bool = False,
    how: Answering = predict.PLAIN,
) -> dict[str, Any]:
    """The `body` of `ask_one`, where the name of a record is that of the model's own data set."""
    truth = record_label(service, model, name)
    return ask_one(service, model, picture, name, truth, snapshot_epoch=snapshot_epoch, dont_resize=dont_resize, how=how).body


def ask_one(
    service: Service,
    model: Job,
    picture: Picture,
    name: str,
    truth: Any = None,
    *,
    snapshot_epoch: float | str | None = None,
    dont_resize: bool = False,
    how: Answering = predict.PLAIN,
    compared: bool = False,
) -> Answered:
    """The answer has `kind`, `class_labels`, `colours` and the one of `samples` as an evaluation's page has them (see
    `sample_pages`), and where outputs are scores of classes the best `predictions` as `[label, percent]`. `nonfinite` is 1 where
    the answer holds NaN or infinity; `note` says what was converted of the picture.

    `name` is shown for the picture, `truth` is its label as the records of the model's data set have it, `how` is as
    `predict.infer` takes it. One that is to be `compared` also has the output in the pixels of the picture. Raises LoadImageError
    for what is no picture.
    """
    import numpy as np

    from digits.metrics.base import is_finite

    snapshot = find_snapshot(service, model, snapshot_epoch)
    meta = read_json(service.folder(model.id).path / META_FILE)
    task, of_model = task_of(meta), Labels.of_snapshot(meta)
    has_boxes = task.output_kind == BOXES
    beside = {"inputs": True, "candidates": has_boxes, "in_picture": compared}
    found = predict.infer(service, model, [picture], snapshot, dont_resize=dont_resize, how=how, scratch=None, **beside)
    started = time.perf_counter()
    one, labels = found.results[0], list(found.meta.get("class_labels", ()))
    feature = one.input if one.input is not None else np.zeros((1, 1, 1), np.uint8)
    output = task.kept(main_output(one.outputs))
    options = TaskOptions.from_json(found.meta.get("options", {}))
    like = feature if truth is None else np.asarray(truth)
    sample = {
        "key": name,
        "input": picture_address(shown_pair(feature, found.meta.get("image") or {})) if min(feature.shape[1:]) > 1 else "",
        "size": list(feature.shape[:0:-1]),
        "truth": None if truth is None else task.describe_label(truth, of_model),
        **task.describe_output(task.shown(output, like.dtype), truth, of_model, options),
    }
    if one.origin is not None:
        boxes = {"boxes": named_boxes(one.origin.boxes(output), task, meta)} if has_boxes else {}
        sample["in_picture"] = {**origin_json(one.origin, one.pixels_of), **boxes}
    if has_boxes:
        sample["score_threshold"] = options.score_threshold
    if one.candidates is not None:
        sample["candidates"] = {**one.candidates, "boxes": _packed(one.candidates["boxes"])}
    best = predict.best(one.outputs, labels, TOP) if predict.gives_one_class(task) else []
    body = {
        "model_id": model.id,
        "model_name": model.name,
        "kind": task.output_kind,
        "class_labels": labels,
        "colours": class_colours(service, model.dataset_id, labels, task),
        "samples": [sample],
        "predictions": [[p.label, p.percent] for p in best],
        "nonfinite": int(not is_finite(output)),
        "note": one.note,
        **({"answered": how.words} if not how.is_plain else {}),
        "snapshot_epoch": snapshot.epoch,
        "device": found.device,
    }
    post = found.seconds.get("post", 0.0) + time.perf_counter() - started
    body["seconds"] = {**found.seconds, "post": post}
    restored = None if one.in_picture is None else np.asarray(one.in_picture)
    return Answered(body, np.asarray(output), restored, one.origin, task, of_model, options)


def _packed(boxes: Any) -> str:
    """Rows of boxes (n, 6) as float32 in Base64, as the pages read them."""
    import numpy as np

    return base64.b64encode(np.ascontiguousarray(boxes, "<f4").tobytes()).decode()
