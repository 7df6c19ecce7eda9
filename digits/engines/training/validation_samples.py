"""A fixed handful of validation samples, predicted at every validation: what the page of a training shows.

In the folder `samples/`, NumPy archives with one entry per sample number: `inputs.npz` has `<i>/feature` (stored units),
`<i>/label` (none where the picture is its own label) and `indices`; `step_<S>.npz` has `<i>/<output name>`, and by its name
each option that was chosen on the validation split. Index maps are kept instead of scores per pixel, pictures of 8 bits as such.
Boxes are rows x0, y0, x1, y1, class, flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from digits.domain.events import SampleEvent
from digits.engines.base import TrainingRun
from digits.engines.training.batches import Batch, BatchSource
from digits.engines.training.setup import labels_of, task_of
from digits.engines.training.step import TrainingStep
from digits.storage.files import atomic

FOLDER = "samples"
INPUTS = "inputs.npz"
COUNT = 8
BYTES = 4 * 2**20  # of inputs; fewer samples where pictures are large
MOST_STEPS = 240  # beyond it every second earlier step is deleted


class ValidationSamples:
    """Keeps the predictions of one training. Without a validation set it does nothing."""

    def __init__(self, run: TrainingRun, source: BatchSource | None) -> None:
        self.run = run
        self.source = source
        self.batches = _choose(source) if source is not None and len(source.records) else []

    def add(self, training_step: TrainingStep, step: int, epoch: float, chosen: Mapping[str, Any]) -> None:
        """Predict, and on rank 0 write and report it, with what the validation has `chosen` (see `Scores`)."""
        if not self.batches:
            return
        predicted = [training_step.predict_samples(batch) for batch in self.batches]
        if training_step.rank != 0:
            return
        folder = self.run.folder / FOLDER
        folder.mkdir(exist_ok=True)
        if step == 0 or not (folder / INPUTS).exists():
            self._save(folder / INPUTS, _inputs(self.batches))
        path = folder / f"step_{step}.npz"
        self._save(path, self._outputs(predicted) | {name: np.asarray(value) for name, value in chosen.items()})
        self.run.emit(SampleEvent(step=step, epoch=epoch, path=f"{FOLDER}/{path.name}"))
        _thin(folder)

    def _outputs(self, predicted: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        first = 0
        for batch, outputs in zip(self.batches, predicted, strict=True):
            for name, value in outputs.items():
                found |= {f"{first + i}/{name}": _small(value[i], self.run) for i in range(len(batch))}
            first += len(batch)
        return found

    def _save(self, path: Path, arrays: Mapping[str, np.ndarray]) -> None:
        def work() -> None:
            with atomic(path) as handle:
                np.savez_compressed(handle, **arrays)  # type: ignore[arg-type]

        self.run.retry_when_disk_full(work)


def _choose(source: BatchSource) -> list[Batch]:
    """One batch of samples, the same ones in each training; one batch each where the pictures differ in size."""
    length = len(source.records)
    size = source.load(np.array([0])).features.nbytes
    count = max(1, min(COUNT, BYTES // max(size, 1), length))
    indices = np.sort(np.random.default_rng(0).permutation(length)[:count])  # at random: classes often come in turns
    one_shape = source.size is not None or source.records.meta.feature_shape is not None
    return [source.load(indices)] if one_shape else [source.load(indices[i : i + 1]) for i in range(len(indices))]


def _inputs(batches: list[Batch]) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {"indices": np.concatenate([batch.indices for batch in batches])}
    first = 0
    for batch in batches:
        for i, feature in enumerate(batch.features):
            arrays[f"{first + i}/feature"] = feature
            if batch.labels is not None:
                arrays[f"{first + i}/label"] = _label(batch.labels[i])
        first += len(batch)
    return arrays


def _label(label: Any) -> np.ndarray:
    array = np.asarray(label)
    if array.dtype.names is None:
        return array
    return np.stack([array[name].astype(np.float32) for name in array.dtype.names], axis=-1).reshape(-1, len(array.dtype.names))


def _small(output: np.ndarray, run: TrainingRun) -> np.ndarray:
    """One output of one picture, as small as it can be shown."""
    meta, task = run.train.meta, task_of(run)
    dtype = np.dtype(meta.label_dtype if task.has_labels(labels_of(run)) else meta.feature_dtype)
    small = task.shown(output, dtype)
    return small if small is not output else output.astype(np.float32)


def _thin(folder: Path) -> None:
    """Of too many steps every second one goes; the first and the newest stay."""
    steps = sorted(folder.glob("step_*.npz"), key=lambda path: int(path.stem.removeprefix("step_")))
    if len(steps) > MOST_STEPS:
        for path in steps[1:-1:2]:
            path.unlink(missing_ok=True)
