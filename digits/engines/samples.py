"""A fixed handful of validation samples, predicted at every validation: what the film strip of the page shows.

`samples/inputs.npz` holds `features` (stored units), `labels` (where they are arrays of one shape) and `indices`;
`samples/step_<S>.npz` one array per output. Index maps are kept instead of scores per pixel.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from digits.domain.events import SampleEvent
from digits.engines.base import TrainingRun
from digits.engines.batches import Batch, BatchSource
from digits.engines.room import wait_for_room
from digits.engines.stepper import Stepper
from digits.storage.files import atomic

FOLDER = "samples"
COUNT = 8
BYTES = 4 * 2**20  # of inputs; fewer samples where pictures are large


class SampleFilm:
    """Keeps the predictions of one training. Without a validation set it does nothing."""

    def __init__(self, run: TrainingRun, source: BatchSource | None) -> None:
        self.run = run
        self.batch = _choose(source) if source is not None and len(source.records) else None

    def add(self, stepper: Stepper, step: int, epoch: float) -> None:
        """Predict, and on rank 0 write and tell it."""
        if self.batch is None:
            return
        outputs = {name: _small(value, self.run.spec.task) for name, value in stepper.predict_samples(self.batch).items()}
        if stepper.rank != 0:
            return
        folder = self.run.folder / FOLDER
        folder.mkdir(exist_ok=True)
        if not (folder / "inputs.npz").exists():
            self._save(folder / "inputs.npz", _inputs(self.batch))
        path = folder / f"step_{step}.npz"
        self._save(path, outputs)
        self.run.emit(SampleEvent(step=step, epoch=epoch, path=f"{FOLDER}/{path.name}"))

    def _save(self, path: Path, arrays: dict[str, np.ndarray]) -> None:
        def work() -> None:
            with atomic(path) as handle:
                np.savez_compressed(handle, **arrays)  # type: ignore[arg-type]

        wait_for_room(self.run, work)


def _choose(source: BatchSource) -> Batch:
    size = source.load(np.array([0])).features.nbytes
    count = max(1, min(COUNT, BYTES // max(size, 1), len(source.records)))
    return source.load(np.unique(np.linspace(0, len(source.records) - 1, count).astype(np.int64)))


def _inputs(batch: Batch) -> dict[str, np.ndarray]:
    arrays = {"features": batch.features, "indices": batch.indices}
    return arrays | ({"labels": batch.labels} if isinstance(batch.labels, np.ndarray) else {})


def _small(output: np.ndarray, task: str) -> np.ndarray:
    if task == "segmentation" and output.ndim == 4:
        return output.argmax(axis=1).astype(np.uint8 if output.shape[1] <= 256 else np.int32)
    return output.astype(np.float32)
