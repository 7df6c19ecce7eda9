"""The runner of export jobs: writes a snapshot in another format into its model's folder, and compares what it computes.

Leaves nothing when it fails; a run that was interrupted starts again from nothing.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from digits.domain.datasets import VAL_DB
from digits.domain.events import LogEvent, ProgressEvent, WarningEvent
from digits.domain.exports import Export, ExportSpec
from digits.engines.base import Predictor, get_engine
from digits.engines.exporters import get_exporter
from digits.engines.network.python_layers import layer_file_of, use
from digits.engines.parity import CLOSE, EXPORT_SHAPE, check_parity, noise_features, parity
from digits.errors import DigitsError, ExportError, JobStopped
from digits.storage.exports import publish, writing
from digits.storage.records.open import open_split
from digits.utils.processes import STOP_SIGNALS
from digits.worker.training import versions

if TYPE_CHECKING:
    from digits.worker.runtime import WorkerContext

COMPARED = 3  # records of the validation that the comparison takes beside made-up pictures


def run(context: WorkerContext) -> None:
    """Do the export that `job.json` describes."""
    with _stopped_at_once(context):
        _export(context, ExportSpec.from_json(context.request.spec))


@contextlib.contextmanager
def _stopped_at_once(context: WorkerContext) -> Iterator[None]:
    """A request to stop ends the work where it is: a network is traced for minutes, and there is nothing to save."""

    def stop(*_: Any) -> None:
        context.stop.set()
        raise JobStopped("The export was stopped.")

    before = {number: signal.signal(number, stop) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _export(context: WorkerContext, spec: ExportSpec) -> None:
    model = context.jobs_dir.folder(spec.model_id)
    _report(context, 0.0, "load the model")
    predictor = _load(context, spec)
    epoch = _loaded_epoch(context, spec, predictor)
    exporter = get_exporter(spec.format)
    reasons = exporter.check(predictor)
    if reasons:
        raise ExportError(f"The model cannot be written as {spec.format}. " + " ".join(reasons))
    with writing(model, context.folder.id) as part:
        _report(context, 0.1, "write")
        files = exporter.write(predictor, part, spec.options)
        _report(context, 0.6, "compare")
        features = np.concatenate([noise_features(predictor.meta), *_records(context, spec, predictor)])
        difference = parity(predictor, exporter.run(part), features)
        check_parity(difference)
        _report_difference(context, difference, len(features))
        export = Export(
            format=spec.format,
            epoch=epoch,
            snapshot=spec.snapshot,
            job_id=context.folder.id,
            created=time.time(),
            files=tuple((str(file.relative_to(part)), file.stat().st_size) for file in files),
            parity=difference,
            compared=len(features),
            versions=versions(spec.framework),
        )
        _report(context, 0.9, "keep")
        publish(model, part, export)
    _report(context, 1.0, "done")


def _load(context: WorkerContext, spec: ExportSpec) -> Predictor:
    folder = context.jobs_dir.folder(spec.model_id)
    path = folder.snapshot_file(spec.snapshot)
    use(layer_file_of(folder))
    return get_engine(spec.framework).load(path, "cpu")


def _loaded_epoch(context: WorkerContext, spec: ExportSpec, predictor: Predictor) -> float:
    """The epoch of the weights that were loaded: a training may have written a later best one while the export waited."""
    loaded = float(predictor.meta.get("epoch", spec.epoch))
    if f"{loaded:g}" == f"{spec.epoch:g}":  # names of snapshots are rounded so
        return spec.epoch
    context.emit(
        LogEvent(message=f"{spec.snapshot} holds epoch {loaded:g} by now: it is written instead of epoch {spec.epoch:g}.")
    )
    return loaded


def _records(context: WorkerContext, spec: ExportSpec, predictor: Predictor) -> list[np.ndarray]:
    """The first validation records of the shape that the export takes, (n, C, H, W) float32; none where the data set is gone."""
    wanted = predictor.meta.get(EXPORT_SHAPE) or predictor.meta["stored_shape"]
    with contextlib.suppress(DigitsError):
        records = open_split(context.jobs_dir.folder(spec.dataset_id), VAL_DB)
        found: list[Any] = [records.feature(number) for number in range(min(COMPARED, len(records)))]
        fitting = [feature for feature in found if list(feature.shape) == list(wanted)]
        return [np.stack(fitting).astype(np.float32)] if fitting else []
    return []


def _report_difference(context: WorkerContext, difference: float, pictures: int) -> None:
    context.emit(LogEvent(message=f"On {pictures} pictures it differs from the model by {difference:.2g} at most."))
    if difference > CLOSE:
        context.emit(
            WarningEvent(
                code="parity",
                message=f"What was written differs from the model by up to {difference:.2g}; {CLOSE:g} is usual.",
                advice="Look at its predictions before you use it.",
            )
        )


def _report(context: WorkerContext, fraction: float, stage: str) -> None:
    if context.should_stop():
        raise JobStopped("The export was stopped.")
    context.emit(ProgressEvent(fraction=fraction, stage=stage))
