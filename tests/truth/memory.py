"""Trainings on arrays in memory, opened but not run, whose batches a test chooses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from digits.domain.datasets import TRAIN_DB, VAL_DB, DatasetInfo, RecordMeta, SplitInfo
from digits.domain.training import LearningRate, Solver, TrainingSpec
from digits.engines.base import TrainingRun
from digits.engines.training.loop import TrainingLoop
from tests.truth.engines import part


class MemoryRecords:
    """Records of features (N, C, H, W) and labels as a `RecordReader` gives them: an array (N, …), or a list of arrays. `order`
    (N,) is what the reader says their order is, and may change."""

    def __init__(self, features: np.ndarray, labels: Any, meta: RecordMeta) -> None:
        self._features, self._labels, self.meta = features, labels, meta
        self.order = np.arange(len(features))

    def put(self, features: np.ndarray, labels: Any) -> None:
        """Other records of the same form, in their order."""
        self._features, self._labels, self.order = features, labels, np.arange(len(features))

    def __len__(self) -> int:
        return len(self.order)

    def features(self, indices: np.ndarray) -> np.ndarray:
        return self._features[self.order[indices]]

    def feature(self, index: int) -> np.ndarray:
        return self._features[self.order[index]]

    def array(self) -> np.ndarray:
        return self._features

    def labels(self, indices: np.ndarray) -> Any:
        chosen = self.order[indices]
        return [self._labels[i] for i in chosen] if isinstance(self._labels, list) else self._labels[chosen]

    def column(self, name: str, indices: np.ndarray) -> list[Any]:
        return [f"{name}-{self.order[i]}" for i in indices]


def memory_run(
    folder: Path, features: np.ndarray, labels: Any, *, task: str, label_kind: str, classes: int = 0, **spec: Any
) -> TrainingRun:
    """A run whose training and validation records are both the arrays'. `spec` are fields of `TrainingSpec`; the default
    is plain gradient descent at rate 1 on the pictures as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    names = tuple(f"class {i}" for i in range(classes))
    shape: Any = () if label_kind == "index" else None if label_kind == "boxes" else np.shape(labels)[1:]
    dtype = str(labels.dtype) if isinstance(labels, np.ndarray) else "int64"
    meta = RecordMeta(
        task,
        tuple(features.shape[1:]),
        str(features.dtype),
        label_kind=label_kind,
        label_shape=shape,
        label_dtype=dtype,
        class_labels=names,
        mean=(0.0,) * features.shape[1],
        std=(1.0,) * features.shape[1],
    )
    splits = {name: SplitInfo(name, len(features), meta) for name in (TRAIN_DB, VAL_DB)}
    plain = TrainingSpec(
        "truth",
        task,
        batch_size=1,
        epochs=1,
        seed=1,
        use_mean="none",
        solver=Solver("SGD", momentum=0.0, weight_decay=0.0),
        learning_rate=LearningRate(1.0, "fixed"),
    )
    return TrainingRun(
        spec=replace(plain, **spec),
        folder=folder,
        dataset_folder=folder,
        info=DatasetInfo(task, names, splits, meta.feature_shape),
        train=MemoryRecords(features, labels, meta),
        val=MemoryRecords(features, labels, meta),
        emit=lambda event: 0,
        threads=1,
    )


@contextmanager
def opened(run: TrainingRun) -> Iterator[TrainingLoop]:
    """The loop of a run in its engine, on the CPU and in this process, before its first step."""
    train = part(run.spec.framework, "train")
    if run.spec.framework == "tensorflow":
        part("tensorflow", "start").start(run.threads, gpu=False, repeatable=True)
        with train.opened(run) as loop:
            yield loop
    else:
        with train.opened(run, part("pytorch", "devices").make_fabric(run, None)[0]) as loop:
            yield loop


def validate(loop: TrainingLoop, batch_size: int, order: Sequence[int] | None = None) -> dict[str, float]:
    """The values of a validation in batches of `batch_size`, its records in `order`."""
    step: Any = loop.training_step
    if order is not None:
        step.validation.records.order = np.asarray(order)
    step.calendar = replace(step.calendar, batch_size=batch_size)
    return dict(step.evaluate().values)


def step_over(loop: TrainingLoop, batches: Sequence[Sequence[int]], rate: float = 1.0) -> dict[str, float]:
    """One step of the optimizer over batches of the training records' indices, accumulated; what the page would show of it."""
    count = sum(map(len, batches))
    for i, indices in enumerate(batches):
        batch = loop.source.load(np.asarray(indices, np.int64))
        loop.training_step.train_batch(batch, 0, rate, len(indices) / count, i == len(batches) - 1)
    return loop.training_step.take().means()


def weights_of(loop: TrainingLoop) -> list[np.ndarray]:
    """What is trained, as float32 arrays in the engine's layout."""
    step: Any = loop.training_step
    if hasattr(step, "module"):
        return [p.detach().numpy().copy() for p in step.module.parameters()]
    return [variable.numpy() for variable in step.variables]


def put_weights(loop: TrainingLoop, weights: Sequence[np.ndarray]) -> None:
    """Go back to what `weights_of` gave."""
    step: Any = loop.training_step
    if not hasattr(step, "module"):
        for variable, value in zip(step.variables, weights, strict=True):
            variable.assign(value)
        return
    import torch

    with torch.no_grad():
        for parameter, value in zip(step.module.parameters(), weights, strict=True):
            parameter.copy_(torch.from_numpy(np.asarray(value)))
