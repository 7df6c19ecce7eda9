"""The records of a data set, listed and as files from which the same data set can be made."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from digits.cli import group
from digits.domain.jobs import Kind, Status
from digits.errors import BadRequest, NotFound
from digits.extensions.data.files.listing import pictures_below
from digits.service import Service
from digits.service.datasets.export_records import class_folders
from digits.storage.jobs.store import Job
from digits.testing.runs import make_dataset, squared_pictures
from tests.builders import make_job
from tests.service.finished_dataset import CLASSES, class_folder, finished_dataset, gradient


def run(service: Service, *arguments: Any) -> Result:
    return CliRunner().invoke(group, [*map(str, arguments), "--jobs-dir", str(service.jobs_dir.path)])


@pytest.fixture
def classes(service: Service, tmp_path: Path) -> Job:
    features = np.stack([gradient(at % 3, at) for at in range(9)]).transpose(0, 3, 1, 2)
    labels = np.arange(9) % 3
    splits = {"train_db": slice(0, 6), "val_db": slice(6, 9)}
    return finished_dataset(
        service,
        class_folder(tmp_path / "pictures", 3),
        {name: features[rows] for name, rows in splits.items()},
        {name: labels[rows] for name, rows in splits.items()},
    )


def test_records_are_listed_page_by_page(service: Service, classes: Job) -> None:
    said = run(service, "dataset", "explore", "ready", "--label", CLASSES[1], "--size", 1)
    assert said.exit_code == 0, said.exception
    assert f"1       00000001  {CLASSES[1]}" in said.output
    assert "page 0 of 2, 2 records in train" in said.output
    found = json.loads(run(service, "dataset", "explore", "ready", "--split", "val", "--json").stdout)
    assert [row["label"] for row in found["records"]] == [0, 1, 2]
    assert isinstance(run(service, "dataset", "explore", "ready", "--label", "blue").exception, BadRequest)


def test_pictures_of_classes_come_back(service: Service, classes: Job, tmp_path: Path) -> None:
    target = tmp_path / "out"
    result = run(service, "dataset", "export", "ready", target)
    assert result.exit_code == 0, result.exception
    assert "6 train, 3 val records" in result.output
    assert (target / "labels.txt").read_text().splitlines() == list(CLASSES)
    for label, name in enumerate(CLASSES):
        files = [Path(path) for path in pictures_below(target / "train" / name)]
        assert [file.stem for file in files] == [f"{label:08d}", f"{label + 3:08d}"]
        np.testing.assert_array_equal(np.asarray(Image.open(files[1])), gradient(label, label + 3))
    with open(target / "val" / "records.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["key"], row["class"], row["class name"]) for row in rows] == [
        (f"{number:08d}", str(number), CLASSES[number]) for number in range(3)
    ]
    assert isinstance(run(service, "dataset", "export", "ready", target).exception, BadRequest)
    assert isinstance(run(service, "dataset", "export", "ready", tmp_path / "x", "--split", "test").exception, NotFound)


def records(service: Service, features: np.ndarray, labels: Any, **meta: Any) -> Job:
    """A data set that is done, of records written by hand."""
    job = make_job(service, Kind.DATASET, "records", status=Status.DONE)
    make_dataset(service.folder(job.id).path, features, labels, **meta)
    return job


def test_boxes_are_written_as_coco_has_them(service: Service, tmp_path: Path) -> None:
    features, boxes = squared_pictures(6, 24, seed=2)
    records(service, features, boxes, task="detection", label_kind="boxes", class_labels=("red", "blue"), validation=0)
    result = run(service, "dataset", "export", "records", tmp_path / "out", "--limit", 2)
    assert result.exit_code == 0, result.exception
    found = json.loads((tmp_path / "out" / "train" / "annotations.json").read_text())
    assert [image["file_name"] for image in found["images"]] == ["images/00000000.png", "images/00000001.png"]
    assert [(one["id"], one["name"]) for one in found["categories"]] == [(1, "red"), (2, "blue")]
    written = [one["bbox"] for one in found["annotations"]]
    kept = np.concatenate(boxes[:2])
    assert written == [[float(v) for v in (b["x0"], b["y0"], b["x1"] - b["x0"], b["y1"] - b["y0"])] for b in kept]


def test_floats_and_numbers_lose_nothing(service: Service, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(6, 2, 5, 4)).astype(np.float32)
    labels = rng.normal(size=(6, 2)).astype(np.float32)
    records(service, features, labels, task="regression", label_kind="vector", validation=0)
    assert run(service, "dataset", "export", "records", tmp_path / "out").exit_code == 0
    with open(tmp_path / "out" / "train" / "records.csv", newline="") as handle:
        row = list(csv.DictReader(handle))[0]
    assert np.load(tmp_path / "out" / "train" / row["file"]).dtype == np.float32
    assert {"column 1", "column 2"} <= set(row)


def test_folders_of_classes_are_different_and_stay_inside() -> None:
    assert class_folders(["a/b", "a_b", "..", "A_B"]) == ["a_b", "a_b 1", "file", "A_B 3"]
