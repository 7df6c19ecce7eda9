"""Finished evaluations of any task, with all that is told of them, made of outputs and truths without a worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from digits.domain.inference import EvaluationSpec
from digits.domain.jobs import Kind, Resources, Status
from digits.domain.metrics import deciding_metric, is_lower_better
from digits.domain.training import TaskOptions
from digits.metrics.analysis.base import Evaluated
from digits.metrics.of_pictures import numbers_of
from digits.service import Service
from digits.service.jobs import create_job
from digits.storage.files import write_json
from digits.storage.jobs.store import Job
from digits.storage.predictions import ANALYSIS_FILE, PREDICTIONS_FILE, PredictionReader, writing_predictions
from digits.storage.validation_pictures import FILE, read_pictures, write_pictures
from digits.tasks import Labels, of

MODEL = "20260101-000000-aaaa"


def analysed(
    service: Service,
    name: str,
    labels: Labels,
    outputs: Any,
    truths: Any,
    *,
    paths: Sequence[str] = (),
    model: str = MODEL,
    source: str = "list",
    **spec: Any,
) -> Job:
    """Outputs and truths as `Report.add` takes them, of a task called `name` with these labels."""
    values = EvaluationSpec(model, "snapshots/epoch_1.safetensors", 1.0, source, list_file="images.txt", **spec)
    job = create_job(
        service,
        kind=Kind.EVALUATION,
        task=name,
        type_name="Evaluation",
        name=f"{name} of {len(outputs)}",
        form={},
        spec=values.to_json(),
        resources=Resources("inference"),
        summary={"model_id": model, "source": source},
    )
    folder = service.folder(job.id).path
    write_evaluation(folder, name, labels, outputs, truths, paths, values)
    for step in (Status.WAIT, Status.RUN, Status.DONE):
        job = service.store.transition(job.id, step)
    return job


def write_evaluation(
    folder: Any, name: str, labels: Labels, outputs: Any, truths: Any, paths: Sequence[str], spec: EvaluationSpec
) -> None:
    """The files that the worker leaves."""
    task, count = of(name, labels), len(outputs)
    options = task.settled(TaskOptions(), labels.class_labels)
    known = labels if truths is not None else None
    report, analysis = task.report(known, labels, options, 1.0, 3), task.analysis(known, labels)
    for metric in report.counting:
        metric.keeps = True
    with writing_predictions(folder / PREDICTIONS_FILE, (*report.columns, *analysis.columns)) as writer:
        kept = {**report.add(outputs, truths), **analysis.add(outputs, truths, [None] * count)}
        writer.append(
            list(paths) or [f"/pictures/{n}.png" for n in range(count)],
            np.arange(count) if spec.source == "split" else np.full(count, -1),
            kept,
        )
    found = report.summary()
    found["columns"] = [*found["columns"], *(column.name for column in analysis.columns)]
    key = deciding_metric(task.name, found["columns"] or found["metrics"]) or next(iter(found["columns"]), "")
    about = {"model_id": spec.model_id, "epoch": 1.0, "skipped": 0, "seconds": 1.0, "nonfinite": 0, "baseline": None}
    described = {"kind": task.output_kind, "task": task.name, "count": count, "class_labels": list(labels.class_labels)}
    lower = {"key": key, "lower_is_better": is_lower_better(key), "options": task.own_options(options)}
    write_json(folder / "result.json", {**about, **described, **lower, **found})
    rows, columns, _ = numbers_of(report.counting, np.arange(count))
    done = Evaluated(PredictionReader(folder / PREDICTIONS_FILE), report.counting, is_validation=spec.is_validation)
    if columns:
        write_pictures(folder / FILE, rows, columns, {})
        pictures = dict(read_pictures(folder / FILE).columns)
        done = Evaluated(
            done.reader, done.metrics, pictures, len(rows), spec.is_validation, spec.temperature, spec.temperature_from
        )
    write_json(folder / ANALYSIS_FILE, analysis.summary(done))
