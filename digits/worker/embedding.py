"""The runner of embeddings: brings every picture of a split to the vector of one layer, and the vectors to two dimensions.

Memory does not grow with the pictures: vectors are written as they come and read again for the projection (UMAP alone needs all
of them, as fifty components). Leaves `vectors.parquet`, `points.arrow`, `problems.jsonl` and, last, `result.json`. A run that
was interrupted starts again from nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from digits.domain.classes import NO_CLASS, unknown_place
from digits.domain.embeddings import MOST_NUMBERS, UMAP, EmbeddingSpec
from digits.domain.events import LogEvent, ProgressEvent, WarningEvent
from digits.domain.inference import EvaluationSpec
from digits.engines.base import Predictor
from digits.errors import BadRequest, DataError, JobStopped
from digits.images.arrays import groups_of_shape
from digits.metrics.projection import NEIGHBOUR_SIZE, Moments, components
from digits.storage.embeddings import VectorWriter, vector_parts, write_points, writing_vectors
from digits.storage.files import write_json
from digits.worker.evaluation.batches import Rounds, batch_size
from digits.worker.evaluation.sources import PictureBatch, open_source
from digits.worker.loading import load_snapshot
from digits.worker.runtime import WorkerContext


def run(context: WorkerContext) -> None:
    """Make the embedding that `job.json` describes."""
    spec = EmbeddingSpec.from_json(context.request.spec)
    context.emit(ProgressEvent(fraction=0.0, stage="load the model"))
    started = time.monotonic()
    predictor = load_snapshot(context, spec)
    try:
        layer = spec.layer or predictor.vector_layer()
        context.emit(LogEvent(message=f"Vectors of {layer}, with the snapshot of epoch {spec.epoch:g}."))
        moments, rounds, left_out, class_labels = _write(context, spec, predictor, layer)
    finally:
        predictor.close()
    context.emit(ProgressEvent(fraction=0.99, stage="project"))
    shares = _project(context, spec, moments)
    result = {
        "model_id": spec.model_id,
        "epoch": spec.epoch,
        "split": spec.split,
        "dataset_id": spec.dataset_id,
        "layer": layer,
        "projection": spec.projection,
        "count": moments.count,
        "size": len(moments.mean),
        "shares": shares,
        "class_labels": class_labels,
        "skipped": rounds.skipped,
        "nonfinite": left_out,
        "seconds": time.monotonic() - started,
    }
    write_json(context.folder.result_file, result)


def _write(
    context: WorkerContext, spec: EmbeddingSpec, predictor: Predictor, layer: str
) -> tuple[Moments, Rounds, int, list[str]]:
    """Write all vectors; what they add up to, how many had no numbers, and the names of all classes: the model's, then those that
    only the data set has."""
    source = EvaluationSpec(
        model_id=spec.model_id,
        snapshot=spec.snapshot,
        epoch=spec.epoch,
        source="split",
        dataset_id=spec.dataset_id,
        split=spec.split,
        limit=spec.limit,
    )
    opened = open_source(source, context.folder, context.jobs_dir, predictor.meta)
    own = list(predictor.meta.get("class_labels") or ())
    class_labels = [*own, *opened.match.unknown]
    rounds, left_out = Rounds(context, opened, batch_size(predictor)), 0
    moments: Moments | None = None
    about = {"model": spec.model_id, "epoch": spec.epoch, "layer": layer, "split": spec.split, "dataset": spec.dataset_id}
    with contextlib.ExitStack() as stack:
        writer: VectorWriter | None = None
        for batch in rounds:
            vectors = _vectors(predictor, batch, layer)
            if writer is None or moments is None:
                size = vectors.shape[1]
                writer = stack.enter_context(_opened(context, size, class_labels, about))
                moments = Moments(size)
            kept = np.isfinite(vectors).all(axis=1)
            left_out += int((~kept).sum())
            rows = np.flatnonzero(kept)
            if len(rows):
                paths = [batch.paths[n] for n in rows]
                labels = np.asarray(batch.labels)[rows]
                labels = np.where(labels < NO_CLASS, len(own) + unknown_place(labels), labels)
                writer.append(np.asarray(batch.records)[rows], paths, labels, vectors[rows])
                moments.add(vectors[rows])
        rounds.finish()
    if moments is None or not moments.count:
        raise DataError(f"{layer} gives NaN or infinity for every picture.", advice="Look at the layers on the model's page.")
    if left_out:
        message = f"{layer} gives NaN or infinity for {left_out:,} pictures, which are left out."
        context.emit(WarningEvent(code="nonfinite", message=message, advice="Look at its weights."))
    return moments, rounds, left_out, class_labels


def _opened(
    context: WorkerContext, size: int, class_labels: list[str], about: dict[str, Any]
) -> contextlib.AbstractContextManager[VectorWriter]:
    if size > MOST_NUMBERS:
        raise BadRequest(
            f"A vector of {about['layer']} has {size:,} numbers; at most {MOST_NUMBERS:,} are projected.",
            advice="Choose a later layer, or one with maps (C, h, w): these are averaged over their places.",
        )
    return writing_vectors(context.folder.path, size, class_labels, about)


def _vectors(predictor: Predictor, batch: PictureBatch, layer: str) -> np.ndarray:
    """(N, D) float32; pictures of different sizes are computed size by size."""
    found: list[Any] = [None] * len(batch.paths)
    for numbers in groups_of_shape(batch.features):
        values = predictor.vectors(np.stack([batch.features[n] for n in numbers]), layer)
        for number, value in zip(numbers, values, strict=True):
            found[number] = value
    if len({len(value) for value in found}) > 1:
        raise BadRequest(f"{layer} gives vectors of several lengths.", advice="Choose a layer that does not depend on the size.")
    return np.stack(found)


def _project(context: WorkerContext, spec: EmbeddingSpec, moments: Moments) -> list[float]:
    """Write the points; which share of the variance each axis of PCA has, nothing for UMAP."""
    count = 2 if spec.projection != UMAP else NEIGHBOUR_SIZE
    directions, shares = components(moments, count)  # (D, k)
    records, labels, points = [], [], []
    for part_records, part_labels, vectors in _read(context):
        records.append(part_records)
        labels.append(part_labels)
        points.append((vectors - moments.mean) @ directions)
    found = np.concatenate(points)  # (N, k)
    if spec.projection == UMAP:
        import umap

        context.emit(ProgressEvent(fraction=0.99, stage="UMAP"))
        neighbours = max(2, min(15, len(found) - 1))
        found = umap.UMAP(n_components=2, n_neighbors=neighbours, random_state=0).fit_transform(found.astype(np.float32))
    if found.shape[1] < 2:  # vectors of a single number
        found = np.column_stack([found[:, 0], np.zeros(len(found))])
    write_points(context.folder.path, np.concatenate(records), np.concatenate(labels), found[:, :2])
    return [] if spec.projection == UMAP else [float(share) for share in shares[:2]]


def _read(context: WorkerContext) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    for part in vector_parts(context.folder.path):
        if context.should_stop():
            raise JobStopped("The embedding was stopped.")
        yield part
