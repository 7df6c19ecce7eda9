"""What is true of the records that an evaluation predicts, as the model's classes and units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from digits.domain.classes import NO_CLASS, ClassMatch
from digits.domain.datasets import DatasetInfo
from digits.domain.inference import EvaluationSpec
from digits.engines.base import Predictor
from digits.errors import DataError
from digits.storage.records.open import open_split
from digits.tasks import Labels, Task
from digits.worker.evaluation.sources import PictureBatch
from digits.worker.runtime import WorkerContext


class Truths:
    """Labels of the records of a split as the model's classes and units, and the scale they are measured in. `unknown` (K,) int64
    counts what `of` met of the classes that the model does not know."""

    def __init__(
        self,
        context: WorkerContext,
        spec: EvaluationSpec,
        predictor: Predictor,
        task: Task,
        match: ClassMatch,
        numbers: Sequence[int] = (),
    ) -> None:
        """`numbers` are the places of the model's in a label, as `tasks.truth` finds them."""
        folder = context.jobs_dir.folder(spec.dataset_id)
        info = folder.dataset_info()
        self.task = task
        self.meta = predictor.meta
        self.reader = open_split(folder, spec.split, info)
        self.ignored = info.ignored
        self.match = match
        self.places = np.array(self.match.places, np.int64)
        self.numbers = list(numbers)
        self.unknown = np.zeros(len(self.match.unknown), np.int64)
        meta = self.reader.meta
        labels = self._in_the_models_classes(Labels.of_records(meta))
        shape, itself = self.meta.get("label_shape"), not task.has_labels(labels)  # a picture is its own label
        self.labels = task.compared(labels) if itself or not shape else replace(labels, shape=tuple(shape))
        self.scale = task.label_scale(self.labels) if itself else float(self.meta["preparation"].get("label_scale", 1.0))
        self._check(info)

    def _in_the_models_classes(self, labels: Labels) -> Labels:
        """What is true of the labels when `of` gives them."""
        ignored, model = self.ignored if self.match.is_same else NO_CLASS, Labels.of_snapshot(self.meta)
        names, missing = model.class_labels, self.match.missing
        return replace(labels, class_labels=names, ignored=ignored, columns=model.columns, missing=missing)

    def of(self, batch: PictureBatch) -> list[np.ndarray]:
        """The truth of each picture of a batch: its label as `RecordReader.labels` gives it, or the picture (C, H, W), in the
        model's classes."""
        labels = self.reader.labels(batch.records)
        found = labels if labels is not None else map(self.reader.feature, batch.records.tolist())
        return [self._renumbered(np.asarray(label)) for label in found]

    def _renumbered(self, label: np.ndarray) -> np.ndarray:
        """A label (any shape) with class numbers, or the columns, of another data set as the model's."""
        if self.numbers:
            return label[self.numbers]
        if self.match.is_same:
            return label
        if self.match.unknown:
            counts = self.task.class_counts(label, len(self.places), self.ignored)
            self.unknown += counts[self.places < NO_CLASS].astype(np.int64)
        return self.task.renumbered(label, self.places, self.ignored)

    def _check(self, info: DatasetInfo) -> None:
        if self.meta["class_labels"] and len(self.places) and (self.places < 0).all():
            raise DataError(
                f"The data set has the classes {', '.join(info.class_labels[:8])}; the model knows none of them.",
                advice="Choose a data set of the same classes.",
            )
