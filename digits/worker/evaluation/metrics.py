"""Evaluations of segmentation, detection, image to image and regression: outputs and metrics of each picture and of all.

Metrics of all pictures are those of a training's validation, in the same units; those of one picture are the same metrics of
that picture alone. Records bring their truth; files have none, and then there are outputs only. Outputs for records of another
size than the model's are kept at the size of the records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from digits.domain.datasets import IGNORED, DatasetInfo
from digits.domain.inference import EvaluationSpec, class_places, output_kind
from digits.domain.metrics import default_best_metric, is_lower_better
from digits.engines.base import Predictor
from digits.errors import DataError
from digits.metrics.metrics import Metric, metrics_for
from digits.storage.predictions import OUTPUTS_FILE, writing_outputs
from digits.storage.records.open import open_split
from digits.worker.evaluation import baseline as evaluation_baseline
from digits.worker.evaluation.batches import Rounds
from digits.worker.evaluation.sources import Batch
from digits.worker.evaluation_fitting import Fitting
from digits.worker.runtime import WorkerContext

OF_ONE = {
    "map": ("mean_dice", "mean_iou", "pixel_accuracy"),
    "boxes": ("map50", "precision", "recall"),
    "pictures": ("psnr", "ssim", "mae", "rmse"),
    "numbers": ("mae", "rmse"),
}


def evaluate(context: WorkerContext, spec: EvaluationSpec, predictor: Predictor, rounds: Rounds) -> dict[str, Any]:
    """Predict everything, write `outputs.arrow`; the summary (see `service.task_evaluations`)."""
    kind = output_kind(predictor.meta)
    truths = Truths(context, spec, predictor, kind) if spec.source == "split" else None
    metrics = truths.metrics() if truths else []
    names = OF_ONE[kind] if truths else ()
    fitting = Fitting(predictor.meta)
    labelled = 0
    with writing_outputs(context.folder.path / OUTPUTS_FILE, names) as writer:
        for batch in rounds:
            outputs = [_kept(output, kind) for output in _predict(predictor, batch.features)]
            if batch.sizes:
                outputs = [fitting.restored(output, size) for output, size in zip(outputs, batch.sizes, strict=True)]
            values: list[dict[str, float]] = [{} for _ in outputs]
            if truths is not None:
                values = [truths.measure(output, truth, metrics) for output, truth in zip(outputs, truths.of(batch), strict=True)]
                labelled += len(outputs)
            writer.append(batch.paths, batch.records.tolist(), outputs, values)
    found = {name: value for metric in metrics for name, value in metric.compute().items()}
    best = default_best_metric(predictor.meta["task"], names)
    return {
        "kind": kind,
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

    def __init__(self, context: WorkerContext, spec: EvaluationSpec, predictor: Predictor, kind: str) -> None:
        folder = context.jobs_dir.folder(spec.dataset_id)
        info = folder.dataset_info()
        self.kind = kind
        self.meta = predictor.meta
        self.reader = open_split(folder, spec.split, info)
        self.ignored = int(info.extra.get("ignore_index", IGNORED))
        self.itself = kind == "pictures" and self.reader.meta.label_kind == "none"  # a picture is its own label
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
        shape = self.meta.get("label_shape")
        meta = self.reader.meta
        return metrics_for(
            self.meta["task"],
            "array" if self.itself else meta.label_kind,
            meta.feature_shape if self.itself else tuple(shape) if shape else meta.label_shape,
            self.meta["class_labels"],
            self.ignored,
        )

    def of(self, batch: Batch) -> Iterator[np.ndarray]:
        """The truth of each picture of a batch."""
        labels = self.reader.labels(batch.records)
        for label in labels if labels is not None else map(self.reader.feature, batch.records.tolist()):
            yield self._renumbered(np.asarray(label))

    def measure(self, output: np.ndarray, truth: np.ndarray, totals: Sequence[Metric]) -> dict[str, float]:
        """Add one picture to `totals`; its own values."""
        made, real = self._comparable(output, truth)
        own = self.metrics()
        one: Any = ([made], [real]) if self.kind == "boxes" else (made[None], real[None])
        for metric in (*totals, *own):
            metric.update(*one)
        return _computed(own)

    def _comparable(self, output: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.kind == "boxes":
            return output, truth
        if self.kind == "map":
            return output, _centre(truth.reshape(truth.shape[-2:]), output.shape)
        if self.kind == "pictures":
            truth = _centre(truth, output.shape)
        if output.size != truth.size:
            raise DataError(
                f"The model gives outputs of shape {output.shape}, the labels of this data set have {truth.shape}.",
                advice="Evaluate on a data set whose labels have the shape of those the model was trained on.",
            )
        return output / self.scale, truth.astype(np.float64).reshape(output.shape) / self.scale

    def _renumbered(self, label: np.ndarray) -> np.ndarray:
        """Class numbers of another data set as the model's; what the model does not know does not count."""
        if np.array_equal(self.places, np.arange(len(self.places))) or not len(self.places):
            return label
        if self.kind == "map":
            table = np.full(max(256, len(self.places)), self.ignored, np.int64)
            table[: len(self.places)] = np.where(self.places < 0, self.ignored, self.places)
            return table[np.clip(label.astype(np.int64), 0, len(table) - 1)]
        if self.kind == "boxes":
            kept = label[self.places[np.clip(label["class"], 0, len(self.places) - 1)] >= 0].copy()
            kept["class"] = self.places[kept["class"]]
            return kept
        return label

    def _check(self, info: DatasetInfo) -> None:
        if self.meta["class_labels"] and len(self.places) and (self.places < 0).all():
            raise DataError(
                f"The data set has the classes {', '.join(info.class_labels[:8])}; the model knows none of them.",
                advice="Choose a data set of the same classes.",
            )
        expected = {"map": ("map", "array"), "boxes": ("boxes",)}.get(self.kind)
        if expected and self.reader.meta.label_kind not in expected:
            raise DataError(
                f"The labels of this data set are of the kind {self.reader.meta.label_kind}; the model needs {expected[0]}.",
                advice="Choose a data set of the same task.",
            )


def _predict(predictor: Predictor, features: Any) -> list[np.ndarray]:
    """The first output of each picture; pictures of different sizes are predicted size by size."""
    shapes: dict[tuple[int, ...], list[int]] = {}
    for number, feature in enumerate(features):
        shapes.setdefault(feature.shape, []).append(number)
    found: list[Any] = [None] * len(features)
    for numbers in shapes.values():
        outputs = predictor.predict(np.stack([features[n] for n in numbers]))
        for number, output in zip(numbers, next(iter(outputs.values())), strict=True):
            found[number] = output
    return found


def _kept(output: np.ndarray, kind: str) -> np.ndarray:
    """What is kept of an output: the class of each pixel, boxes with a score, everything else as it is."""
    if kind == "map" and output.ndim == 3:
        return output.argmax(axis=0).astype(np.uint8 if output.shape[0] <= 256 else np.int32)
    return output[output[:, 4] > 0] if kind == "boxes" else output


def _centre(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The middle of a larger label, as the crop of the picture is its middle. Raises DataError when sizes cannot match."""
    room = [have - want for have, want in zip(array.shape[-2:], shape[-2:], strict=True)]
    if min(room) < 0:
        raise DataError(
            f"The model gives outputs of {shape[-1]}×{shape[-2]} pixels, the labels of this data set have "
            f"{array.shape[-1]}×{array.shape[-2]}.",
            advice="The output of the network must have the size of the label.",
        )
    y, x = room[0] // 2, room[1] // 2
    return array[..., y : y + shape[-2], x : x + shape[-1]]


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
