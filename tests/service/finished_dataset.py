"""Records written by hand, so that pages and queries are tested without an ingest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from digits.domain.datasets import DatasetInfo, RecordMeta, SplitInfo
from digits.domain.jobs import Kind, Resources, Status
from digits.service import Service
from digits.service.datasets.classification import create_classification_dataset
from digits.service.jobs import create_job
from digits.storage.files import write_json
from digits.storage.jobs.store import Job
from digits.storage.records.reader import RecordChunk, RecordWriter
from digits.supervisor.outcomes import result_facts
from tests.conftest import USER

CLASSES = ("red-to-right", "green-to-top", "blue-to-left")


def class_folder(root: Path, per_class: int = 10, classes: tuple[str, ...] = CLASSES, side: int = 10) -> Path:
    """A folder of generated pictures, `per_class` in each class."""
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True, exist_ok=True)
        for at in range(per_class):
            Image.fromarray(gradient(number, at, side)).save(root / name / f"{at}.png")
    return root


def gradient(number: int, at: int, side: int = 10) -> np.ndarray:
    """A (side, side, 3) picture whose colour and direction tell the class, a little different for each `at`."""
    ramp = np.linspace(0, 200 + at, side).astype(np.uint8)
    picture = np.zeros((side, side, 3), np.uint8)
    direction = [ramp[None, :], ramp[::-1][:, None], ramp[::-1][None, :], ramp[:, None]][number % 4]
    picture[..., number % 3] = direction
    picture[0, 0] = at
    return picture


def finished_dataset(
    service: Service,
    folder: Path,
    features: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    class_labels: tuple[str, ...] = CLASSES,
    problems: tuple[dict[str, str], ...] = (),
    **form: object,
) -> Job:
    """A data set that is done, with the given (N,C,H,W) features and labels per split (`train_db`, …)."""
    job = create_classification_dataset(
        service, {"dataset_name": "ready", "folder_train": str(folder), **form}, "digits-testsuite"
    )
    target = service.folder(job.id)
    splits = {name: _split(target.path, name, features[name], labels[name], class_labels) for name in features}
    lines = "".join(json.dumps(problem) + "\n" for problem in problems)
    target.problems_file.write_text(lines)
    shape = next(iter(features.values())).shape[1:]
    sizes = ((500, 375, 6), (640, 480, 3))
    info = DatasetInfo(
        "classification", class_labels, splits, feature_shape=shape, sizes=sizes, problems=len(problems), content_hash="ab" * 32
    )
    write_json(target.dataset_file, info.to_json())
    running = service.store.transition(job.id, Status.RUN)
    return service.store.transition(job.id, Status.DONE, **result_facts(running, target, Status.DONE))


def _split(folder: Path, name: str, features: np.ndarray, labels: np.ndarray, class_labels: tuple[str, ...]) -> SplitInfo:
    mean, std = (tuple(float(v) for v in f(features.astype(float), axis=(0, 2, 3))) for f in (np.mean, np.std))
    meta = RecordMeta(
        "classification",
        features.shape[1:],
        str(features.dtype),
        class_labels=class_labels,
        label_kind="index",
        mean=mean,
        std=std,
    )
    writer = RecordWriter(folder / name, meta)
    count = len(features)
    writer.append(
        RecordChunk(
            keys=[f"{at:08d}" for at in range(count)],
            features=features,
            labels=labels,
            shapes=np.tile(np.array(features.shape[1:]), (count, 1)),
            sources=[f"/pictures/{at}.png" for at in range(count)],
            original_sizes=np.tile([500, 375], (count, 1)),
            groups=[f"g{at % 2}" for at in range(count)],
            hashes=[at.to_bytes(16, "big") for at in range(count)],
        )
    )
    counts = tuple(int(n) for n in np.bincount(labels, minlength=len(class_labels)))
    return SplitInfo(name, count, meta, class_counts=counts, bytes=writer.finish())


def boxes_to_come(service: Service) -> Job:
    """A data set of boxes that is still being made."""
    job = create_job(
        service,
        kind=Kind.DATASET,
        task="detection",
        type_name="Object Detection Dataset",
        name="cars",
        form={},
        spec={},
        resources=Resources("create_db"),
        owner=USER,
        extension="image-object-detection",
    )
    return service.store.transition(job.id, Status.WAIT)
