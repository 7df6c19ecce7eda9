"""One picture and what a model of any task makes of it, as its page shows it at once."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from digits.domain.inference import Answering, main_output
from digits.domain.training import TaskOptions
from digits.errors import DataError
from digits.images.addresses import picture_address, shown_pair
from digits.service import Service
from digits.service.datasets.from_source import inference_entries
from digits.service.evaluations import predict
from digits.service.evaluations.in_picture import named_boxes, origin_json
from digits.service.evaluations.inputs import record_label
from digits.service.models.snapshots import Snapshot, find_snapshot
from digits.service.models.validation_samples import META_FILE, class_colours, task_of
from digits.storage.files import read_json
from digits.storage.jobs.store import Job
from digits.tasks import Labels, Task
from digits.tasks.base import BOXES
from digits.utils.values import counted

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from digits.images.place import Origin
    from digits.service.evaluations.predict import Picture

TOP = 5
MOST_ENTRIES = 24  # of a plugin's form, that are answered at once


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


def answer_form(
    service: Service,
    model: Job,
    dataset: Job,
    values: Mapping[str, Any],
    *,
    extension_id: str = "",
    snapshot_epoch: float | str | None = None,
    how: Answering = predict.PLAIN,
    scratch: Path | None = None,
) -> dict[str, Any]:
    """What a model makes of the entries that a plugin makes of its inference form: the `body` of `ask_one`, with the first
    `MOST_ENTRIES` as `samples`; `entries` is how many there are, `skipped` those that could not be used. Raises FormErrors,
    PluginFailure, DataError where none could be used."""
    snapshot = find_snapshot(service, model, snapshot_epoch)
    meta = read_json(service.folder(model.id).path / META_FILE)
    started = time.perf_counter()
    entries = inference_entries(service, dataset, values, scratch, extension_id)
    encoded = time.perf_counter() - started
    count = len(entries.keys)
    if not count:
        reason = str(entries.skipped[0]["message"]) if entries.skipped else "The plugin made no entry of it."
        raise DataError("None of the entries could be tested.", advice=reason)
    shown = entries.features[:MOST_ENTRIES]
    beside: dict[str, Any] = {"inputs": True, "candidates": task_of(meta).output_kind == BOXES}
    found = predict.infer(service, model, shown, snapshot, as_given=True, how=how, scratch=scratch, **beside)
    if all(one.error for one in found.results):
        raise DataError("None of the entries could be tested.", advice=found.results[0].error)
    named = list(zip(entries.keys, entries.notes, found.results, strict=False))
    body, _ = _body(service, model, found, [(key, one, None) for key, _, one in named if not one.error], snapshot, how)
    failed = [{"entry": key, "message": one.error} for key, _, one in named if one.error]
    body["skipped"] = [{"entry": row["entry"], "message": row["message"]} for row in entries.skipped] + failed
    body["entries"] = count
    more = f"The first {len(shown)} of {count:,} entries; the view has all of them." if count > len(shown) else ""
    noted = dict.fromkeys(note for _, note, _ in named)
    body["note"] = " ".join(filter(None, (body["note"], *noted, more, _lost(body["skipped"]))))
    body["seconds"]["prepare"] = body["seconds"].get("prepare", 0.0) + encoded
    return body


def _lost(skipped: Sequence[Mapping[str, str]]) -> str:
    """What is to be said of entries that could not be used."""
    if not skipped:
        return ""
    entry, message = skipped[0]["entry"], skipped[0]["message"].splitlines()[0]
    return f"{counted(len(skipped), 'entry', 'entries')} could not be used: {entry}: {message}"


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

    snapshot = find_snapshot(service, model, snapshot_epoch)
    meta = read_json(service.folder(model.id).path / META_FILE)
    beside = {"inputs": True, "candidates": task_of(meta).output_kind == BOXES, "in_picture": compared}
    found = predict.infer(service, model, [picture], snapshot, dont_resize=dont_resize, how=how, scratch=None, **beside)
    body, output = _body(service, model, found, [(name, found.results[0], truth)], snapshot, how)
    one = found.results[0]
    restored = None if one.in_picture is None else np.asarray(one.in_picture)
    options = TaskOptions.from_json(found.meta.get("options", {}))
    return Answered(body, np.asarray(output), restored, one.origin, task_of(meta), Labels.of_snapshot(meta), options)


def _body(
    service: Service,
    model: Job,
    found: predict.PredictorResponse,
    given: Sequence[tuple[str, predict.Prediction, Any]],
    snapshot: Snapshot,
    how: Answering,
) -> tuple[dict[str, Any], np.ndarray]:
    """The JSON of an answer to one or several pictures, each with its name, prediction and truth (None: not known), and the kept
    output of the last."""
    import numpy as np

    from digits.metrics.base import is_finite

    started = time.perf_counter()
    meta = read_json(service.folder(model.id).path / META_FILE)
    task, labels = task_of(meta), list(found.meta.get("class_labels", ()))
    options = TaskOptions.from_json(found.meta.get("options", {}))
    samples, bad, output = [], 0, np.zeros(0)
    for name, one, truth in given:
        output = np.asarray(task.kept(main_output(one.outputs)))
        samples.append(_sample(name, one, truth, output, meta, found.meta, options))
        bad += not is_finite(output)
    alone = given[0][1] if len(given) == 1 else None
    best = predict.best(alone.outputs, labels, TOP) if alone is not None and predict.gives_one_class(task) else []
    body = {
        "model_id": model.id,
        "model_name": model.name,
        "kind": task.output_kind,
        "class_labels": labels,
        "colours": class_colours(service, model.dataset_id, labels, task),
        "samples": samples,
        "predictions": [[p.label, p.percent] for p in best],
        "nonfinite": bad,
        "note": " ".join(dict.fromkeys(one.note for _, one, _ in given if one.note)),
        **({"answered": how.words} if not how.is_plain else {}),
        "snapshot_epoch": snapshot.epoch,
        "device": found.device,
    }
    post = found.seconds.get("post", 0.0) + time.perf_counter() - started
    body["seconds"] = {**found.seconds, "post": post}
    return body, output


def _sample(
    name: str,
    one: predict.Prediction,
    truth: Any,
    output: np.ndarray,
    meta: dict[str, Any],
    loaded: Mapping[str, Any],
    options: TaskOptions,
) -> dict[str, Any]:
    """One of `samples`, as an evaluation's page has them; `loaded` is what the predictor says of its weights."""
    import numpy as np

    task, of_model = task_of(meta), Labels.of_snapshot(meta)
    feature = one.input if one.input is not None else np.zeros((1, 1, 1), np.uint8)
    like = feature if truth is None else np.asarray(truth)
    sample = {
        "key": name,
        "input": picture_address(shown_pair(feature, loaded.get("image") or {})) if min(feature.shape[1:]) > 1 else "",
        "size": list(feature.shape[:0:-1]),
        "truth": None if truth is None else task.describe_label(truth, of_model),
        **task.describe_output(task.shown(output, like.dtype), truth, of_model, options),
    }
    has_boxes = task.output_kind == BOXES
    if one.origin is not None:
        boxes = {"boxes": named_boxes(one.origin.boxes(output), task, meta)} if has_boxes else {}
        sample["in_picture"] = {**origin_json(one.origin, one.pixels_of), **boxes}
    if has_boxes:
        sample["score_threshold"] = options.score_threshold
    if one.candidates is not None:
        sample["candidates"] = {**one.candidates, "boxes": _packed(one.candidates["boxes"])}
    return sample


def _packed(boxes: Any) -> str:
    """Rows of boxes (n, 6) as float32 in Base64, as the pages read them."""
    import numpy as np

    return base64.b64encode(np.ascontiguousarray(boxes, "<f4").tobytes()).decode()
