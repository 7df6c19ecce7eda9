"""One picture and what a model of any task makes of it, as its page shows it at once."""

from __future__ import annotations

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
from digits.tasks import Labels
from digits.tasks.base import BOXES

if TYPE_CHECKING:
    from digits.service.evaluations.predict import Picture

TOP = 5


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
    """`how` is as `predict.infer` takes it. `kind`, `class_labels`, `colours` and the one of `samples` as an evaluation's page
    has them (see `sample_pages`), and where outputs are scores of classes the best `predictions` as `[label, percent]`.
    `nonfinite` is 1 where the answer holds NaN or infinity; `note` says what was converted of the picture.

    `name` is shown for the picture; where it names a record of the model's data set (`val:17`) its label is the truth. Raises
    LoadImageError for what is no picture.
    """
    import numpy as np

    from digits.metrics.base import is_finite

    snapshot = find_snapshot(service, model, snapshot_epoch)
    found = predict.infer(service, model, [picture], snapshot, dont_resize=dont_resize, inputs=True, how=how)
    one, labels = found.results[0], list(found.meta.get("class_labels", ()))
    meta = read_json(service.folder(model.id).path / META_FILE)
    task, of_model = task_of(meta), Labels.of_snapshot(meta)
    feature = one.input if one.input is not None else np.zeros((1, 1, 1), np.uint8)
    output = task.kept(main_output(one.outputs))
    truth = record_label(service, model, name)
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
        boxes = {"boxes": named_boxes(one.origin.boxes(output), task, meta)} if task.output_kind == BOXES else {}
        sample["in_picture"] = {**origin_json(one.origin, one.pixels_of), **boxes}
    best = predict.best(one.outputs, labels, TOP) if predict.gives_one_class(task) else []
    return {
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
        "seconds": found.seconds,
    }
