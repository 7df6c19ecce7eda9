"""What the trivial answer scores on the split that is evaluated: the yardstick of a training, for its other splits too.

The guess is made from the training labels of the model's own data set (see `engines.training.baseline`), so there is one for
splits of that data set only. That of the validation split was measured by the training and stands in its events.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from digits.domain.datasets import TRAIN_DB, VAL_DB
from digits.domain.inference import EvaluationSpec
from digits.domain.training import TrainingSpec
from digits.engines.base import TrainingRun
from digits.engines.training import baseline
from digits.engines.training.batches import BatchSource
from digits.engines.training.setup import follows_feature
from digits.storage.records.open import is_complete, open_split
from digits.worker.runtime import WorkerContext


def measured(context: WorkerContext, spec: EvaluationSpec, meta: dict[str, Any]) -> dict[str, Any] | None:
    """`values` by metric and `description`; None where there is no trivial answer to measure."""
    folder = context.jobs_dir.folder(spec.dataset_id) if spec.source == "split" else None
    own = folder is not None and meta.get("dataset_id") == spec.dataset_id
    if folder is None or not own or spec.split == VAL_DB or spec.limit or not is_complete(folder.path / TRAIN_DB):
        return None
    run = _run(context, spec, meta)
    size = (int(meta["input_shape"][1]), int(meta["input_shape"][2])) if meta.get("one_size", True) else None
    assert run.val is not None
    with BatchSource(run.val, size, crop_labels=follows_feature(run), threads=max(1, context.cpus)) as source:
        found = baseline.measure(run, source)
    if found is None:
        return None
    values = {name: float(value) for name, value in found.values.items() if np.isfinite(value)}
    return {"values": values, "description": found.description}


def _run(context: WorkerContext, spec: EvaluationSpec, meta: dict[str, Any]) -> TrainingRun:
    """The training of the model as far as a guess needs it, judged on the evaluated split."""
    folder = context.jobs_dir.folder(spec.dataset_id)
    info = folder.dataset_info()
    return TrainingRun(
        spec=TrainingSpec(spec.dataset_id, meta["task"]),
        folder=context.folder.path,
        dataset_folder=folder.path,
        info=info,
        train=open_split(folder, TRAIN_DB, info),
        val=open_split(folder, spec.split, info),
        emit=context.emit,
        should_stop=context.should_stop,
    )
