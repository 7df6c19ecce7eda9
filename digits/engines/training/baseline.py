"""What guessing without looking would score: the yardstick beside each metric.

Holds: the guess is made from the training labels alone (`Task.guesses`) and measured on the whole validation split with the
metrics of the training and its loss, where that is a named one, in the same units; of several guesses the one counts that the
deciding metric finds best.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from digits.domain.datasets import TRAIN_DB
from digits.domain.metrics import beats, deciding_metric, is_lower_better
from digits.engines.base import Records, TrainingRun
from digits.engines.training.batches import BatchSource, split_batches
from digits.engines.training.setup import labels_of, metric_scale, metrics_of, task_of
from digits.engines.training.step import TrainingStep
from digits.engines.training.totals import Totals
from digits.errors import JobStopped
from digits.tasks import Labels, Task
from digits.tasks.base import Guess

SMALL = 256  # numbers of a label, up to which all labels are read
TRAIN_SAMPLES = 2000  # of larger sets of larger labels the guess is made from so many, evenly spaced
MAPS_AT_ONCE = 16
LABELS_AT_ONCE = 4096


@dataclass(frozen=True)
class Baseline:
    """Metrics by name, and the guess in words: "always …"."""

    values: dict[str, float]
    description: str


def measure(run: TrainingRun, source: BatchSource | None, training_step: TrainingStep) -> Baseline | None:
    """The baseline of a training; None where there is nothing to measure it on or with. Raises JobStopped."""
    if source is None or not len(source.records) or not metrics_of(run):
        return None
    task, split = task_of(run), run.info.splits.get(TRAIN_DB)
    guesses = task.guesses(labels_of(run), lambda: training_labels(run.train, task), split.class_counts if split else ())
    best: Baseline | None = None
    for guess in guesses:
        found = _measured(run, source, guess, training_step)
        name = deciding_metric(task.name, found.values)
        value = found.values.get(name)
        if best is None or beats(value, best.values.get(name), is_lower_better(name)):
            best = found
    return best


def _measured(run: TrainingRun, source: BatchSource, guess: Guess, training_step: TrainingStep) -> Baseline:
    metrics, losses, scale = metrics_of(run), Totals(), metric_scale(run)
    for x, labels in _batches(run, source, guess.sees_pictures):
        outputs = guess.answer(x, labels)  # (n, …), as a network's
        for metric in metrics:
            if scale == 1.0:
                metric.update(outputs, labels)
            else:
                metric.update(outputs / scale, labels / scale)
        scores = outputs if guess.scores is None else guess.scores(labels)
        for part in _parts(len(labels), is_map=guess.scores is not None and scores.ndim > 2):
            losses.add(training_step.loss_of(scores[part], labels[part]) or Totals())
    values = {name: value for metric in metrics for name, value in metric.compute().items()}
    return Baseline(losses.means() | values, guess.words)


def _parts(count: int, *, is_map: bool) -> list[slice]:
    """Scores of all classes for every pixel are looked at picture by picture."""
    return [slice(i, i + 1) for i in range(count)] if is_map else [slice(count)]


def _batches(run: TrainingRun, source: BatchSource, features: bool) -> Iterator[tuple[np.ndarray, Any]]:
    """Features (empty unless wanted) and targets as a validation sees them; where there are none the pictures, as stored."""
    records, task = source.records, task_of(run)
    has_labels = task.has_labels(labels_of(run))
    shape = records.meta.label_shape if has_labels else records.meta.feature_shape
    size = 1 if shape is None else LABELS_AT_ONCE if math.prod(shape) <= SMALL else MAPS_AT_ONCE
    for indices in split_batches(np.arange(len(records), dtype=np.int64), size):
        if run.should_stop() and not run.devices:
            raise JobStopped("The training was stopped while its baseline was measured.")
        if features or not has_labels or (source.crops and source.crop_labels):
            batch = source.load(indices)
            x, labels = batch.features, batch.labels
        else:
            x, labels = np.empty(0), records.labels(indices)
        run.motion.moved()
        yield x, task.targets(labels if has_labels else x)


def training_labels(records: Records, task: Task) -> Iterator[np.ndarray]:
    """Arrays (n, …) of the labels that guesses are made from; of records without labels their features, which are learnt."""
    has_labels = task.has_labels(Labels.of_records(records.meta))
    shape = records.meta.label_shape if has_labels else records.meta.feature_shape
    is_small = shape is not None and math.prod(shape) <= SMALL
    count = len(records) if is_small else min(len(records), TRAIN_SAMPLES)
    chosen = np.unique(np.linspace(0, len(records) - 1, count).astype(np.int64))
    size = 1 if shape is None else LABELS_AT_ONCE if is_small else MAPS_AT_ONCE
    for indices in split_batches(chosen, size):
        yield np.asarray(records.labels(indices) if has_labels else records.features(indices))
