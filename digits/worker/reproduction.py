"""What a training is made of, kept beside it (`capsule.json`); and, of one that was done again, whether it gives the same."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from digits.domain.datasets import DatasetInfo
from digits.domain.events import LogEvent, MetricEvent
from digits.domain.reproduction import Difference, difference, reasons, verdict
from digits.engines.base import Engine, TrainingRun, get_engine
from digits.errors import DigitsError
from digits.storage.events import valid_events
from digits.storage.files import read_json, write_json
from digits.storage.folders import JobFolder
from digits.storage.snapshots import epoch_in_name

if TYPE_CHECKING:
    from digits.worker.runtime import WorkerContext

CHUNK = 1 << 20
KEPT_APART = (  # of the specification: what the capsule has under names of its own, or what may be another
    "dataset_id",
    "start",
    "threads",
    "seed",
    "network",
    "network_name",
    "task",
    "precision",
    "cpu_processes",
)


def keep_capsule(context: WorkerContext, run: TrainingRun, versions: dict[str, str]) -> None:
    """Write what the training was made of, as far as another one could differ in it."""
    spec = context.request.spec
    settings = {key: value for key, value in spec.items() if key not in KEPT_APART}
    write_json(
        context.folder.capsule_file,
        {
            "version": 1,
            "versions": versions,
            "dataset": run.info.content_hash,
            "dataset_hash_kind": run.info.hash_kind,
            "splits": _splits(run.info),
            "network": hashlib.sha256(run.spec.network.encode(errors="surrogatepass")).hexdigest(),
            "weights": _hash_of(run.weight_files),
            "seed": run.spec.seed,
            "threads": run.threads,
            "processes": max(1, len(run.devices) or run.spec.cpu_processes),
            "precision": run.spec.precision,
            "device": ", ".join(_gpus(run)) or f"CPU ({platform.machine()})",
            "settings": settings,
        },
    )


def judge(context: WorkerContext, original_id: str) -> None:
    """Compare the training with the one that it does again, and write what comes of it to `reproduction.json`."""
    original, own = context.jobs_dir.folder(original_id), context.folder
    if not original.exists():
        sentence = "cannot be compared: the original is gone"
        found: dict[str, Any] = {"original": original_id, "verdict": sentence}
    else:
        values = difference(_values(original), _values(own))
        weights = _weights_difference(get_engine(str(own.spec().get("framework"))), original, own)
        causes = reasons(_capsule(original), _capsule(own))
        sentence = verdict(values, weights, causes)
        found = {"original": original_id, "verdict": sentence, "because": causes}
        found |= {"values": asdict(values), "weights": asdict(weights)}
    write_json(own.reproduction_file, found)
    context.emit(LogEvent(message=f"Done again, it {sentence}."))


def _splits(info: DatasetInfo) -> dict[str, int]:
    return {name: split.entries for name, split in info.splits.items()}


def _gpus(run: TrainingRun) -> list[str]:
    """The names of the GPUs that a run had."""
    if not run.devices:
        return []
    import pynvml

    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
        return sorted({str(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(i))) for i in range(count)})
    except pynvml.NVMLError:
        return ["GPU"]


def _hash_of(files: Iterable[Path]) -> str:
    """SHA-256 of files, one after the other; empty for none."""
    paths = [path for path in files if path.is_file()]
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    return digest.hexdigest() if paths else ""


def _capsule(folder: JobFolder) -> dict[str, Any]:
    """What a training says that it was made of; of versions before there were capsules the packages alone."""
    for file, key in ((folder.capsule_file, ""), (folder.versions_file, "versions")):
        try:
            value = read_json(file)
        except DigitsError:
            continue
        if isinstance(value, dict):
            return {key: value} if key else value
    return {}


def _values(folder: JobFolder) -> dict[tuple[str, int, str], float]:
    """Every value that the training and its validations gave; what is measured of the machine is not among them."""
    return {
        (event.phase, event.step, name): value
        for _, event in valid_events(folder.events_file)
        if isinstance(event, MetricEvent)
        for name, value in event.values.items()
    }


def _weights_difference(engine: Engine, original: JobFolder, own: JobFolder) -> Difference:
    """Of the last snapshot that both have, tensor by tensor."""
    names = {
        epoch: path.name
        for path in own.snapshots.glob("*")
        if (epoch := epoch_in_name(path.name)) is not None and (original.snapshots / path.name).is_file()
    }
    if not names:
        return Difference()
    last = names[max(names)]
    before, now = engine.arrays(original.snapshots / last), engine.arrays(own.snapshots / last)
    both = [name for name in before if name in now and before[name].shape == now[name].shape]
    largest, where, unequal = 0.0, "", 0
    for name in both:
        if np.array_equal(before[name], now[name], equal_nan=before[name].dtype.kind == "f"):
            continue
        unequal += 1
        distance = largest_distance(before[name], now[name])
        if distance >= largest:
            largest, where = distance, f"{name} of {last}"
    return Difference(len(both), unequal, len(before) + len(now) - 2 * len(both), largest, where)


def largest_distance(before: np.ndarray, now: np.ndarray) -> float:
    """Of two tensors (…) of one shape, as `domain.reproduction.difference` has it of values: NaN equals NaN and is infinitely far
    from any number, as infinity is."""
    one, other = before.astype(np.float64), now.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.abs(one - other) / np.maximum(1.0, np.abs(one))
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    return float(np.where(same, 0.0, np.where(np.isfinite(apart), apart, np.inf)).max(initial=0.0))
