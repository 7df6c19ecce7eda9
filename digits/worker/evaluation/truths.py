"""What is true of the records that an evaluation predicts, as the model's classes and units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from digits.domain.datasets import DatasetInfo
from digits.domain.inference import EvaluationSpec, class_places
from digits.engines.base import Predictor
from digits.errors import DataError
from digits.storage.records.open import open_split
from digits.tasks import Labels, Task
from digits.tasks.base import PICTURES
from digits.worker.evaluation.sources import PictureBatch
from digits.worker.runtime import WorkerContext


class Truths:
    """Labels of the records of a split as the model's classes and units, and the scale they are measured in."""

    def __init__(self, context: WorkerContext, spec: EvaluationSpec, predictor: Predictor, task: Task) -> None:
        folder = context.jobs_dir.folder(spec.dataset_id)
        info = folder.dataset_info()
        self.task = task
        self.meta = predictor.meta
        self.reader = open_split(folder, spec.split, info)
        self.ignored = info.ignored
        meta = self.reader.meta
        model = Labels.of_snapshot(self.meta)
        labels = replace(Labels.of_records(meta), class_labels=model.class_labels, ignored=self.ignored, columns=model.columns)
        self.itself = task.output_kind == PICTURES and not task.has_labels(labels)  # a picture is its own label
        shape = self.meta.get("label_shape")
        self.labels = replace(labels, kind="array", shape=meta.feature_shape, dtype=meta.feature_dtype) if self.itself else labels
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

    def of(self, batch: PictureBatch) -> list[np.ndarray]:
        """The truth of each picture of a batch: its label as `RecordReader.labels` gives it, or the picture (C, H, W), in the
        model's classes."""
        labels = self.reader.labels(batch.records)
        found = labels if labels is not None else map(self.reader.feature, batch.records.tolist())
        return [self._renumbered(np.asarray(label)) for label in found]

    def _renumbered(self, label: np.ndarray) -> np.ndarray:
        """A label (any shape) with class numbers of another data set as the model's; what it does not know does not count."""
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
