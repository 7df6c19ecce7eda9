"""Predict many pictures with one snapshot: read ahead in threads, predict in batches, write predictions and the summary.

Leaves `predictions.arrow`, `problems.jsonl` (pictures that could not be read) and, last, `result.json`. A run that was
interrupted starts again from nothing.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np

from digits.domain.events import LogEvent, ProgressEvent, WarningEvent
from digits.domain.inference import EvaluationSpec
from digits.engines.base import Predictor, get_engine
from digits.errors import DataError, JobStopped, StorageError
from digits.storage.files import atomic, write_json
from digits.storage.predictions import FILE_NAME, PredictionWriter, writing
from digits.worker.evaluation_sources import Batch, Source, open_source
from digits.worker.runtime import WorkerContext
from digits.worker.tally import Tally

TOP_KEPT = 10
PROGRESS_SECONDS = 0.3
BATCH_BYTES = 32 * 2**20  # of float32 input
SMALLEST_BATCH, LARGEST_BATCH = 8, 256
READ_AHEAD = 2  # batches per reading thread


def run(context: WorkerContext) -> None:
    """Do the evaluation that `job.json` describes."""
    spec = EvaluationSpec.from_json(context.request.spec)
    context.emit(ProgressEvent(fraction=0.0, stage="load the model"))
    predictor = _load(context, spec)
    try:
        source = open_source(spec, context.folder, context.jobs_dir, predictor.meta)
        context.emit(LogEvent(message=f"Predicting {source.total:,} pictures with the snapshot of epoch {spec.epoch:g}."))
        started = time.time()
        tally, skipped = _evaluate(context, spec, predictor, source)
        _finish(context, spec, tally, skipped, time.time() - started)
    finally:
        predictor.close()


def _load(context: WorkerContext, spec: EvaluationSpec) -> Predictor:
    path = context.jobs_dir.folder(spec.model_id).path / spec.snapshot
    if not path.is_file():
        raise StorageError(f"The snapshot {spec.snapshot} of model {spec.model_id} is gone.", advice="Choose another epoch.")
    engine = get_engine(str(spec.options.get("framework") or "pytorch"))
    return engine.load(path, "cuda:0" if context.gpus else "cpu")


@dataclass
class _Progress:
    """Tells how far the work is, a few times a second at most."""

    context: WorkerContext
    total: int
    done: int = 0
    started: float = field(default_factory=time.monotonic)
    told: float = 0.0

    def add(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.told < PROGRESS_SECONDS and self.done < self.total:
            return
        self.told = now
        rate = self.done / max(now - self.started, 1e-6)
        self.context.emit(
            ProgressEvent(
                fraction=min(1.0, self.done / self.total),
                stage="classify",
                done=self.done,
                total=self.total,
                unit="images",
                rate=rate,
                eta=(self.total - self.done) / rate if rate else None,
            )
        )


def _evaluate(context: WorkerContext, spec: EvaluationSpec, predictor: Predictor, source: Source) -> tuple[Tally, int]:
    labels = predictor.meta["class_labels"]
    tally, skipped = Tally(labels, spec.top_n), 0
    progress = _Progress(context, source.total)
    path = context.folder.path / FILE_NAME
    with atomic(context.folder.problems_file, "w") as problems, writing(path, len(labels), TOP_KEPT) as writer:
        for batch in _read_ahead(source, _batch_size(predictor), max(2, context.cpus)):
            if context.should_stop():
                raise JobStopped("The evaluation was stopped.")
            _predict(predictor, batch, tally, writer)
            skipped += _note(problems, batch)
            progress.add(batch.seen)
    if not tally.count:
        raise DataError(
            f"None of the {source.total:,} pictures could be read.", advice=f"The first reason: {_first_problem(context)}"
        )
    return tally, skipped


def _read_ahead(source: Source, size: int, threads: int) -> Iterator[Batch]:
    """Batches in order, read by several threads that keep a bounded number ready."""
    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="read") as pool:
        try:
            for task in source.tasks(size):
                waiting.append(pool.submit(task))
                if len(waiting) > threads * READ_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _predict(predictor: Predictor, batch: Batch, tally: Tally, writer: PredictionWriter) -> None:
    if not batch.paths:
        return
    probabilities = _forward(predictor, batch.features, tally.class_labels)
    tally.add(probabilities, batch.labels)
    writer.append(batch.paths, batch.records, batch.labels, probabilities)


def _forward(predictor: Predictor, features: Any, labels: list[str]) -> np.ndarray:
    """Probabilities (N, K); pictures of different sizes are predicted size by size."""
    if isinstance(features, np.ndarray):
        return _scores(predictor.predict(features), labels)
    shapes: dict[tuple[int, ...], list[int]] = {}
    for number, feature in enumerate(features):
        shapes.setdefault(feature.shape, []).append(number)
    found = np.empty((len(features), len(labels)), np.float32)
    for numbers in shapes.values():
        found[numbers] = _scores(predictor.predict(np.stack([features[n] for n in numbers])), labels)
    return found


def _scores(outputs: dict[str, np.ndarray], labels: list[str]) -> np.ndarray:
    """The output named `output` (else the last) is the scores; those beyond the labels are dropped, missing ones are 0 (R 5)."""
    chosen = outputs.get("output", list(outputs.values())[-1])
    scores = chosen.reshape(len(chosen), -1)[:, : len(labels)].astype(np.float32)
    missing = len(labels) - scores.shape[1]
    return np.pad(scores, ((0, 0), (0, missing))) if missing else scores


def _batch_size(predictor: Predictor) -> int:
    values = int(np.prod(predictor.meta["input_shape"]))
    return int(np.clip(BATCH_BYTES // (4 * values), SMALLEST_BATCH, LARGEST_BATCH))


def _note(problems: IO[str], batch: Batch) -> int:
    for path, reason in batch.problems:
        problems.write(json.dumps({"path": path, "reason": reason}, ensure_ascii=False) + "\n")
    return len(batch.problems)


def _first_problem(context: WorkerContext) -> str:
    with open(context.folder.problems_file, encoding="utf-8") as lines:
        return str(json.loads(next(lines, '{"reason": "unknown"}'))["reason"])


def _finish(context: WorkerContext, spec: EvaluationSpec, tally: Tally, skipped: int, seconds: float) -> None:
    if skipped:
        context.emit(
            WarningEvent(
                code="unreadable",
                message=f"{skipped:,} of {tally.count + skipped:,} pictures could not be read and are left out.",
                advice="problems.jsonl in the job's folder lists them with the reason.",
            )
        )
    described = {
        "model_id": spec.model_id,
        "snapshot": spec.snapshot,
        "epoch": spec.epoch,
        "skipped": skipped,
        "seconds": seconds,
    }
    write_json(context.folder.result_file, {**described, **tally.summary()})
