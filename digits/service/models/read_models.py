"""What the JSON of a model takes from its folder, kept as long as the folder has not changed: lists of thousands are asked for
again and again, and the first one should not take long either."""

from __future__ import annotations

import os
from dataclasses import MISSING, fields
from typing import Any

from pydantic_core import from_json

import digits
from digits.domain.jobs import SCHEMA, JobRequest
from digits.domain.training import StartWeights
from digits.service import ReadModel, Service
from digits.service.models.networks import start_text
from digits.service.models.snapshots import list_snapshots
from digits.storage.jobs.store import Job

MOST = 20_000
RANDOM = start_text(StartWeights())
AT_ONCE = 1 << 16  # bytes
KNOWN = {field.name for field in fields(JobRequest)}
NEEDED = {f.name for f in fields(JobRequest) if f.default is MISSING and f.default_factory is MISSING} | {"resources", "schema"}


def read_model(service: Service, job: Job) -> ReadModel:
    """What the folder of a model says, read anew where its request or its snapshots have changed. StorageError."""
    folder = f"{service.jobs_dir.path}/{job.id}"
    stamp = (*_stamp(f"{folder}/job.json"), *_stamp(f"{folder}/snapshots"))
    known = service.read_models.get(job.id)
    if known is not None and known.stamp == stamp:
        return known
    version, spec = _requested(service, job, folder)
    start = spec.get("start")
    known = ReadModel(
        stamp,
        spec.get("framework", ""),
        version or digits.__version__,
        spec.get("use_mean", ""),
        spec.get("python_layers") or "",
        start_text(StartWeights(**start)) if start else RANDOM,
        _newest(service, job, folder),
    )
    if len(service.read_models) >= MOST:
        service.read_models.clear()
    service.read_models[job.id] = known
    return known


def _requested(service: Service, job: Job, folder: str) -> tuple[str, dict[str, Any]]:
    """The version that made the request, and its `spec`. What does not look as usual is read with every check."""
    try:
        value = from_json(_content(f"{folder}/job.json"), cache_strings="keys")
        usual = value.keys() <= KNOWN and value.keys() >= NEEDED and value["schema"] == SCHEMA and value["kind"] == job.kind
        if usual and isinstance(value["spec"], dict) and isinstance(value["resources"], dict):
            return str(value.get("digits_version", "")), value["spec"]
    except (OSError, ValueError, AttributeError):
        pass
    request = service.folder(job.id).request()
    return request.digits_version, request.spec


def _content(path: str) -> bytes:
    """A small file, with fewer questions to the system than Python's own way asks."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = [os.read(file, AT_ONCE)]
        while len(parts[-1]) == AT_ONCE:
            parts.append(os.read(file, AT_ONCE))
        return b"".join(parts)
    finally:
        os.close(file)


def _newest(service: Service, job: Job, folder: str) -> str:
    """The name of the newest snapshot's file; empty without one."""
    try:
        if not os.listdir(f"{folder}/snapshots"):
            return ""
    except OSError:
        return ""
    found = list_snapshots(service, job)
    return found[-1].path.rsplit("/", 1)[-1] if found else ""


def _stamp(path: str) -> tuple[int, int, int]:
    """What changes with a file or with the names in a folder; nothing for what is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino
