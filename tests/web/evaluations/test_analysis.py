"""What evaluations tell beyond their metrics, over HTTP: curves and thresholds, reviews, lists and files to take away."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from flask.testing import FlaskClient
from sklearn import metrics

from digits.domain.jobs import Kind, Status
from digits.service import Service
from digits.service.evaluations import analysis
from digits.service.evaluations.analysis import handed_on
from digits.service.evaluations.review import FILE
from digits.service.models.snapshots import Snapshot
from digits.service.models.thresholds import with_thresholds
from digits.storage.jobs.store import Job
from digits.storage.records.boxes import BOX_DTYPE
from digits.tasks import Labels
from digits.testing.runs import make_dataset
from tests.builders import make_job
from tests.web.evaluations.analysed import analysed

EVIL = "<script>alert(1)</script>"
NAMES = ("ant", "bee", EVIL)
NO_SNAPSHOT = Snapshot(0.0, "")


@pytest.fixture
def model(service: Service) -> Job:
    return make_job(service, Kind.MODEL, "model", status=Status.DONE)


def classes(service: Service, model: Job, count: int = 60) -> tuple[Job, np.ndarray, np.ndarray]:
    """An evaluation, its probabilities and true classes; no picture is of the third class, and one has no numbers."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, count)
    scores = rng.normal(size=(count, 3)) + 2 * np.eye(3)[truth]
    logs = (scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))).astype(np.float32)
    logs[5] = np.nan
    job = analysed(service, "classification", Labels(class_labels=NAMES), logs, truth, model=model.id, is_validation=True)
    return job, np.exp(logs), truth


def test_curves_averages_and_calibration_are_told(service: Service, client: FlaskClient, model: Job) -> None:
    job, shares, truth = classes(service, model)
    told = client.get(f"/evaluations/{job.id}.json").get_json()
    analysis = told["analysis"]
    rows = {row["label"]: row for row in analysis["curves"]["classes"]}
    known = np.arange(60) != 5
    wrong = np.where(truth == 1, -1.0, 2.0)  # what has no numbers is missed, or found where it is not
    scores = np.where(known, shares[:, 1], wrong)
    assert rows["bee"]["auc"] == pytest.approx(metrics.roc_auc_score(truth == 1, scores), abs=1e-6)
    assert (rows[EVIL]["positives"], rows[EVIL]["auc"], rows[EVIL]["ap"]) == (0, None, None), "a class without any picture"
    made = np.where(known, np.nan_to_num(shares).argmax(axis=1), -1)
    assert analysis["averages"]["weighted_recall"] == pytest.approx((made == truth).mean())
    assert analysis["averages"]["macro_f1"] == pytest.approx(
        metrics.f1_score(truth, made, labels=np.unique(np.append(truth, made[known])), average="macro", zero_division=0)
    )
    assert analysis["top_k"][1]["accuracy"] == pytest.approx(
        (metrics.top_k_accuracy_score(truth[known], shares[known], k=2, labels=range(3)) * 59) / 60
    )
    assert analysis["averages"]["mcc"] == pytest.approx(metrics.matthews_corrcoef(truth, made))
    assert analysis["averages"]["cohen_kappa"] == pytest.approx(metrics.cohen_kappa_score(truth, made))
    assert [row["k"] for row in analysis["top_k"]] == [1, 2]
    assert analysis["top_k"][0]["accuracy"] == told["result"]["metrics"]["accuracy"]
    assert analysis["calibration"]["how"] == "validation"
    assert analysis["intervals"]["accuracy"]["how"] == "Wilson"
    assert ["1 picture are no numbers" in note for note in analysis["notes"]] == [True]
    page = client.get(f"/evaluations/{job.id}").get_data(as_text=True)
    assert "Precision and recall at each threshold" in page
    assert EVIL not in page


def test_a_threshold_is_kept_with_the_model_and_forgotten(service: Service, client: FlaskClient, model: Job) -> None:
    job, shares, truth = classes(service, model)
    address = f"/evaluations/{job.id}/threshold.json"
    found = client.post(address, data={"label": "bee", "threshold": "0.6"}).get_json()
    at = np.where(np.isnan(shares[:, 1]), truth != 1, shares[:, 1] >= found["counted_at"])
    assert found["precision"] == pytest.approx(metrics.precision_score(truth == 1, at))
    assert found["recall"] == pytest.approx(metrics.recall_score(truth == 1, at))
    kept = client.get(f"/models/{model.id}/thresholds.json").get_json()["thresholds"]
    assert (kept["bee"]["threshold"], kept["bee"]["evaluation"]) == (0.6, job.id)
    assert handed_on(service, model, NO_SNAPSHOT, {}, 0)["thresholds"] == {"bee": 0.6}
    for wrong in ({"label": "cow", "threshold": "0.5"}, {"label": "bee", "threshold": "2"}, {"label": "bee", "threshold": "x"}):
        assert client.post(address, data=wrong).status_code == 400, wrong
    assert client.post(address, data={"label": "bee", "threshold": ""}).get_json()["thresholds"] == {}
    (service.folder(model.id).path / "thresholds.json").write_text('{"thresholds": {"bee": {"threshold": "much"}}}')
    assert client.get(f"/models/{model.id}/thresholds.json").get_json()["thresholds"] == {}, "a damaged file says nothing"


def test_thresholds_become_the_options_of_archives_and_evaluations() -> None:
    meta = {
        "task": "multi_label",
        "label_kind": "vector",
        "class_labels": ["cat", "dog"],
        "options": {"label_thresholds": [0.3, 0.4]},
    }
    assert with_thresholds(meta, {"dog": 0.9})["options"]["label_thresholds"] == [0.3, 0.9]
    boxes = {"task": "detection", "label_kind": "boxes", "class_labels": ["car"], "options": {"score_threshold": 0.5}}
    assert with_thresholds(boxes, {"": 0.7})["options"]["score_threshold"] == 0.7
    assert with_thresholds(boxes, {"car": 0.7}) == boxes, "one class alone has none of its own"


def test_the_temperature_of_the_validation_split_is_handed_on(service: Service, model: Job) -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 200)
    logs = np.log(rng.dirichlet(np.ones(3), 200)).astype(np.float32)
    dataset = make_job(service, Kind.DATASET, "data", status=Status.DONE)
    own = make_job(service, Kind.MODEL, "own", status=Status.DONE, parents=(dataset.id,))
    job = analysed(service, "classification", Labels(class_labels=NAMES), logs, truth, model=own.id, is_validation=True)
    service.store.update(job.id, dataset_id=dataset.id, summary={"model_id": own.id, "split": "val_db"})
    fitted = json.loads((service.folder(job.id).path / "analysis.json").read_text())["calibration"]["temperature"]
    snapshot = Snapshot(1.0, "snapshots/epoch_1.safetensors")
    given = handed_on(service, own, snapshot, {"split": "test_db", "dataset_id": dataset.id}, 0)
    assert (given["temperature"], given["temperature_from"], given["is_validation"]) == (fitted, job.id, False)
    for other in (Snapshot(1.0, "another"), Snapshot(20.0, snapshot.path)):  # a training writes its best one over that before
        assert handed_on(service, own, other, {"split": "test_db"}, 0)["temperature"] is None, "of this snapshot alone"
    assert handed_on(service, own, NO_SNAPSHOT, {"split": "val_db", "dataset_id": dataset.id}, 0)["is_validation"]
    of_some = handed_on(service, own, NO_SNAPSHOT, {"split": "val_db", "dataset_id": dataset.id}, 10)
    assert not of_some["is_validation"], "not all of it"


def test_the_temperature_is_found_behind_many_evaluations_of_other_models(
    service: Service, model: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analysis, "SEARCHED", 2)
    dataset = make_job(service, Kind.DATASET, "data", status=Status.DONE)
    own = make_job(service, Kind.MODEL, "own", status=Status.DONE, parents=(dataset.id,))
    logs = np.log(np.random.default_rng(1).dirichlet(np.ones(3), 60)).astype(np.float32)
    made = [
        analysed(service, "classification", Labels(class_labels=NAMES), logs, np.arange(60) % 3, model=one.id, is_validation=True)
        for one in (own, model, model, model)
    ]
    for job, one in zip(made, (own, model, model, model), strict=True):
        service.store.update(job.id, dataset_id=dataset.id, summary={"model_id": one.id, "split": "val_db"})
    snapshot = Snapshot(1.0, "snapshots/epoch_1.safetensors")
    assert handed_on(service, own, snapshot, {"split": "test_db"}, 0)["temperature_from"] == made[0].id


def test_reviews_are_kept_chosen_and_taken_away(service: Service, client: FlaskClient, model: Job) -> None:
    job, _, _ = classes(service, model)
    address = f"/evaluations/{job.id}/review.json"
    client.post(address, data={"row": ["3", "4"], "verdict": "label_wrong"})
    client.post(address, data={"row": "9", "verdict": "picture_bad"})
    client.post(address, data={"row": "4", "verdict": "model_wrong"})
    said = client.post(address, data={"row": "9", "verdict": ""}).get_json()
    assert said == client.get(address).get_json()
    assert said["counts"] == {"label_wrong": 1, "picture_bad": 0, "model_wrong": 1}
    assert {row: each["verdict"] for row, each in said["rows"].items()} == {"3": "label_wrong", "4": "model_wrong"}
    samples = client.get(f"/evaluations/{job.id}/samples.json?review=label_wrong").get_json()
    assert [(each["row"], each["verdict"]) for each in samples["samples"]] == [(3, "label_wrong")]
    assert client.get(f"/evaluations/{job.id}/samples.json?review=none").get_json()["total"] == 58
    refused = client.get(f"/evaluations/{job.id}/list.txt?sort=x")  # not in the middle of the answer, as a 500
    assert (refused.status_code, "sort" in refused.get_data(as_text=True)) == (400, True)
    assert client.get(f"/evaluations/{job.id}/list.txt").status_code == 200
    table = list(csv.DictReader(io.StringIO(client.get(f"/evaluations/{job.id}/review.csv").get_data(as_text=True))))
    assert [(row["row"], row["verdict"]) for row in table] == [("3", "label_wrong"), ("4", "model_wrong")]
    for wrong in (
        {"row": "60", "verdict": "model_wrong"},
        {"row": "1", "verdict": "ugly"},
        {"verdict": "model_wrong"},
        {"row": "x"},
    ):
        assert client.post(address, data=wrong).status_code in (400, 404), wrong


def test_a_torn_line_costs_no_other_review(service: Service, client: FlaskClient, model: Job) -> None:
    job, _, _ = classes(service, model)
    file = service.folder(job.id).path / FILE
    file.write_text('{"row": 1, "verdict": "label_wrong", "user": "a", "time": 1}\n[[[\n{"row": 2, "verd')
    client.post(f"/evaluations/{job.id}/review.json", data={"row": "7", "verdict": "picture_bad"})
    assert set(client.get(f"/evaluations/{job.id}/review.json").get_json()["rows"]) == {"1", "7"}


def test_wrong_pictures_are_sent_to_a_new_data_set(service: Service, client: FlaskClient, model: Job) -> None:
    job, shares, truth = classes(service, model)
    made = np.where(np.isnan(shares[:, 0]), -1, np.nan_to_num(shares).argmax(axis=1))
    wrong = np.flatnonzero(made != truth)
    lines = client.get(f"/evaluations/{job.id}/list.txt?only=wrong&sort=index").get_data(as_text=True).splitlines()
    assert lines == [f"/pictures/{n}.png {truth[n]}" for n in wrong]
    found = client.post(f"/evaluations/{job.id}/send.json?only=wrong").get_json()
    assert found["count"] == len(wrong)
    assert Path(found["labels_file"]).read_text().splitlines() == list(NAMES)
    form = client.get(found["form"]).get_data(as_text=True)
    assert found["list_file"] in form, "the form has the list filled in"
    assert client.post(f"/evaluations/{job.id}/send.json?label=2").status_code == 400, "no picture is of that class"


def parquet_rows(client: FlaskClient, job: Job) -> list[dict]:
    with client.get(f"/evaluations/{job.id}/predictions.parquet") as answer:
        return pq.read_table(io.BytesIO(answer.data)).to_pylist()


def test_every_picture_is_a_row_of_a_parquet_file(service: Service, client: FlaskClient, model: Job) -> None:
    job, shares, truth = classes(service, model)
    rows = parquet_rows(client, job)
    assert [row["label"] for row in rows] == [NAMES[k] for k in truth]
    assert rows[0]["probabilities"] == pytest.approx(shares[0].tolist(), abs=1e-6)
    assert (rows[5]["predicted"], rows[5]["correct"]) == (None, False)
    truths = [np.array([(0, 0, 9, 9, 0, 0)], BOX_DTYPE)]
    labels = Labels("boxes", None, class_labels=("car",), feature_shape=(3, 20, 20))
    boxes = analysed(service, "detection", labels, [np.array([[0, 0, 9, 9, 0.8, 0]], np.float32)], truths, model=model.id)
    (row,) = parquet_rows(client, boxes)
    assert row["boxes"] == [{"x0": 0, "y0": 0, "x1": 9, "y1": 9, "score": pytest.approx(0.8), "label": "car"}]
    assert row["map50"] == 1


def test_a_parquet_file_without_the_truths_of_its_records_is_made_anew_once_they_can_be_read(
    service: Service, client: FlaskClient, model: Job
) -> None:
    data = make_job(service, Kind.DATASET, "data", status=Status.DONE)
    numbers = np.arange(12, dtype=np.float32).reshape(6, 2)
    folder = service.folder(data.id).path
    make_dataset(folder, np.zeros((6, 1, 4, 4), np.uint8), numbers, task="regression", label_kind="vector", validation=6)
    labels, split = Labels("vector", (2,), "float32", columns=("w", "h")), {"dataset_id": data.id, "split": "val_db"}
    job = analysed(service, "regression", labels, list(numbers + 1), list(numbers), model=model.id, source="split", **split)
    away = folder.with_name("away")
    folder.rename(away)
    assert [row["truth"] for row in parquet_rows(client, job)] == [None] * 6
    away.rename(folder)
    assert [row["truth"] for row in parquet_rows(client, job)] == numbers.tolist()
    folder.rename(away)
    assert [row["truth"] for row in parquet_rows(client, job)] == numbers.tolist(), "what is whole is kept"


def of_every_task() -> dict[str, tuple[Labels, list, list]]:
    """Labels, outputs and truths of each task, with an output that is no number where a task can have one."""
    rng = np.random.default_rng(2)
    maps = [rng.integers(0, 2, (12, 16)).astype(np.uint8) for _ in range(6)]
    numbers = rng.normal(size=(6, 2)).astype(np.float32)
    made = numbers + 0.1
    made[0] = np.nan
    pictures = rng.random((4, 3, 16, 16)).astype(np.float32)
    true = (rng.random((6, 2)) < 0.5).astype(np.float32)
    scores = np.clip(true * 0.6 + 0.2, 0, 1).astype(np.float32)
    scores[1] = np.nan
    objects = [np.array([(0, 0, 50, 50, 0, 0)], BOX_DTYPE), np.zeros(0, BOX_DTYPE)]
    boxes = [np.array([[0, 0, 50, 50, 0.9, 0], [np.nan, 0, 1, 1, 0.3, 0]], np.float32), np.zeros((0, 6), np.float32)]
    return {
        "segmentation": (Labels("map", (1, 12, 16), "uint8", ("a", "b"), (3, 12, 16)), maps, [m[None] for m in maps]),
        "regression": (Labels("vector", (2,), "float32", columns=("w", "h")), list(made), list(numbers)),
        "processing": (Labels("array", (3, 16, 16), "float32", (), (3, 16, 16)), list(pictures), list(pictures)),
        "multi_label": (Labels("vector", (2,), "float32", ("cat", "dog")), list(scores), list(true)),
        "detection": (Labels("boxes", None, class_labels=("car", "bus"), feature_shape=(3, 60, 60)), boxes, objects),
    }


@pytest.mark.parametrize(
    ("task", "section"),
    [
        ("segmentation", "Outlines"),
        ("regression", "Residuals"),
        ("processing", "From picture to picture"),
        ("multi_label", "Calibration"),
        ("detection", "Why boxes are wrong"),
    ],
)
def test_the_page_of_every_task_tells_its_own(service: Service, client: FlaskClient, model: Job, task: str, section: str) -> None:
    labels, outputs, truths = of_every_task()[task]
    job = analysed(service, task, labels, outputs, truths, model=model.id)
    assert section in client.get(f"/evaluations/{job.id}").get_data(as_text=True)
    analysis = client.get(f"/evaluations/{job.id}.json").get_json()["analysis"]
    if task == "segmentation":
        assert analysis["boundaries"]["means"] == {"boundary_f": 1.0, "hd95": 0.0}
    elif task == "regression":
        assert [(one["label"], one["count"]) for one in analysis["residuals"]["columns"]] == [("w", 5), ("h", 5)]
        assert analysis["residuals"]["columns"][0]["bias"] == pytest.approx(0.1)
        assert "no numbers" in analysis["notes"][0]
    elif task == "multi_label":
        assert analysis["curves"]["classes"][0]["ap"] < 1, "a picture without numbers is wrong"
    elif task == "detection":
        assert {row["kind"]: row["count"] for row in analysis["errors"]["kinds"]}["background"] == 1
    unknown = analysed(service, task, labels, outputs, None, model=model.id)
    assert client.get(f"/evaluations/{unknown.id}").status_code == 200, "a data set without truth"


def test_of_more_than_a_thousand_classes_the_page_says_what_is_not_kept(
    service: Service, client: FlaskClient, model: Job
) -> None:
    rng = np.random.default_rng(3)
    labels = Labels(class_labels=tuple(f"class {k}" for k in range(1001)))
    logs = np.log(rng.dirichlet(np.ones(1001), 40)).astype(np.float32)
    job = analysed(service, "classification", labels, logs, rng.integers(0, 1000, 40), model=model.id)
    told = client.get(f"/evaluations/{job.id}.json").get_json()["analysis"]
    assert told["curves"] is None
    assert told["calibration"]["before"]["ece"] is not None
    assert "at most 1,000 classes" in told["notes"][0]
    assert client.get(f"/evaluations/{job.id}").status_code == 200


def test_an_evaluation_of_before_says_that_it_tells_less(service: Service, client: FlaskClient, model: Job) -> None:
    job, _, _ = classes(service, model)
    file = service.folder(job.id).path / "analysis.json"
    for torn in ("{", "[1]", "null"):
        file.write_text(torn)
        assert "analysis.json is damaged" in client.get(f"/evaluations/{job.id}").get_data(as_text=True)
    file.unlink()
    assert client.get(f"/evaluations/{job.id}.json").get_json()["analysis"] is None
    assert "evaluate the model again" in client.get(f"/evaluations/{job.id}").get_data(as_text=True)
    assert client.post(f"/evaluations/{job.id}/threshold.json", data={"label": "bee", "threshold": "0.5"}).status_code == 400
