"""The snapshot that a job was made for, loaded: that of the epoch which the job names, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digits.domain.training import same_epoch
from digits.engines.base import Predictor, get_engine
from digits.engines.network.python_layers import layer_file_of, use
from digits.errors import DataError
from digits.frameworks import DEFAULT

if TYPE_CHECKING:
    from digits.domain.embeddings import EmbeddingSpec
    from digits.domain.exports import ExportSpec
    from digits.domain.inference import EvaluationSpec
    from digits.worker.runtime import WorkerContext


def load_snapshot(
    context: WorkerContext, spec: EvaluationSpec | EmbeddingSpec | ExportSpec, device: str | None = None
) -> Predictor:
    """The predictor of a specification's snapshot, on the job's GPU where it has one and no `device` is named.

    DataError where the file holds another epoch: a training writes its best snapshot over the one before, and the job's name,
    the temperature that it was given and all that is said of its result are of the epoch that was asked for.
    """
    folder = context.jobs_dir.folder(spec.model_id)
    path = folder.snapshot_file(spec.snapshot)
    use(layer_file_of(folder))
    predictor = get_engine(spec.framework or DEFAULT).load(path, device or ("cuda:0" if context.gpus else "cpu"))
    held = float(predictor.meta.get("epoch", spec.epoch))
    if same_epoch(held, spec.epoch):
        return predictor
    predictor.close()
    raise DataError(
        f"{spec.snapshot} holds epoch {held:g} by now, not epoch {spec.epoch:g}: the training went on and wrote a better one.",
        advice=f"Start anew with epoch {held:g}, with one of the training's intervals, or once the training has ended.",
    )
