"""What the JSON of a model takes from its folder, kept as long as the folder has not changed: lists of thousands are asked for
again and again."""

from __future__ import annotations

import os

import digits
from digits.domain.training import StartWeights
from digits.service import ReadModel, Service
from digits.service.models.networks import start_text
from digits.service.models.snapshots import list_snapshots
from digits.storage.jobs.store import Job

MOST = 20_000


def read_model(service: Service, job: Job) -> ReadModel:
    """What the folder of a model says, read anew where its request or its snapshots have changed. StorageError."""
    path = os.path.join(service.jobs_dir.path, job.id)
    stamp = (*_stamp(os.path.join(path, "job.json")), *_stamp(os.path.join(path, "snapshots")))
    known = service.read_models.get(job.id)
    if known is not None and known.stamp == stamp:
        return known
    request = service.folder(job.id).request()
    snapshots = list_snapshots(service, job)
    known = ReadModel(
        stamp,
        request.spec.get("framework", ""),
        request.digits_version or digits.__version__,
        request.spec.get("use_mean", ""),
        request.spec.get("python_layers") or "",
        start_text(StartWeights(**request.spec.get("start", {}))),
        snapshots[-1].path.rsplit("/", 1)[-1] if snapshots else "",
    )
    if len(service.read_models) >= MOST:
        service.read_models.clear()
    service.read_models[job.id] = known
    return known


def _stamp(path: str) -> tuple[int, int, int]:
    """What changes with a file or with the names in a folder; nothing for what is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino
