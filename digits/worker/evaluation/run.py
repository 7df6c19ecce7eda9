"""Predict many pictures with one snapshot: read ahead in threads, predict in batches, write predictions and the summary.

Records bring their truth, files that of the list or folder they stand in, if the task can be told so. Outputs for records of
another size than the model's are kept at the size of the records. Leaves `predictions.arrow`, whose columns the task's report
declares, `problems.jsonl` (pictures that could not be read), `analysis.json` (see `metrics.analysis.base`) and, last,
`result.json`. A run that was interrupted starts again from nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from digits.domain.classes import unknown_place
from digits.domain.events import LogEvent, ProgressEvent, WarningEvent
from digits.domain.inference import EvaluationSpec
from digits.domain.metrics import deciding_metric, is_lower_better
from digits.domain.training import TaskOptions
from digits.engines.answering import Answers, Turned, answering, scores
from digits.engines.base import Predictor, scores_of
from digits.engines.training.preprocessing import can_be_compared
from digits.images.arrays import groups_of_shape
from digits.images.prepare_for_model import Fitting, origin_of_output
from digits.metrics.analysis.base import Analysis, Evaluated
from digits.metrics.base import Finite, Report
from digits.metrics.of_pictures import numbers_of
from digits.storage.files import write_json
from digits.storage.predictions import (
    ANALYSIS_FILE,
    NO_ORIGIN,
    ORIGIN,
    PREDICTIONS_FILE,
    PredictionReader,
    writing_predictions,
)
from digits.storage.validation_pictures import FILE, read_pictures, write_pictures
from digits.tasks import Labels, Task, of
from digits.tasks.truth import places_in_label
from digits.worker.evaluation.baseline import yardstick
from digits.worker.evaluation.batches import Rounds, batch_size
from digits.worker.evaluation.gain import Gain
from digits.worker.evaluation.sources import PictureBatch, open_source
from digits.worker.evaluation.spacing import Spacings
from digits.worker.evaluation.truths import Truths
from digits.worker.evaluation.videos import frames_of
from digits.worker.loading import load_snapshot
from digits.worker.runtime import WorkerContext


def run(context: WorkerContext) -> None:
    """Do the evaluation that `job.json` describes."""
    spec = EvaluationSpec.from_json(context.request.spec)
    context.emit(ProgressEvent(fraction=0.0, stage="load the model"))
    predictor = load_snapshot(context, spec)
    try:
        frames = frames_of(context, spec) if spec.source == "video" else []
        source = open_source(spec, context.folder, context.jobs_dir, predictor.meta, frames)
        context.emit(LogEvent(message=f"Predicting {source.total:,} pictures with the snapshot of epoch {spec.epoch:g}."))
        if source.doubt:
            advice = "Numbers that the model has were taken as its classes, others as classes that it does not know."
            context.emit(WarningEvent(code="other-classes", message=source.doubt, advice=advice))
        started = time.monotonic()
        rounds = Rounds(context, source, 1 if spec.tile_overlap is not None else batch_size(predictor))
        summary = _evaluate(context, spec, predictor, rounds)
        rounds.finish()
        described = {
            "model_id": spec.model_id,
            "snapshot": spec.snapshot,
            "epoch": spec.epoch,
            "skipped": rounds.skipped,
            "seconds": time.monotonic() - started,
        }
        write_json(context.folder.result_file, {**described, **summary})
    finally:
        predictor.close()


def _evaluate(context: WorkerContext, spec: EvaluationSpec, predictor: Predictor, rounds: Rounds) -> dict[str, Any]:
    """Predict, measure and keep every picture; the summary (see `service.evaluations.results.evaluation_result`)."""
    meta = predictor.meta
    model = Labels.of_snapshot(meta)
    task = of(meta["task"], model)
    options = task.settled(TaskOptions.from_json(meta.get("options", {})), model.class_labels)
    options = task.with_thresholds(options, model.class_labels, spec.thresholds)
    match = rounds.source.match
    measures = spec.source == "split" and can_be_compared(task, model, bool(meta["preparation"].get("whitening")))
    numbers: tuple[int, ...] = ()
    if spec.source == "split" and meta.get("dataset_id") != spec.dataset_id:  # before anything is predicted
        numbers = places_in_label(task, meta, context.jobs_dir.folder(spec.dataset_id).dataset_info(), spec.split)
    truths = Truths(context, spec, predictor, task, match, numbers) if measures and not task.told_by_name else None
    labels, scale = (truths.labels, truths.scale) if truths else (None, 1.0)
    report = task.report(labels, model, options, scale, spec.top_n)
    model_answers = answering(predictor, spec.answering) if not spec.answering.is_plain else None
    gain = Gain(report, lambda: task.report(labels, model, options, scale, 1)) if spec.tta else None
    trivial = yardstick(
        context.jobs_dir, spec, task, meta.get("dataset_id", ""), lambda own: task.report(labels, model, own, scale, 1)
    )
    fitting = Fitting(meta, task, tiled=spec.tile_overlap is not None)
    checked = Finite(scores=task.activation(model) == "softmax")
    unknown = truths.unknown if truths else np.zeros(len(match.unknown), np.int64)
    spacings = Spacings(spec)
    analysis = task.analysis(labels, model, in_mm=task.of_places and spacings.is_known(rounds.source))
    columns = (*report.columns, *analysis.columns, *((ORIGIN,) if task.of_places else ()))
    keeps, measured = spec.source == "split", [np.zeros(0, np.int64)]
    for metric in report.counting:
        metric.keeps = keeps or gain is not None
    with writing_predictions(context.folder.path / PREDICTIONS_FILE, columns) as writer:
        for batch in rounds:
            answers, plain = _predict(predictor, model_answers, batch.features)
            checked.update(answers, None)
            outputs = _restored([task.kept(output) for output in answers], batch, fitting)
            true = batch.labels if task.told_by_name else truths.of(batch) if truths else None
            if task.told_by_name:
                places = unknown_place(batch.labels)
                unknown += np.bincount(places[places >= 0], minlength=len(unknown))
            origins = {ORIGIN.name: _origins(outputs, batch, meta, task)} if task.of_places else {}
            if keeps and true is not None:
                known = batch.labels >= 0 if task.told_by_name else slice(None)
                measured.append(np.asarray(batch.records)[known])
            sizes = spacings.of(batch.paths, origins[ORIGIN.name]) if analysis.columns else []
            kept = {**report.add(outputs, true), **analysis.add(outputs, true, sizes), **origins}
            writer.append(batch.paths, batch.records, kept)
            if gain is not None:
                gain.add(_restored([task.kept(output) for output in plain], batch, fitting), true)
            trivial.add(_restored(batch.features, batch, fitting) if trivial.sees_pictures else (), outputs, true)
    found = report.summary()
    if keeps:
        _keep_pictures(context, spec, report, np.concatenate(measured), found["metrics"])
    _analyse(context, spec, report, analysis)
    found["columns"] = [*found["columns"], *(column.name for column in analysis.columns)]
    key = deciding_metric(task.name, found["columns"] or found["metrics"]) or next(iter(found["columns"]), "")
    return {
        "kind": task.output_kind,
        "task": meta["task"],
        "count": rounds.read,
        "nonfinite": checked.nonfinite,
        "class_labels": list(meta["class_labels"]),
        "unknown_classes": [{"label": name, "count": count} for name, count in zip(match.unknown, unknown.tolist(), strict=True)],
        "missing_classes": [meta["class_labels"][number] for number in match.missing],
        "options": task.own_options(options),
        "baseline": trivial.best(),
        "key": key,
        "lower_is_better": is_lower_better(key),
        **({} if spec.answering.is_plain else {"answering": spec.answering.to_json()}),
        **({} if gain is None or not found["labelled"] else {"gain": gain.summary(found["metrics"], key)}),
        **found,
    }


def _keep_pictures(
    context: WorkerContext, spec: EvaluationSpec, report: Report, records: np.ndarray, metrics: Mapping[str, Any]
) -> None:
    """What comparisons are made from, of models whose training kept nothing (see `storage.validation_pictures`)."""
    kept, columns, stride = numbers_of(report.counting, records)
    if not columns or not len(records):
        return
    info = context.jobs_dir.folder(spec.dataset_id).dataset_info()
    about = {
        "step": -1,
        "epoch": spec.epoch,
        "snapshot": spec.snapshot,
        "metrics": dict(metrics),
        "task": info.task,
        "split": spec.split,
        "dataset_id": spec.dataset_id,
        "dataset_hash": info.content_hash,
        "total": len(records),
        "stride": stride,
        "answering": spec.answering.to_json(),
    }
    write_pictures(context.folder.path / FILE, kept, columns, about)


def _analyse(context: WorkerContext, spec: EvaluationSpec, report: Report, analysis: Analysis) -> None:
    """Write what is told beyond the metrics."""
    context.emit(ProgressEvent(fraction=1.0, stage="analyse"))
    folder = context.folder.path
    known = (folder / FILE).is_file()
    pictures = read_pictures(folder / FILE) if known else None
    done = Evaluated(
        PredictionReader(folder / PREDICTIONS_FILE),
        report.counting,
        dict(pictures.columns) if pictures is not None else {},
        len(pictures.records) if pictures is not None else 0,
        spec.is_validation,
        spec.temperature,
        spec.temperature_from,
    )
    write_json(folder / ANALYSIS_FILE, analysis.summary(done))


def _restored(arrays: Any, batch: PictureBatch, fitting: Fitting) -> Any:
    """Kept outputs (…, h, w) or pictures (C, h, w) of a batch at the sizes that the pictures had before they were fitted."""
    return [fitting.restored(one, size) for one, size in zip(arrays, batch.sizes, strict=True)] if batch.sizes else arrays


def _origins(outputs: Sequence[np.ndarray], batch: PictureBatch, meta: Mapping[str, Any], task: Task) -> list[Sequence[float]]:
    """Where each kept output of a batch, restored, comes from in the given picture, as the column of predictions has it."""
    found: list[Sequence[float]] = []
    for output, origin in zip(outputs, batch.origins, strict=True):
        lies = origin_of_output(output, origin, meta, task, restored=bool(batch.sizes))
        found.append(NO_ORIGIN if lies is None else lies.numbers)
    return found


def _predict(predictor: Predictor, model: Answers | None, features: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What the model answers to each picture, of any shape, and with test-time augmentation what it answers without; pictures of
    different sizes are predicted size by size. `model` is the predictor made to answer in another way, None: it is not."""
    found: list[Any] = [None] * len(features)
    plain: list[Any] = [None] * len(features) if isinstance(model, Turned) else []
    for numbers in groups_of_shape(features):
        pictures = np.stack([features[n] for n in numbers])
        if isinstance(model, Turned):
            answers, others = (scores_of(outputs, model.meta) for outputs in model.both(pictures))
            for number, other in zip(numbers, others, strict=True):
                plain[number] = other
        else:
            answers = predictor.scores(pictures) if model is None else scores(model, pictures)
        for number, answer in zip(numbers, answers, strict=True):
            found[number] = answer
    return found, plain
