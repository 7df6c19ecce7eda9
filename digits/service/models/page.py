"""Everything the page of a training shows, put together once per view."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from importlib.util import decode_source
from typing import Any

from digits.domain.damage import words
from digits.domain.datasets import DatasetInfo
from digits.domain.events import AttemptEvent, MetricEvent, SnapshotEvent
from digits.domain.metrics import DECIDING, as_json, nonfinite_text
from digits.domain.training import LR_POLICIES, SOLVERS, TrainingSpec
from digits.engines.network.losses import LOSSES, usual_loss
from digits.engines.network.own_metrics import OWN_LOSS
from digits.engines.network.python_layers import copy_name, layer_file
from digits.errors import DigitsError, StorageError
from digits.service import Service
from digits.service.damage import damage_of
from digits.service.models.changed_settings import Change, changed_settings
from digits.service.models.charts import machine_series, output_kinds, page_curves, stage_series
from digits.service.models.create import info_of
from digits.service.models.form import BATCH_NORMS, ModelForm
from digits.service.models.history import RunHistory, current_snapshots, read_shown
from digits.service.models.networks import start_text
from digits.service.models.traces import traces
from digits.service.models.validation_samples import frames
from digits.storage.files import read_json
from digits.storage.folders import JobFolder
from digits.storage.jobs.store import Job
from digits.storage.run_summary import decides
from digits.tasks import recorded
from digits.utils.values import counted, finite

KEPT_LINES = 400


@dataclass(frozen=True)
class TrainingPage:
    """What the template draws: `data` goes to the page's code as JSON, the rest is written into the page."""

    spec: TrainingSpec
    history: RunHistory
    info: DatasetInfo | None
    dataset: Job | None
    config: dict[str, list[tuple[str, str]]]
    data: dict[str, Any]
    layers: str = ""  # path of the Python layer file
    layers_text: str = ""
    dataset_damage: str = ""  # what is damaged of the data set, in words
    changed: tuple[Change, ...] = ()  # settings that are not the form's proposal


def training_page(service: Service, job: Job) -> TrainingPage:
    """Read a model's folder for its page."""
    folder = service.folder(job.id)
    request = folder.request()
    spec = TrainingSpec.from_json(request.spec)
    history = read_shown(folder)
    info = info_of(service, job.dataset_id)
    config = config_tables(spec, info, _versions(folder) or {"digits": request.digits_version})
    data = page_data(job, spec, history, info, folder)
    layers = layer_text(folder, spec)
    dataset = service.store.find(job.dataset_id)
    damaged = words(damage_of(service, dataset)) if dataset is not None else ""
    changed = tuple(changed_settings(request.form, request.spec))
    return TrainingPage(spec, history, info, dataset, config, data, *layers, damaged, changed)


def page_data(job: Job, spec: TrainingSpec, history: RunHistory, info: DatasetInfo | None, folder: JobFolder) -> dict[str, Any]:
    """State of a training for the page's code; events from `offset` on keep it up to date."""
    return {
        "id": job.id,
        "name": job.name,
        "status": str(job.status),
        "epochs": spec.epochs,
        "best_metric": spec.best_metric,
        "best_name": job.best_name,
        "of_trained": any(event.of_trained for event in history.metrics["val"]),
        "deciding": deciding(history, info.task if info else spec.task, spec.best_metric),
        "metrics": metric_facts(history),
        "class_labels": list(info.class_labels) if info else [],
        "parts": list(recorded(info.task if info else spec.task).parts),
        "baseline": {"values": finite(history.baseline.values), "description": history.baseline.description}
        if history.baseline
        else None,
        "frames": frames(history, folder.path),
        "traces": traces(history, folder),
        "offset": history.offset,
        "elapsed": job.elapsed,
        "curves": page_curves(history),
        "snapshots": [snapshot_row(event) for event in current_snapshots(history)],
        "progress": asdict(history.progress) if history.progress else None,
        "hardware": asdict(history.hardware) if history.hardware else None,
        "stages": stage_series(history.stages),
        "machine": machine_series(history.machine),
        "attempts": [asdict(attempt) for attempt in history.attempts],
        "log": log_lines(history),
    }


def deciding(history: RunHistory, task: str, wished: str) -> str:
    """The validation output that decides which snapshot is best; before the first validation the one that is meant to."""
    validations = history.metrics["val"]
    return decides(validations[-1], task, wished) if validations else wished or DECIDING.get(task, "")


def metric_facts(history: RunHistory) -> dict[str, dict[str, Any]]:
    """Title, unit, direction and more of every output that there may be, by name (see `domain.metrics.MetricFacts`)."""
    declared = {name: said for event in history.metrics["val"][-1:] for name, said in event.declared.items()}
    return as_json(declared, output_kinds(history))


def snapshot_row(event: SnapshotEvent) -> dict[str, Any]:
    """One line of the table of snapshots."""
    return {
        "epoch": event.epoch,
        "step": event.step,
        "path": event.path,
        "metrics": finite(event.metrics),
        "best": event.best,
        "t": event.t,
    }


def log_lines(history: RunHistory, limit: int = KEPT_LINES) -> list[dict[str, Any]]:
    """What happened, by attempt and time: starts, validations, warnings, errors and what the worker noted; the last `limit`."""
    lines = [(line.attempt, line.t, line.level, line.message) for line in history.log]
    lines += [(start.attempt, start.t, "info", _start_text(start)) for start in history.attempts]
    lines += [(found.attempt, found.t, "info", _validation_text(found)) for found in history.metrics["val"][-limit:]]
    lines += [(warning.attempt, warning.t, "warning", f"Warning: {warning.message}") for warning in history.warnings]
    lines += [(error.attempt, error.t, "error", f"Error: {error.message}") for error in history.errors]
    return [{"t": t, "level": level, "message": message} for _, t, level, message in sorted(lines)[-limit:]]


def config_tables(spec: TrainingSpec, info: DatasetInfo | None, versions: dict[str, str]) -> dict[str, list[tuple[str, str]]]:
    """Every setting of a training as titled tables of names and values."""
    tables = {
        "Training": [*_training_rows(spec), ("Loss", loss_text(spec, info)), *_option_rows(spec)],
        "Learning rate": _rate_rows(spec),
        "Pictures": _picture_rows(spec),
        "Made with": [(name, text or "unknown") for name, text in versions.items()],
    }
    if info is not None:
        tables["Made with"].append(("Data set hash", info.content_hash or "unknown"))
    return tables


def layer_text(folder: JobFolder, spec: TrainingSpec) -> tuple[str, str]:
    """Where the Python layer file lies, and what is in it, or why that cannot be shown; both empty without one."""
    try:
        file = layer_file(folder.path, spec.python_layers)
        if file is None:
            return "", ""
        return str(file.path), decode_source(file.path.read_bytes()) if file.path.suffix == ".py" else "Compiled Python."
    except (DigitsError, OSError, ValueError, SyntaxError) as error:
        return str(folder.path / copy_name(spec.python_layers)), str(error)


def _versions(folder: JobFolder) -> dict[str, str]:
    """What the worker found installed when it trained; empty before."""
    try:
        return dict(read_json(folder.versions_file))
    except (StorageError, ValueError):
        return {}


def loss_text(spec: TrainingSpec, info: DatasetInfo | None) -> str:
    """What the training makes small, in words."""
    if spec.loss:
        return LOSSES.get(spec.loss, spec.loss)
    usual = usual_loss(spec.task, info) if info is not None else recorded(spec.task).default_loss
    if not usual or OWN_LOSS.search(spec.network):
        return "the network's own"
    return f"{LOSSES[usual]} (usual for these labels)" if info is not None else "usual for the labels"


def _start_text(start: AttemptEvent) -> str:
    return f"Attempt {start.attempt}: " + (f"goes on from step {start.resumed_step}" if start.resumed_step >= 0 else "starts")


def _validation_text(found: MetricEvent) -> str:
    known = {name: f"{value:.5g}" if math.isfinite(value) else "–" for name, value in found.values.items() if "/" not in name}
    values = ", ".join(f"{name} = {text}" for name, text in known.items())
    bad = f", {nonfinite_text(found.nonfinite, found.outputs)}" if found.nonfinite else ""
    return f"Validation (epoch {found.epoch:.4g}): {values}{bad}"


def _training_rows(spec: TrainingSpec) -> list[tuple[str, str]]:
    solver = spec.solver
    default = "the default"
    return [
        ("Network", spec.network_name),
        ("First weights", start_text(spec.start)),
        *([("Python layers", spec.python_layers)] if spec.python_layers else []),
        ("Framework", spec.framework),
        ("Epochs", str(spec.epochs)),
        ("Batch size", str(spec.batch_size or "the network's own")),
        ("Accumulated batches", str(spec.batch_accumulation)),
        ("Solver", SOLVERS[solver.type].title if solver.type in SOLVERS else solver.type),
        ("Momentum", default if solver.momentum is None else f"{solver.momentum:g}"),
        ("Weight decay", default if solver.weight_decay is None else f"{solver.weight_decay:g}"),
        *([("RMS decay", f"{solver.rms_decay:g}")] if solver.type == "RMSPROP" else []),
        ("Validation every", _epochs(spec.val_interval, "never")),
        ("Snapshot every", _epochs(spec.snapshot_interval, "only the last and the best")),
        ("Snapshots kept", str(spec.keep_snapshots or "all")),
        ("Best by", spec.best_metric or "the task's own metric"),
        *([("Trace every", counted(spec.traces_interval, "step"))] if spec.traces_interval else []),
        ("Seed", str(spec.seed)),
        ("Shuffle", "yes" if spec.shuffle else "no"),
        ("Precision", spec.precision),
        ("GPUs", str(spec.gpu_count or "none (CPU)")),
        *_process_rows(spec),
    ]


def _process_rows(spec: TrainingSpec) -> list[tuple[str, str]]:
    """How many processes share a training, and how they normalise; nothing where it is one."""
    if max(spec.gpu_count, spec.cpu_processes) < 2:
        return []
    processes = [] if spec.gpu_count else [("CPU processes", str(spec.cpu_processes))]
    return [*processes, ("Batch normalisation", BATCH_NORMS.get(spec.batch_norm, spec.batch_norm))]


def _option_rows(spec: TrainingSpec) -> list[tuple[str, str]]:
    """The settings that only this task has."""
    values = recorded(spec.task).own_options(spec.options)
    titles = {name: str(ModelForm.model_fields[name].title) for name in values}
    return [(titles[name], _value(value) or "chosen on the validation split") for name, value in values.items()]


def _rate_rows(spec: TrainingSpec) -> list[tuple[str, str]]:
    rate = spec.learning_rate
    rows = [
        ("Base rate", f"{rate.base:g}"),
        ("Policy", LR_POLICIES[rate.policy].title if rate.policy in LR_POLICIES else rate.policy),
    ]
    rows += [(name.replace("_", " "), _value(value)) for name, value in rate.parameters.items()]
    return rows + ([("Warm-up", f"{rate.warmup:g} %")] if rate.warmup else [])


def _picture_rows(spec: TrainingSpec) -> list[tuple[str, str]]:
    shown = {"none": "none", "image": "mean image", "pixel": "mean pixel"}
    rows = [
        ("Crop", f"{spec.crop_size}×{spec.crop_size}" if spec.crop_size else "none"),
        ("Mean taken off", shown[spec.use_mean]),
    ]
    used = {k: v for k, v in asdict(spec.augmentation).items() if v not in ("none", 0.0, False)}
    if not spec.augmentation.hsv_use:
        used = {k: v for k, v in used.items() if not k.startswith("hsv")}
    return (
        rows
        + [(name.replace("_", " "), _value(value)) for name, value in used.items()]
        + ([] if used else [("Augmentation", "none")])
    )


def _epochs(interval: float, never: str) -> str:
    return f"{interval:g} epoch{'' if interval == 1 else 's'}" if interval else never


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_value(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
