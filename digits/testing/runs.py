"""Small data sets of records and trainings on them, for tests of engines.

`python -m digits.testing.runs DATASET FOLDER SPEC.json` trains in a process of its own, for tests that kill it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from digits.domain.datasets import TRAIN_DB, VAL_DB, DatasetInfo, RecordMeta, SplitInfo
from digits.domain.events import AttemptEvent, Event, MetricEvent
from digits.domain.training import TrainingSpec
from digits.engines.base import TrainingRun, get_engine
from digits.engines.training import checkpoint
from digits.storage.events import EventWriter, valid_events
from digits.storage.files import write_json
from digits.storage.folders import JobFolder
from digits.storage.records.codec import encode
from digits.storage.records.open import find_split, open_split
from digits.storage.records.reader import BOX_DTYPE, RecordChunk, RecordWriter


def striped_pictures(count: int, size: int, seed: int, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Noisy pictures uint8 (N, C, H, W) of two classes: bright left half (0) or bright right half (1); labels int64 (N,)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    pictures = rng.integers(0, 80, (count, channels, size, size))
    for picture, label in zip(pictures, labels, strict=True):
        half = slice(0, size // 2) if label == 0 else slice(size // 2, size)
        picture[:, :, half] += 120
    return pictures.astype(np.uint8), labels.astype(np.int64)


def squared_pictures(count: int, size: int, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Noisy pictures uint8 (N, 3, H, W) with none to three squares, red (class 0) or blue (1), and the boxes (n,) of each."""
    rng = np.random.default_rng(seed)
    pictures, boxes = rng.integers(0, 60, (count, 3, size, size)).astype(np.uint8), []
    for picture in pictures:
        found = np.zeros(int(rng.integers(0, 4)), BOX_DTYPE)
        for i in range(len(found)):
            side, label = int(rng.integers(size // 6, size // 4)), int(rng.integers(0, 2))
            x, y = (int(n) for n in rng.integers(0, size - side, 2))
            picture[2 * label, y : y + side, x : x + side] = 250
            found[i] = (x, y, x + side, y + side, label, 0)
        boxes.append(found)
    return pictures, boxes


def write_split(folder: Path, name: str, features: np.ndarray, labels: Any, meta: RecordMeta) -> SplitInfo:
    """One split of records from features (N, C, H, W) and labels as `RecordReader.labels` gives them; encoded when
    `meta.feature_encoding` says so."""
    writer = RecordWriter(folder / name, meta)
    stored = features if meta.feature_encoding == "none" else [encode(f, meta.feature_encoding) for f in features]
    shapes = np.array([f.shape for f in features])
    writer.append(RecordChunk(keys=[f"{name}-{i}" for i in range(len(features))], features=stored, labels=labels, shapes=shapes))
    writer.finish()
    return SplitInfo(name, len(features), meta)


def make_dataset(
    folder: Path,
    features: np.ndarray,
    labels: Any,
    *,
    task: str = "classification",
    label_kind: str = "index",
    class_labels: tuple[str, ...] = (),
    encoding: str = "none",
    validation: int = 8,
) -> Path:
    """A data set of features (N, C, H, W) and labels as `RecordReader.labels` gives them, whose last `validation` records are
    its validation split (0: none); the folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    meta = RecordMeta(
        task=task,
        feature_shape=tuple(features.shape[1:]),
        feature_dtype=str(features.dtype),
        feature_encoding=encoding,
        label_kind=label_kind,
        label_shape=() if label_kind == "index" else None if label_kind in ("none", "boxes") else tuple(np.shape(labels)[1:]),
        label_dtype=str(labels.dtype) if isinstance(labels, np.ndarray) else "int64",
        class_labels=class_labels,
        mean=tuple(float(m) for m in features.mean(axis=(0, 2, 3))),
        std=tuple(float(s) for s in features.std(axis=(0, 2, 3))),
    )
    cut = len(features) - validation
    parts = {TRAIN_DB: slice(0, cut), VAL_DB: slice(cut, len(features))}
    splits = {
        name: write_split(folder, name, features[part], None if labels is None else labels[part], meta)
        for name, part in parts.items()
        if len(features[part])
    }
    info = DatasetInfo(task, class_labels, splits, meta.feature_shape, extra={"channels": features.shape[1]})
    write_json(folder / "dataset.json", info.to_json())
    return folder


def make_run(dataset: Path, folder: Path, spec: TrainingSpec, emit: Callable[[Event], int], **options: Any) -> TrainingRun:
    """A run of `spec` on a data set made by `make_dataset`."""
    folder.mkdir(parents=True, exist_ok=True)
    info = JobFolder(dataset).dataset_info()
    return TrainingRun(
        spec=spec,
        folder=folder,
        dataset_folder=dataset,
        info=info,
        train=open_split(dataset, TRAIN_DB, info),
        val=find_split(dataset, VAL_DB, info),
        emit=emit,
        threads=options.pop("threads", 1),
        **options,
    )


def train(dataset: Path, folder: Path, spec: TrainingSpec, **options: Any) -> list[Event]:
    """Train to the end in this process; the events."""
    events: list[Event] = []

    def emit(event: Event) -> int:
        events.append(event)
        return len(events)

    get_engine(spec.framework).train(make_run(dataset, folder, spec, emit, **options))
    return events


def train_logged(dataset: Path, folder: Path, spec: TrainingSpec, **options: Any) -> None:
    """Train as a worker does: events in `events.jsonl`, with an attempt event that says where a checkpoint goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = EventWriter(folder / "events.jsonl", 1)
    try:
        found = checkpoint.read(folder / "checkpoint")
        point = {"resumed_step": found["step"], "resumed_offset": found["offset"]} if found else {}
        writer.emit(AttemptEvent(**point))
        run = make_run(dataset, folder, spec, writer.emit, offset=lambda: writer.offset, **options)
        get_engine(spec.framework).train(run)
    finally:
        writer.close()


def metric_lines(folder: Path) -> list[tuple[int, str, dict[str, float]]]:
    """The metric events that count, as `(step, phase, values)`."""
    events = [event for _, event in valid_events(folder / "events.jsonl")]
    return [(event.step, event.phase, event.values) for event in events if isinstance(event, MetricEvent)]


def latest_step(folder: Path) -> int:
    """The newest step that reported the metrics of its batch; 0 before the first."""
    return max((step for step, phase, _ in metric_lines(folder) if phase == "train"), default=0)


def main(argv: list[str]) -> None:
    dataset, folder, spec = (Path(argument) for argument in argv)
    value = json.loads(spec.read_text())
    train_logged(dataset, folder, TrainingSpec.from_json(value["spec"]), **value["options"])


if __name__ == "__main__":
    main(sys.argv[1:])
