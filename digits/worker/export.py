"""The runner of export jobs: writes a snapshot in another format into its model's folder, compares what it computes and times it.

Leaves nothing when it fails; a run that was interrupted starts again from nothing.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from digits.domain.events import LogEvent, ProgressEvent, WarningEvent
from digits.domain.exports import Export, ExportSpec
from digits.engines.base import Exporter
from digits.engines.exporters import get_exporter
from digits.engines.parity import CLOSE, check_parity, noise_features, parity, worst
from digits.errors import ExportError, JobStopped
from digits.frameworks import framework
from digits.storage.exports import publish, writing
from digits.utils.processes import STOP_SIGNALS
from digits.worker.loading import load_snapshot
from digits.worker.parity_report import Sample, compare, machine, sample_of, timings
from digits.worker.training import versions

if TYPE_CHECKING:
    from digits.worker.runtime import WorkerContext

COMPARED = 3  # records of the validation that are compared together and one alone, beside made-up pictures
CALIBRATED = 64  # records, evenly spaced in the sample, on which the ranges of 8 bits are measured


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
    predictor = load_snapshot(context, spec, "cpu")
    exporter = get_exporter(spec.format, spec.framework)
    reasons = exporter.check(predictor)
    if reasons:
        raise ExportError(f"The model cannot be written as {spec.format}. " + " ".join(reasons))
    sample = sample_of(context, spec, predictor.meta)
    options = {**spec.options, **_calibration(exporter, sample)}
    with writing(model, context.folder.id) as part:
        _report(context, 0.1, "write")
        files = exporter.write(predictor, part, options)
        _report(context, 0.5, "compare")
        programs = exporter.runs(part)
        noise = noise_features(predictor.meta)
        first = sample.features[:COMPARED] if sample else noise[:0]
        features = np.concatenate([noise, first])
        differences = {name: parity(predictor, program, features) for name, program in programs.items()}
        check_parity(worst(differences.values()), lossy=exporter.lossy)
        quality = compare(predictor, programs, sample, stopped=context.should_stop)
        more = quality.pop("differences", {})
        differences = {name: worst((value, more.get(name, 0.0))) for name, value in differences.items()}
        difference = worst(differences.values())
        check_parity(difference, lossy=exporter.lossy)
        pictures = len(noise) + quality.get("pictures", len(first))
        _report_difference(context, difference, pictures, lossy=exporter.lossy)
        _report(context, 0.8, "time")
        found = versions(spec.framework)
        title = f"{framework(spec.framework).title}, the model itself"
        timed = timings(predictor, programs, features[-1:], title)
        needed = exporter.needed(files)
        files = [*needed, *(file for file in files if file not in needed)]
        export = Export(
            format=spec.format,
            epoch=spec.epoch,
            snapshot=spec.snapshot,
            job_id=context.folder.id,
            created=time.time(),
            files=tuple((str(file.relative_to(part)), file.stat().st_size) for file in files),
            parity=difference,
            compared=pictures,
            versions=found,
            needed=len(needed),
            lossy=exporter.lossy,
            quality=quality,
            timings=tuple(replace(row, difference=differences.get(row.runtime, 0.0)) for row in timed),
            machine=machine(),
            facts=exporter.facts(part),
        )
        _report(context, 0.9, "keep")
        publish(model, part, export)
    _report(context, 1.0, "done")


def _calibration(exporter: Exporter, sample: Sample | None) -> dict[str, Any]:
    """The option with the pictures on which an exporter measures ranges, where it does."""
    if not exporter.calibrated:
        return {}
    if sample is None:
        raise ExportError(
            f"{exporter.name} measures its ranges on validation pictures, and there are none of the model's size (any more).",
            advice="Choose a format of 32 bits.",
        )
    rows = np.linspace(0, len(sample.features) - 1, min(CALIBRATED, len(sample.features))).astype(np.int64)
    return {"calibration": sample.features[rows]}


def _report_difference(context: WorkerContext, difference: float, pictures: int, *, lossy: bool) -> None:
    context.emit(LogEvent(message=f"On {pictures} pictures it differs from the model by {difference:.2g} at most."))
    if difference > CLOSE and not lossy:
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
