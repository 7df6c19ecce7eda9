"""What a model loses and gains in another format, measured on this machine: the deciding metric on a sample of the validation,
the largest difference of an output, and the time of one picture in every runtime.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from digits.domain.datasets import VAL_DB
from digits.domain.exports import ExportSpec, Timing
from digits.domain.metrics import deciding_metric, facts, is_lower_better
from digits.domain.training import TaskOptions
from digits.engines.base import Predictor, Program, scores_of
from digits.engines.parity import EXPORT_SHAPE, difference, worst
from digits.errors import DigitsError, JobStopped
from digits.storage.records.open import open_split
from digits.tasks import Labels, Task, of

if TYPE_CHECKING:
    from digits.metrics.base import Report
    from digits.worker.runtime import WorkerContext

PICTURES = 200  # of the validation, evenly spaced
MOST_BYTES = 256 * 2**20  # of their float32 features
METRIC_SECONDS = 60.0
BATCH = 8
WARM, ROUNDS, TIMED_SECONDS = 3, 60, 4.0  # of each runtime; a slow network is timed at least `LEAST` times
LEAST = 5


@dataclass(frozen=True)
class Sample:
    """Some records of the validation: `features` (n, C, H, W) float32 in stored units, of the shape that the export takes, and
    what is true of them; `total` counts all records. `labels` describe the truths, None where there is nothing to measure."""

    features: np.ndarray
    truths: list[np.ndarray]
    total: int
    labels: Labels | None = None
    scale: float = 1.0


def sample_of(context: WorkerContext, spec: ExportSpec, meta: Mapping[str, Any]) -> Sample | None:
    """A sample of the validation of the data set that the model was trained on; None where it is gone, or holds no picture of
    the size that the export takes."""
    wanted = [int(side) for side in meta.get(EXPORT_SHAPE) or meta["stored_shape"]]
    most = int(np.clip(MOST_BYTES // (4 * int(np.prod(wanted))), 1, PICTURES))
    with contextlib.suppress(DigitsError):
        folder = context.jobs_dir.folder(spec.dataset_id)
        info = folder.dataset_info()
        records = open_split(folder, VAL_DB, info)
        rows = np.unique(np.linspace(0, len(records) - 1, min(most, len(records))).astype(np.int64))
        found = [(int(row), feature) for row in rows if list((feature := records.feature(int(row))).shape) == wanted]
        if not found:
            return None
        features = np.stack([feature for _, feature in found]).astype(np.float32)
        kept = np.array([row for row, _ in found], np.int64)
        model = Labels.of_snapshot(meta)
        labels = Labels.of_records(records.meta, info)
        task = of(meta["task"], model)
        if labels.kind not in task.label_kinds or labels.class_labels != model.class_labels:
            return Sample(features, [], len(records))
        itself = not task.has_labels(labels)
        described = task.compared(labels) if itself or not meta.get("label_shape") else replace(labels, shape=model.shape)
        scale = task.label_scale(described) if itself else float(meta["preparation"].get("label_scale", 1.0))
        given = records.labels(kept)
        truths = list(features) if given is None else [np.asarray(label) for label in given]
        return Sample(features, truths, len(records), replace(described, columns=model.columns), scale)
    return None


def compare(
    predictor: Predictor, programs: Mapping[str, Program], sample: Sample | None, *, stopped: Any = lambda: False
) -> dict[str, Any]:
    """`max_difference` of each program on the sample (`differences` by name, NaN without one), and of the first one `metric`,
    `model`, `export` and `metric_drop` (above 0: the export is worse), counted on `pictures` of `total`; `reason` says why there
    is no metric."""
    if sample is None:
        return {"reason": "The data set is gone, or has no validation picture of the size that the export takes."}
    task = of(predictor.meta["task"], Labels.of_snapshot(predictor.meta))
    reports = None if sample.labels is None else [_report(task, predictor.meta, sample) for _ in range(2)]
    reason = "" if reports else "The data set has other classes or labels by now."
    differences = dict.fromkeys(programs, 0.0)
    limit, done = time.monotonic() + METRIC_SECONDS, 0
    for start in range(0, len(sample.features), BATCH):
        if stopped():
            raise JobStopped("The export was stopped.")
        features = sample.features[start : start + BATCH]
        ours = predictor.predict(features)
        theirs = {name: program(features) for name, program in programs.items()}
        for name, found in theirs.items():
            differences[name] = worst((differences[name], difference(ours, found)))
        if reports:
            try:
                for report, outputs in zip(reports, (ours, next(iter(theirs.values()))), strict=True):
                    _add(report, task, outputs, predictor.meta, sample.truths[start : start + BATCH])
            except DigitsError as error:
                reports, reason = None, str(error)
        done += len(features)
        if time.monotonic() > limit:
            break
    value: dict[str, Any] = {"differences": differences, "pictures": done, "total": sample.total, "reason": reason}
    return {**value, **_metric(task, *reports)} if reports else value


def timings(predictor: Predictor, programs: Mapping[str, Program], features: np.ndarray, title: str) -> list[Timing]:
    """The time of one picture of `features` (n, C, H, W) in the model itself, called `title`, and in every program."""
    picture = np.ascontiguousarray(features[:1], np.float32)
    found = [_timed(title, predictor.predict, picture)]
    return found + [_timed(name, program, picture) for name, program in programs.items()]


def machine() -> dict[str, Any]:
    """What this machine is: `processor`, `cores`, `system`."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": name, "cores": cores, "system": platform.system()}


def _timed(name: str, program: Program, picture: np.ndarray) -> Timing:
    for _ in range(WARM):
        program(picture)
    seconds: list[float] = []
    limit = time.perf_counter() + TIMED_SECONDS
    while len(seconds) < ROUNDS and (len(seconds) < LEAST or time.perf_counter() < limit):
        started = time.perf_counter()
        program(picture)
        seconds.append(time.perf_counter() - started)
    middle, slow = np.percentile(np.array(seconds) * 1000, [50, 95])
    return Timing(name, float(middle), float(slow), len(seconds))


def _report(task: Task, meta: Mapping[str, Any], sample: Sample) -> Report:
    model = Labels.of_snapshot(meta)
    options = task.settled(TaskOptions.from_json(meta.get("options", {})), model.class_labels)
    return task.report(sample.labels, model, options, sample.scale, 1)


def _add(
    report: Report, task: Task, outputs: Mapping[str, np.ndarray], meta: Mapping[str, Any], truths: list[np.ndarray]
) -> None:
    kept = [task.kept(output) for output in scores_of(outputs, meta)]
    report.add(kept, np.array(truths, np.int64) if task.told_by_name else truths)


def _metric(task: Task, model: Report, export: Report) -> dict[str, Any]:
    ours, theirs = model.summary()["metrics"], export.summary()["metrics"]
    name = deciding_metric(task.name, [name for name, value in ours.items() if value is not None])
    if not name or theirs.get(name) is None:
        return {"reason": "No metric of this task can be measured on these pictures."}
    drop = float(theirs[name] - ours[name]) if is_lower_better(name) else float(ours[name] - theirs[name])
    found = {"metric": name, "title": facts(name).title, "unit": facts(name).unit}
    return {**found, "model": float(ours[name]), "export": float(theirs[name]), "metric_drop": drop + 0.0}
