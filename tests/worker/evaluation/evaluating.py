"""An evaluation done in this process, as the worker does it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from digits.domain.inference import EvaluationSpec
from digits.domain.jobs import JobRequest, Kind, Resources, UserColumns
from digits.storage.files import read_json
from digits.storage.folders import JobsDir
from digits.storage.predictions import PREDICTIONS_FILE, PredictionReader
from digits.worker.evaluation import run as evaluation
from digits.worker.runtime import WorkerContext


def context_for(jobs_dir: JobsDir, job_id: str, task: str, spec: EvaluationSpec) -> WorkerContext:
    """The context of a new job of evaluation."""
    needs = Resources("inference")
    request = JobRequest(job_id, Kind.EVALUATION, "Evaluation", task, time.time(), {}, spec.to_json(), (), needs)
    folder = jobs_dir.folder(job_id)
    folder.create(request, UserColumns("test"))
    return WorkerContext(folder, jobs_dir, request, 1, 2, (), 60)


def run(context: WorkerContext) -> dict[str, Any]:
    """Do the job; its result."""
    try:
        evaluation.run(context)
    finally:
        context.writer.close()
    return dict(read_json(context.folder.result_file))


def kept_by(folder: Path) -> PredictionReader:
    """What an evaluation kept of each picture."""
    return PredictionReader(folder / PREDICTIONS_FILE)
