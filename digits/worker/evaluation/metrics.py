"""Evaluations of segmentation, detection, image to image and regression: outputs and metrics of each picture and of all.

Metrics of all pictures are those of a training's validation, in the same units; those of one picture are the same metrics of
that picture alone. Records bring their truth; files have none, and then there are outputs only. Outputs for records of another
size than the model's are kept at the size of the records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from digits.domain.datasets import DatasetInfo
from digits.domain.inference import EvaluationSpec, class_places
from digits.domain.metrics import deciding_metric, is_lower_better
from digits.engines.base import Predictor
from digits.errors import DataError
from digits.images.arrays import groups_of_shape
from digits.images.prepare_for_model import Fitting
from digits.metrics.base import Metric
from digits.storage.predictions import OUTPUTS_FILE, writing_outputs
from digits.storage.records.open import open_split
from digits.tasks import Labels, Task, of
from digits.tasks.base import PICTURES
from digits.worker.evaluation import baseline as evaluation_baseline
from digits.worker.evaluation.batches import Rounds
from digits.worker.evaluation.sources import Batch
from digits.worker.runtime import WorkerContext


def evaluate(context: WorkerContext, spec: EvaluationSpec, predictor: Predictor, rounds: Rounds) -> dict[str, Any]:
    """Predict everything, write `outputs.arrow`; the summary (see `service.evaluations.sample_pages`)."""
    task = of(predictor.meta["task"], Labels.of_snapshot(predictor.meta))
    truths = Truths(context, spec, predictor, task) if spec.source == "split" else None
    metrics = truths.metrics() if truths else []
    names = task.picture_metrics if truths else ()
    fitting = Fitting(predictor.meta, task)
    labelled = 0
    with writing_outputs(context.folder.path / OUTPUTS_FILE, names) as writer:
        for batch in rounds:
            outputs = [task.kept(output) for output in _predict(predictor, batch.features)]
            if batch.sizes:
                outputs = [fitting.restored(output, size) for output, size in zip(outputs, batch.sizes, strict=True)]
            values: list[dict[str, float]] = [{} for _ in outputs]
            if truths is not None:
                values = [truths.measure(output, truth, metrics) for output, truth in zip(outputs, truths.of(batch), strict=True)]
                labelled += len(outputs)
            writer.append(batch.paths, batch.records.tolist(), outputs, values)
    found = {name: value for metric in metrics for name, value in metric.compute().items()}
    best = deciding_metric(task.name, names) or next(iter(names), "")
    return {
        "kind": task.output_kind,
        "task": predictor.meta["task"],
        "count": rounds.read,
        "labelled": labelled,
        "class_labels": list(predictor.meta["class_labels"]),
        "metrics": {name: _finite(value) for name, value in found.items() if "/" not in name},
        "per_class": _per_class(found),
        "baseline": evaluation_baseline.measured(context, spec, predictor.meta),
        "columns": list(names),
        "key": best,
        "lower_is_better": is_lower_better(best),
    }


class Truths:
    """Labels of the records of a split as the model's classes and units, and how to measure against them."""

    def __init__(self, context: WorkerContext, spec: EvaluationSpec, predictor: Predictor, task: Task) -> None:
        folder = context.jobs_dir.folder(spec.dataset_id)
        info = folder.dataset_info()
        self.task = task
        self.meta = predictor.meta
        self.reader = open_split(folder, spec.split, info)
        self.ignored = info.ignored
        meta = self.reader.meta
        labels = replace(Labels.of_records(meta), class_labels=tuple(self.meta["class_labels"]), ignored=self.ignored)
        self.itself = task.output_kind == PICTURES and not task.has_labels(labels)  # a picture is its own label
        shape = self.meta.get("label_shape")
        self.labels = replace(labels, kind="array", shape=meta.feature_shape) if self.itself else labels
        if shape and not self.itself:
            self.labels = replace(labels, shape=tuple(shape))
        self.scale = self._scale()
        self.places = np.array(class_places(info.class_labels, self.meta["class_labels"]), np.int64)
        self._check(info)

    def _scale(self) -> float:
        """Full scale of pictures of integers, 1 for everything else."""
        dtype = np.dtype(self.reader.meta.feature_dtype)
        if self.itself and np.issubdtype(dtype, np.integer):
            return float(np.iinfo(dtype).max)
        return float(self.meta["preparation"].get("label_scale", 1.0))

    def metrics(self) -> list[Metric]:
        return self.task.metrics(self.labels, validated=self.meta.get("metrics", {}))

    def of(self, batch: Batch) -> Iterator[np.ndarray]:
        """The truth of each picture of a batch: its label as `RecordReader.labels` gives it, or the picture (C, H, W), in the
        model's classes."""
        labels = self.reader.labels(batch.records)
        for label in labels if labels is not None else map(self.reader.feature, batch.records.tolist()):
            yield self._renumbered(np.asarray(label))

    def measure(self, output: np.ndarray, truth: np.ndarray, totals: Sequence[Metric]) -> dict[str, float]:
        """Add one picture, its kept output (see `Task.kept`) and its truth, e.g. (H, W) and (1, H, W), to `totals`; the
        metrics of it alone."""
        made, real = self.task.comparable(output, truth, self.scale)
        own = self.metrics()
        for metric in (*totals, *own):
            metric.update(made, real)
        return _computed(own)

    def _renumbered(self, label: np.ndarray) -> np.ndarray:
        """Class numbers of another data set as the model's; what the model does not know does not count."""
        if np.array_equal(self.places, np.arange(len(self.places))) or not len(self.places):
            return label
        return self.task.renumbered(label, self.places, self.ignored)

    def _check(self, info: DatasetInfo) -> None:
        if self.meta["class_labels"] and len(self.places) and (self.places < 0).all():
            raise DataError(
                f"The data set has the classes {', '.join(info.class_labels[:8])}; the model knows none of them.",
                advice="Choose a data set of the same classes.",
            )
        if self.labels.kind not in self.task.label_kinds:
            raise DataError(
                f"The labels of this data set are of the kind {self.labels.kind}; the model needs {self.task.label_kinds[0]}.",
                advice="Choose a data set of the same task.",
            )


def _predict(predictor: Predictor, features: Any) -> list[np.ndarray]:
    """The first output of each picture; pictures of different sizes are predicted size by size."""
    found: list[Any] = [None] * len(features)
    for numbers in groups_of_shape(features):
        outputs = predictor.predict(np.stack([features[n] for n in numbers]))
        for number, output in zip(numbers, next(iter(outputs.values())), strict=True):
            found[number] = output
    return found


def _computed(metrics: Sequence[Metric]) -> dict[str, float]:
    return {name: value for metric in metrics for name, value in metric.compute().items()}


def _per_class(found: dict[str, float]) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for name, value in found.items():
        kind, slash, label = name.partition("/")
        if slash:
            rows.setdefault(label, {"label": label})[kind] = _finite(value)
    return list(rows.values())


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
