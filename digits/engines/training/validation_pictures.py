"""What the best and the last snapshot of a training answered to each validation picture: what comparisons are made from.

The file of a snapshot is whole before the event that names the snapshot is written; files of other steps are deleted after it. A
training that was killed in between therefore has the right file or none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from digits.domain.datasets import VAL_DB
from digits.engines.base import TrainingRun
from digits.engines.training.step import Scores
from digits.metrics.of_pictures import numbers_of
from digits.storage.validation_pictures import FOLDER, step_file, write_pictures
from digits.utils.values import finite


@dataclass
class PictureFiles:
    """Writes the files of one training and deletes those that no snapshot needs."""

    run: TrainingRun

    def write(self, step: int, epoch: float, snapshot: str, scores: Scores) -> None:
        """Keep a validation, if it kept its pictures."""
        if scores.pictures is None:
            return
        about = {
            "step": step,
            "epoch": epoch,
            "snapshot": snapshot,
            "metrics": finite(scores.values),
            "task": self.run.info.task,
            "split": VAL_DB,
            "dataset_id": self.run.spec.dataset_id,
            "dataset_hash": self.run.info.content_hash,
            "total": len(scores.pictures.records),
        }
        records, columns, stride = numbers_of(scores.pictures.metrics, np.asarray(scores.pictures.records))
        if columns:
            path = step_file(self.run.folder, step)
            self.run.retry_when_disk_full(lambda: write_pictures(path, records, columns, {**about, "stride": stride}))

    def prune(self, kept: set[int]) -> None:
        """Delete the files of all steps but these."""
        for path in (self.run.folder / FOLDER).glob("step_*.arrow"):
            if path.stem.removeprefix("step_") not in {str(step) for step in kept}:
                path.unlink(missing_ok=True)
