"""The runner of model jobs: opens the data set's records, finds the weights to start from, and lets the engine train."""

from __future__ import annotations

import contextlib
import platform
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from digits.domain.datasets import TRAIN_DB, VAL_DB
from digits.domain.events import WarningEvent
from digits.domain.training import StartWeights, TrainingSpec
from digits.engines.base import TrainingRun, get_engine
from digits.engines.network.python_layers import layer_file, use
from digits.engines.training import checkpoint
from digits.errors import StorageError, TrainingError
from digits.frameworks import frameworks
from digits.storage.files import read_json, write_json
from digits.storage.records.open import find_split, open_split
from digits.tasks import GENERIC, get
from digits.worker.reproduction import judge, keep_capsule
from digits.worker.stillness import StillnessWatch

if TYPE_CHECKING:
    from digits.worker.runtime import WorkerContext


def run(context: WorkerContext) -> None:
    """Train the model of the job; returns when it is done. Raises JobStopped or a DigitsError."""
    spec = TrainingSpec.from_json(context.request.spec)
    _report_damaged_checkpoint(context)
    found = keep_versions(context, spec.framework)
    engine, run = get_engine(spec.framework), training_run(context, spec)
    use(layer_file(context.folder.path, spec.python_layers))
    with StillnessWatch(run.motion, context.warn):
        engine.train(run)
    checkpoint.forget_previous(context.folder.checkpoint)  # nobody goes on from it any more
    keep_capsule(context, run, found)
    if original := (context.request.columns.get("summary") or {}).get("reproduces"):
        judge(context, str(original))


def keep_versions(context: WorkerContext, framework: str) -> dict[str, str]:
    """Write what the run is made with to `versions.json`, and give it; a run that goes on with other versions warns."""
    found = versions(framework)
    file = context.folder.versions_file
    before = read_json(file) if file.is_file() else found
    if before != found:
        changed = ", ".join(
            f"{k} {before.get(k, 'none')} → {found.get(k, 'none')}" for k in found if before.get(k) != found.get(k)
        )
        message = f"The training goes on with other versions: {changed}."
        context.emit(
            WarningEvent(code="versions", message=message, advice="Its numbers may differ from those of an undisturbed run.")
        )
    write_json(file, found)
    return found


def versions(framework: str) -> dict[str, str]:
    """Name and version of Python and of each package that takes part in a training, where it is installed."""
    found = {"python": platform.python_version()}
    for package in ("digits", *frameworks()[framework].packages, "numpy"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _report_damaged_checkpoint(context: WorkerContext) -> None:
    """Say where a checkpoint was passed over because it is damaged, and what the training does without it."""
    problem = checkpoint.damaged(context.folder.checkpoint)
    if problem:
        found = checkpoint.read(context.folder.checkpoint)
        then = f"goes on from that of step {found['step']}" if found else "starts from the beginning"
        advice = "What the steps between gave is computed again; snapshots that were written stay until they are written anew."
        context.emit(WarningEvent(code="checkpoint", message=f"{problem} The training {then}.", advice=advice))


def resume_point(context: WorkerContext) -> tuple[int, int] | None:
    """Step and event offset of the checkpoint that `run` will go on from; None for a start from nothing."""
    found = checkpoint.read(context.folder.checkpoint)
    return (int(found["step"]), int(found["offset"])) if found else None


def training_run(context: WorkerContext, spec: TrainingSpec) -> TrainingRun:
    """What the engine gets. GPUs are numbered from 0 here: the supervisor shows the process only those of its slot."""
    folder = context.jobs_dir.folder(spec.dataset_id)
    info = folder.dataset_info()
    if get(spec.task) is GENERIC:  # requested before the records showed what they are for
        spec = replace(spec, task=info.task)
    files = weight_files(context, spec.start)
    return TrainingRun(
        spec=spec,
        folder=context.folder.path,
        dataset_folder=folder.path,
        info=info,
        train=open_split(folder, TRAIN_DB, info),
        val=find_split(folder, VAL_DB, info),
        emit=context.emit,
        offset=lambda: context.offset,
        should_stop=context.should_stop,
        should_finish=context.folder.finish_file.exists,
        devices=tuple(str(i) for i in range(len(context.gpus))),
        threads=spec.threads or context.cpus,
        checkpoint_seconds=context.checkpoint_seconds,
        start_weights=files[0] if files else None,
        more_weights=files[1:],
        report_silence=context.report_silence,
        give_up=context.give_up,
    )


def weight_files(context: WorkerContext, start: StartWeights) -> tuple[Path, ...]:
    """The files of weights to start from. TrainingError when one is gone."""
    if start.source == "snapshot":
        try:
            return (context.jobs_dir.folder(start.job_id).snapshot_file(start.snapshot),)
        except StorageError as error:
            raise TrainingError(
                f"The weights to start from are gone: {error.message}", advice=error.advice, code="weights"
            ) from error
    for path in start.paths:
        if not path.is_file():
            raise TrainingError(f"The weights to start from, {path}, do not exist.", advice="Choose others.", code="weights")
    return start.paths
