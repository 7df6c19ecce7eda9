"""Pages, JSON, CSV and masks of evaluations that are no classifications."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from digits.domain.events import SnapshotEvent
from digits.domain.inference import EvaluationSpec
from digits.domain.jobs import Kind, Resources, Status
from digits.service import Service
from digits.service.evaluations.create import comparable_datasets
from digits.storage.events import EventWriter
from digits.storage.files import write_json
from digits.storage.jobs.store import Job
from digits.storage.predictions import OLD_FILE, Column, writing_predictions
from digits.testing.runs import make_dataset
from tests.builders import create_done, make_job

LABELS = ["background", "<b>cell</b>"]


def finished(service: Service, kind: str, outputs: list[np.ndarray], **result: object) -> Job:
    spec = EvaluationSpec("20260101-000000-aaaa", "snapshots/epoch_1.safetensors", 1.0, "list", list_file="images.txt")
    job = create_done(
        service,
        kind=Kind.EVALUATION,
        task="segmentation",
        type_name="Evaluation",
        name="evaluation",
        form={},
        spec=spec.to_json(),
        resources=Resources("inference"),
        summary={"model_id": spec.model_id, "source": "list"},
    )
    folder = service.folder(job.id)
    with writing_predictions(folder.path / OLD_FILE, [Column("output"), Column("mean_dice", "float64")]) as writer:
        paths = [f"/pictures/{n} é.png" for n in range(len(outputs))]
        values = {"output": outputs, "mean_dice": [1 - n / 10 for n in range(len(outputs))]}
        writer.append(paths, [-1] * len(outputs), values)
    described = {"count": len(outputs), "labelled": len(outputs), "skipped": 0, "seconds": 1.0, "model_id": "x", "epoch": 1.0}
    per_class = [{"label": label, "dice": 0.5} for label in LABELS]
    metrics = {"metrics": {"mean_dice": 0.75, "mean_iou": None}, "columns": ["mean_dice"], "key": "mean_dice"}
    values = {"kind": kind, "class_labels": LABELS, "per_class": per_class, "lower_is_better": False}
    write_json(folder.result_file, {**described, **metrics, **values, **result})
    return job


@pytest.fixture
def segmentation(service: Service) -> Job:
    return finished(service, "map", [np.full((4, 6), n % 2, np.uint8) for n in range(5)])


def test_the_page_has_numbers_and_classes(client: FlaskClient, segmentation: Job) -> None:
    text = client.get(f"/evaluations/{segmentation.id}").get_data(as_text=True)
    assert "75.00 %" in text
    assert "&lt;b&gt;cell" in text
    assert LABELS[1] not in text
    assert client.get(f"/evaluations/{segmentation.id}.json").get_json()["result"]["metrics"]["mean_dice"] == 0.75


def test_the_trivial_answer_stands_beside_the_numbers(service: Service, client: FlaskClient) -> None:
    baseline = {"values": {"mean_dice": 0.125}, "description": "every pixel “background”"}
    job = finished(service, "map", [np.zeros((4, 6), np.uint8)], baseline=baseline)
    text = client.get(f"/evaluations/{job.id}").get_data(as_text=True)
    assert "baseline 12.50 %" in re.sub("<[^>]*>", "", text)
    assert "every pixel “background”" in text


def test_the_worst_come_first(client: FlaskClient, segmentation: Job) -> None:
    address = f"/evaluations/{segmentation.id}/samples.json"
    found = client.get(f"{address}?size=2&page=1").get_json()
    assert [sample["row"] for sample in found["samples"]] == [2, 1]
    assert (found["total"], found["samples"][0]["truth"], found["samples"][0]["size"]) == (5, None, [6, 4])
    assert client.get(f"{address}?sort=&size=1").get_json()["samples"][0]["row"] == 0
    assert client.get(f"{address}?sort=colour").status_code == 400
    assert client.get(f"{address}?only=wrong").status_code == 400, "no picture has a class"
    assert client.get(f"/evaluations/{segmentation.id}?sort=colour").status_code == 400


def test_masks_and_csv(client: FlaskClient, segmentation: Job) -> None:
    base = f"/evaluations/{segmentation.id}"
    mask = np.asarray(Image.open(io.BytesIO(client.get(f"{base}/mask/1.png").data)))
    assert (mask == 1).all()
    assert mask.shape == (4, 6)
    assert client.get(f"{base}/mask/9.png").status_code == 404
    with client.get(f"{base}/masks.zip") as answer:
        archive = zipfile.ZipFile(io.BytesIO(answer.data))
    assert len(archive.namelist()) == 5
    lines = client.get(f"{base}/samples.csv").get_data(as_text=True).splitlines()
    assert lines[0] == "row,path,record,mean_dice"
    assert lines[2] == "1,/pictures/1 é.png,-1,0.9"
    assert client.get(f"{base}/classes.csv").get_data(as_text=True).splitlines()[0] == "label,dice"
    assert client.get(f"{base}/coco.json").status_code == 400


def test_what_an_evaluation_does_not_hold_is_refused_with_advice(client: FlaskClient, segmentation: Job) -> None:
    base = f"/evaluations/{segmentation.id}"
    for name in ("predictions.json", "predictions.csv", "top.json", "confusion.csv", "picture/0"):
        assert client.get(f"{base}/{name}").status_code == 400, name
    assert "samples.json" in client.get(f"{base}/predictions.json").get_data(as_text=True)


def test_boxes_as_coco_has_them(service: Service, client: FlaskClient) -> None:
    job = finished(service, "boxes", [np.array([[1, 2, 4, 8, 0.5, 1]], np.float32)])
    answer = json.loads(client.get(f"/evaluations/{job.id}/coco.json").data)
    assert answer == [{"image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 6], "score": 0.5}]
    assert client.get(f"/evaluations/{job.id}/mask/0.png").status_code == 400


@pytest.mark.parametrize(("options", "threshold"), [({"options": {"score_threshold": 0.25}}, "0.25"), ({}, "0.5")])
def test_the_page_says_which_boxes_count(
    service: Service, client: FlaskClient, options: dict[str, object], threshold: str
) -> None:
    """Where an earlier version did not keep it, it was 0.5."""
    job = finished(service, "boxes", [np.array([[1, 2, 4, 8, 0.5, 1]], np.float32)], **options)
    text = client.get(f"/evaluations/{job.id}").get_data(as_text=True)
    assert f"Precision and recall count boxes with a score of at least {threshold}." in text
    result = client.get(f"/evaluations/{job.id}.json").get_json()["result"]
    assert result["options"] == {"score_threshold": float(threshold)}


@pytest.fixture
def model(service: Service, tmp_path: Path) -> Job:
    """A segmentation model with one snapshot, its data set, and another one of the same classes."""
    datasets = []
    for number in range(3):
        job = make_job(service, Kind.DATASET, f"data {number}", status=Status.DONE)
        pictures, masks = np.zeros((6, 1, 8, 8), np.uint8), np.zeros((6, 1, 8, 8), np.uint8)
        classes = ("background", "cell") if number < 2 else ("sky", "road")
        folder = service.folder(job.id).path
        make_dataset(folder, pictures, masks, task="segmentation", label_kind="map", class_labels=classes, validation=2)
        datasets.append(job)
    model = make_job(service, Kind.MODEL, "model", parents=(datasets[0].id,))
    made = service.folder(model.id)
    (made.path / "snapshots").mkdir()
    (made.path / "snapshots" / "epoch_1.safetensors").write_bytes(b"weights")
    writer = EventWriter(made.events_file, 1)
    writer.emit(SnapshotEvent(step=1, epoch=1, path="snapshots/epoch_1.safetensors"))
    writer.close()
    return model


def test_one_click_evaluates_another_data_set(service: Service, client: FlaskClient, model: Job) -> None:
    others = comparable_datasets(service, model)
    assert [(other.job.name, other.splits) for other in others] == [("data 1", {"train_db": 4, "val_db": 2})]
    wanted = others[0].job.id
    for sent in ({"other": f"{wanted}/val_db"}, {"dataset": wanted}, {"dataset_id": wanted, "split": "val"}):
        made = client.post(f"/models/{model.id}/evaluate.json", data=sent).get_json()
        spec = EvaluationSpec.from_json(service.folder(made["id"]).spec())
        assert (spec.source, spec.dataset_id, spec.split) == ("split", wanted, "val_db")


def test_a_folder_of_any_size_is_predicted_as_a_job(service: Service, client: FlaskClient, model: Job, tmp_path: Path) -> None:
    sent = {"image_folder": str(tmp_path), "dont_resize": "y", "num_test_images": "3"}
    answer = client.post(f"/models/{model.id}/evaluate", data=sent)
    assert answer.status_code == 303
    job_id = answer.headers["Location"].rpartition("/")[2]
    spec = EvaluationSpec.from_json(service.folder(job_id).spec())
    assert (spec.source, spec.folder, spec.limit, spec.dont_resize) == ("folder", str(tmp_path), 3, True)
    assert client.get(f"/evaluations/{job_id}/samples.json").status_code == 409


def test_a_model_that_finds_nothing_is_told_so(service: Service, client: FlaskClient) -> None:
    baseline = {"values": {"mean_dice": 0.8}, "description": "every pixel “background”"}
    per_class = [{"label": "background", "dice": 0.9}, {"label": "cell", "dice": 0.0}]
    job = finished(service, "map", [np.zeros((4, 6), np.uint8)], baseline=baseline, per_class=per_class)
    text = client.get(f"/evaluations/{job.id}").get_data(as_text=True)
    assert (
        "no better than the trivial answer (every pixel “background”): Mean Dice (pooled over all pixels) 75.00 % against 80.00 %"
        in text
    )
    assert "“cell” is not found in any picture." in text
