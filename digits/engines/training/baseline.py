"""What guessing without looking would score: the yardstick beside each metric.

Holds: the guess is made from the training labels alone and measured on the whole validation split with the metrics of the
training, in the same units. Classification: the scores are the classes' shares (so the first guess is the most frequent
class). Segmentation: the most frequent class for every pixel. Numbers: their mean. Pictures: the mean of each channel, or the
unchanged input where that is closer. Detection: no box at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from digits.engines.base import Records, TrainingRun
from digits.engines.training.batches import BatchSource, split_batches
from digits.engines.training.preprocessing import label_scale
from digits.engines.training.setup import metrics_of
from digits.errors import JobStopped

TRAIN_SAMPLES = 2000  # of larger sets the guess is made from so many labels, evenly spaced
MAPS_AT_ONCE = 16
LABELS_AT_ONCE = 4096

Guess = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (features, labels) of a batch -> outputs


@dataclass(frozen=True)
class Baseline:
    """Metrics by name, and the guess in words: "always …"."""

    values: dict[str, float]
    description: str


def measure(run: TrainingRun, source: BatchSource | None) -> Baseline | None:
    """The baseline of a training; None where there is nothing to measure it on or with. Raises JobStopped."""
    if source is None or not len(source.records) or not _metrics(run):
        return None
    meta = run.train.meta
    if run.spec.task == "segmentation":
        return _measured(run, source, *_most_frequent_class(run))
    if meta.label_kind == "boxes":
        return _no_boxes(run, source)
    if meta.label_kind == "index" and run.info.class_labels:
        return _measured(run, source, *_class_shares(run))
    found = _measured(run, source, *_mean(run))
    if run.spec.task == "processing" and meta.label_shape == meta.feature_shape and meta.label_dtype == meta.feature_dtype:
        same = _measured(run, source, lambda features, labels: features.astype(np.float32), "the unchanged input", features=True)
        return max(found, same, key=lambda baseline: baseline.values.get("psnr", -np.inf))
    return found


def _metrics(run: TrainingRun) -> list[Any]:
    return metrics_of(run)


def _measured(run: TrainingRun, source: BatchSource, guess: Guess, description: str, features: bool = False) -> Baseline:
    metrics = _metrics(run)
    scale = label_scale(run.spec.task, run.train.meta)
    for x, labels in _batches(run, source, features):
        outputs = guess(x, labels)
        for metric in metrics:
            if scale == 1.0:
                metric.update(outputs, labels)
            else:
                metric.update(outputs / scale, labels / scale)
    values = {name: value for metric in metrics for name, value in metric.compute().items()}
    return Baseline(values, description)


def _batches(run: TrainingRun, source: BatchSource, features: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Features (empty unless wanted) and labels as a validation sees them."""
    records = source.records
    is_map = records.meta.label_kind in ("map", "array")
    size = LABELS_AT_ONCE if not is_map else MAPS_AT_ONCE if records.meta.label_shape is not None else 1
    for indices in split_batches(np.arange(len(records), dtype=np.int64), size):
        if run.should_stop() and not run.devices:
            raise JobStopped("The training was stopped while its baseline was measured.")
        if features or (source.crops and source.crop_labels):
            batch = source.load(indices)
            x, labels = batch.features, batch.labels
        else:
            x, labels = np.empty(0), records.labels(indices)
        array = np.asarray(labels)
        yield x, array.reshape(len(indices), *array.shape[-2:]) if run.spec.task == "segmentation" else array


def _training_labels(records: Records) -> Iterator[np.ndarray]:
    count = min(len(records), TRAIN_SAMPLES)
    chosen = np.unique(np.linspace(0, len(records) - 1, count).astype(np.int64))
    size = MAPS_AT_ONCE if records.meta.label_shape is not None else 1
    for indices in split_batches(chosen, size):
        yield np.asarray(records.labels(indices))


def _most_frequent_class(run: TrainingRun) -> tuple[Guess, str]:
    labels = run.info.class_labels
    counts = np.zeros(len(labels))
    for part in _training_labels(run.train):
        counts += np.bincount(part[(part >= 0) & (part < len(labels))].astype(np.int64), minlength=len(labels))
    best = int(np.argmax(counts))
    return lambda _, truth: np.full(truth.shape, best), f"every pixel “{labels[best]}”"


def _class_shares(run: TrainingRun) -> tuple[Guess, str]:
    labels = run.info.class_labels
    split = run.info.splits.get("train_db")
    counts = np.array(split.class_counts if split else (), np.float64)
    if len(counts) != len(labels):
        truth = np.asarray(run.train.labels(np.arange(len(run.train))))
        counts = np.bincount(truth[(truth >= 0) & (truth < len(labels))], minlength=len(labels)).astype(np.float64)
    return (
        lambda _, truth: np.broadcast_to(counts, (len(truth), len(labels))),
        f"always the most frequent class, “{labels[int(np.argmax(counts))]}”",
    )


def _no_boxes(run: TrainingRun, source: BatchSource) -> Baseline:
    metric = _metrics(run)[0]
    truth = source.records.labels(np.arange(len(source.records)))
    metric.update([np.zeros((0, 6))] * len(truth), truth)
    return Baseline(metric.compute(), "no box anywhere")


def _mean(run: TrainingRun) -> tuple[Guess, str]:
    """The mean label; of pictures the mean of each channel."""
    shape = run.train.meta.label_shape or (1, 2, 2)  # without one shape they are pictures of several sizes
    is_picture = run.train.meta.label_kind in ("map", "array") and len(shape) == 3 and min(shape[1:]) > 1
    total: Any = 0.0
    count = 0
    for part in _training_labels(run.train):
        values = part.astype(np.float64)
        total = total + (values.mean(axis=(2, 3), keepdims=True) if is_picture else values).sum(axis=0)
        count += len(part)
    mean = np.asarray(total / count)
    name = "the mean colour everywhere" if is_picture else "always the mean of the training labels"
    return lambda _, truth: np.broadcast_to(mean, truth.shape).astype(np.float32), name
