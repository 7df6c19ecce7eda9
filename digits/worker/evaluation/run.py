"""Predict many pictures with one snapshot: read ahead in threads, predict in batches, write predictions and the summary.

Leaves the predictions (`predictions.arrow` of classes, `outputs.arrow` of every other task), `problems.jsonl` (pictures that
could not be read) and, last, `result.json`. A run that was interrupted starts again from nothing.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from digits.domain.events import LogEvent, ProgressEvent
from digits.domain.inference import EvaluationSpec
from digits.engines.base import Predictor, get_engine
from digits.errors import StorageError
from digits.frameworks import DEFAULT
from digits.images.arrays import groups_of_shape
from digits.metrics.classification_report import ClassificationReport
from digits.storage.files import write_json
from digits.storage.predictions import PREDICTIONS_FILE, writing_predictions
from digits.tasks import Labels, of
from digits.worker.evaluation import metrics as task_evaluation
from digits.worker.evaluation.batches import Rounds, batch_size
from digits.worker.evaluation.sources import open_source
from digits.worker.runtime import WorkerContext

TOP_KEPT = 10


def run(context: WorkerContext) -> None:
    """Do the evaluation that `job.json` describes."""
    spec = EvaluationSpec.from_json(context.request.spec)
    context.emit(ProgressEvent(fraction=0.0, stage="load the model"))
    predictor = _load(context, spec)
    try:
        source = open_source(spec, context.folder, context.jobs_dir, predictor.meta)
        context.emit(LogEvent(message=f"Predicting {source.total:,} pictures with the snapshot of epoch {spec.epoch:g}."))
        started = time.time()
        rounds = Rounds(context, source, batch_size(predictor))
        task = of(predictor.meta["task"], Labels.of_snapshot(predictor.meta))
        work = _classify if task.counted == "records" else task_evaluation.evaluate
        summary = work(context, spec, predictor, rounds)
        rounds.finish()
        described = {
            "model_id": spec.model_id,
            "snapshot": spec.snapshot,
            "epoch": spec.epoch,
            "skipped": rounds.skipped,
            "seconds": time.time() - started,
        }
        write_json(context.folder.result_file, {**described, **summary})
    finally:
        predictor.close()


def _load(context: WorkerContext, spec: EvaluationSpec) -> Predictor:
    path = context.jobs_dir.folder(spec.model_id).path / spec.snapshot
    if not path.is_file():
        raise StorageError(f"The snapshot {spec.snapshot} of model {spec.model_id} is gone.", advice="Choose another epoch.")
    engine = get_engine(spec.framework or DEFAULT)
    return engine.load(path, "cuda:0" if context.gpus else "cpu")


def _classify(context: WorkerContext, spec: EvaluationSpec, predictor: Predictor, rounds: Rounds) -> dict[str, Any]:
    labels = predictor.meta["class_labels"]
    report = ClassificationReport(labels, spec.top_n)
    with writing_predictions(context.folder.path / PREDICTIONS_FILE, len(labels), TOP_KEPT) as writer:
        for batch in rounds:
            probabilities = _forward(predictor, batch.features, labels)
            report.add(probabilities, batch.labels)
            writer.append(batch.paths, batch.records, batch.labels, probabilities)
    return report.summary()


def _forward(predictor: Predictor, features: Any, labels: list[str]) -> np.ndarray:
    """Probabilities (N, K); pictures of different sizes are predicted size by size."""
    if isinstance(features, np.ndarray):
        return _scores(predictor.predict(features), labels)
    found = np.empty((len(features), len(labels)), np.float32)
    for numbers in groups_of_shape(features):
        found[numbers] = _scores(predictor.predict(np.stack([features[n] for n in numbers])), labels)
    return found


def _scores(outputs: dict[str, np.ndarray], labels: list[str]) -> np.ndarray:
    """The output named `output` (else the last) is the scores; those beyond the labels are dropped, missing ones are 0 (R 5)."""
    chosen = outputs.get("output", list(outputs.values())[-1])
    scores = chosen.reshape(len(chosen), -1)[:, : len(labels)].astype(np.float32)
    missing = len(labels) - scores.shape[1]
    return np.pad(scores, ((0, 0), (0, missing))) if missing else scores
