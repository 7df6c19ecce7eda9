"""The same photos and boxes in three forms train the same: VOC and COCO to the bit, YOLO but for its rounded numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from digits.domain.events import MetricEvent
from digits.domain.training import LearningRate, Solver, TrainingSpec
from digits.networks.catalog import network_text
from digits.testing.runs import train
from tests.extensions.data.test_real_sets import take
from tests.ingest.making import Run, make_job, run_job

PLAN = TrainingSpec(
    "x",
    "detection",
    network=network_text("detector"),
    epochs=2,
    batch_size=4,
    seed=3,
    use_mean="pixel",
    solver=Solver("ADAMW"),
    learning_rate=LearningRate(0.003, "cosine"),
    snapshot_interval=0,
)
LABELS = {
    "voc": ("Annotations", "Annotations"),
    "coco": ("coco/annotations/instances_train.json", "coco/annotations/instances_val.json"),
    "yolo": ("yolo/train/labels", "yolo/val/labels"),
}


def cells(shared_data: Path, tmp_path: Path, form: str) -> Run:
    """Sixteen photos of blood cells to train on and four to judge by."""
    place = shared_data / "bccd"
    values: dict[str, Any] = {"resize_image_width": 160, "resize_image_height": 120, "val_min_box_size": 0}
    for split, labels, count in zip(("train", "val"), LABELS[form], (16, 4), strict=True):
        images = take(place / "coco" / split, tmp_path / form / split, count)
        values |= {f"{split}_image_folder": images, f"{split}_label_folder": str(place / labels)}
    values["class_names_file"] = str(place / "yolo" / "data.yaml")
    return run_job(make_job(tmp_path / "jobs", "image-object-detection", values))


def curve(run: Run, folder: Path) -> list[dict[str, float]]:
    """What the training tells of its loss and its validations."""
    events = train(run.folder.path, folder, PLAN)
    return [event.values for event in events if isinstance(event, MetricEvent)]


def test_three_forms_of_the_same_boxes_train_alike(shared_data: Path, tmp_path: Path) -> None:
    curves = {form: curve(cells(shared_data, tmp_path, form), tmp_path / f"model_{form}") for form in LABELS}
    assert repr(curves["coco"]) == repr(curves["voc"])  # NaN is NaN
    losses = {form: [values["loss"] for values in curve if "loss" in values] for form, curve in curves.items()}
    assert losses["yolo"] == pytest.approx(losses["voc"], rel=0.15)  # a centre on the edge of two cells may fall into the other
