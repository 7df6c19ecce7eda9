"""Wrong pictures of an evaluation become a new data set, with their true labels, over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from digits.cli.evaluations import evaluation as commands
from digits.domain.classes import NO_CLASS, unknown_number
from digits.domain.datasets import TRAIN_DB, VAL_DB, DatasetSpec
from digits.domain.inference import EvaluationSpec
from digits.domain.jobs import Kind, Resources, Status
from digits.ingest.chosen import ingest_chosen
from digits.ingest.pipeline import IngestContext
from digits.metrics.classification_report import ClassificationReport
from digits.service import Service
from digits.service.jobs import create_job
from digits.storage.files import read_json, write_json
from digits.storage.jobs.store import Job, JobQuery
from digits.storage.predictions import PREDICTIONS_FILE, writing_predictions
from digits.storage.records.open import open_split
from digits.testing.runs import make_dataset
from tests.builders import make_job
from tests.web.evaluations.test_pages import make_evaluation

LABELS = ("cat", "dog")
TRUE = np.arange(10) % 2
WRONG = [2, 5, 7]


@pytest.fixture
def evaluation(service: Service) -> Job:
    """Of a split, three of whose ten records are taken for the other class."""
    data = make_job(service, Kind.DATASET, "pets", status=Status.DONE)
    features = np.random.default_rng(0).integers(0, 256, (12, 1, 6, 6)).astype(np.uint8)
    make_dataset(service.folder(data.id).path, features, np.concatenate([[0, 1], TRUE]), class_labels=LABELS, validation=10)
    spec = EvaluationSpec("20260101-000000-aaaa", "snapshots/epoch_1.safetensors", 1.0, "split", dataset_id=data.id, split=VAL_DB)
    job = create_job(
        service,
        kind=Kind.EVALUATION,
        task="classification",
        type_name="Evaluation",
        name="on <b>pets</b>",
        form={},
        spec=spec.to_json(),
        resources=Resources("inference"),
        summary={"model_id": spec.model_id, "source": "split", "split": VAL_DB, "dataset_id": data.id},
    )
    folder, report = service.folder(job.id), ClassificationReport(LABELS, 3)
    said = np.where(np.isin(np.arange(10), WRONG), 1 - TRUE, TRUE)
    with writing_predictions(folder.path / PREDICTIONS_FILE, report.columns) as writer:
        logs = np.log(np.full((10, 2), 0.1) + 0.8 * np.eye(2)[said]).astype(np.float32)
        writer.append([f"/pets/{n}.png" for n in range(10)], np.arange(10), report.add(logs, TRUE))
    write_json(folder.result_file, {**report.summary(), "model_id": "x", "epoch": 1.0, "skipped": 0, "seconds": 1.0})
    for step in (Status.WAIT, Status.RUN, Status.DONE):
        job = service.store.transition(job.id, step)
    return job


def made(service: Service, job_id: str) -> Any:
    """The records of a new data set, which is made as the worker makes it."""
    folder = service.folder(job_id)
    context = IngestContext(lambda event: None, lambda: False, lambda work: work(), 1, lambda error: None)
    ingest_chosen(folder, DatasetSpec.from_json(folder.spec()), context)
    return open_split(folder.path, TRAIN_DB)


def test_wrong_ones_become_a_data_set_with_their_labels(client: FlaskClient, service: Service, evaluation: Job) -> None:
    sent = client.post(f"/evaluations/{evaluation.id}/to_dataset.json", data={"name": "the <i>hard</i> ones"})
    assert sent.status_code == 200, sent.get_data(as_text=True)
    answer = sent.get_json()
    assert (answer["count"], answer["left_out"], answer["name"]) == (3, 0, "the <i>hard</i> ones")
    records = made(service, answer["id"])
    assert records.labels(range(3)).tolist() == TRUE[WRONG].tolist()
    old = open_split(service.folder(str(evaluation.summary["dataset_id"])).path, VAL_DB)
    assert np.array_equal(records.features([0, 1, 2]), old.features(WRONG))
    page = client.get(f"/datasets/{answer['id']}")
    assert page.status_code == 200
    assert evaluation.id in page.get_data(as_text=True), "it says where it came from"
    assert "<i>hard</i>" not in page.get_data(as_text=True)
    assert evaluation.id in service.store.get(answer["id"]).notes
    assert client.get(f"/clone/{answer['id']}").status_code == 400


def test_the_review_decides_what_is_worth_it(client: FlaskClient, service: Service, evaluation: Job) -> None:
    address = f"/evaluations/{evaluation.id}"
    for row, verdict in ((2, "label_wrong"), (5, "model_wrong"), (0, "picture_bad")):
        client.post(f"{address}/review.json", data={"row": row, "verdict": verdict})
    assert client.post(f"{address}/to_dataset.json").get_json().items() >= {"count": 2, "left_out": 1}.items()
    assert client.post(f"{address}/to_dataset.json?review=label_wrong").get_json()["count"] == 1
    assert client.post(f"{address}/to_dataset.json", data={"row": ["0", "2", "2"]}).get_json()["count"] == 2
    assert client.post(f"{address}/to_dataset.json", data={"most": "4"}).get_json()["count"] == 4
    jobs_dir = service.jobs_dir.path
    said = CliRunner().invoke(commands, ["dataset", evaluation.id, "--review", "any", "--jobs-dir", str(jobs_dir)])
    assert json.loads(said.stdout)["count"] == 3
    page = client.post(f"{address}/to_dataset", data={"only": "wrong"})
    assert page.status_code == 303
    assert "/jobs/" in page.location or "/datasets/" in page.location


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"row": "10"}, 404),
        ({"row": "x"}, 400),
        ({"percent_val": "100"}, 400),
        ({"review": "model_wrong"}, 400),
        ({"name": "x" * 600}, 400),
    ],
)
def test_what_cannot_be_sent_is_said(
    client: FlaskClient, service: Service, evaluation: Job, sent: dict[str, str], code: int
) -> None:
    before = len(service.store.query(JobQuery()).jobs)
    answer = client.post(f"/evaluations/{evaluation.id}/to_dataset.json", data=sent)
    assert answer.status_code == code, answer.get_data(as_text=True)
    assert len(service.store.query(JobQuery()).jobs) == before


def test_files_of_known_classes_become_one_of_classification(client: FlaskClient, service: Service, tmp_path: Path) -> None:
    job = make_evaluation(service, list(LABELS), [str(tmp_path / f"{n}.png") for n in range(20)])
    folder = service.folder("20260101-000000-aaaa").path
    folder.mkdir()
    image = {"width": 20, "height": 10, "channels": 3, "resize_mode": "crop", "feature_encoding": "jpg"}
    write_json(folder / "preprocessing.json", {"input_shape": [3, 10, 20], "image": image})
    answer = client.post(f"/evaluations/{job.id}/to_dataset.json", data={"label": "0"}).get_json()
    assert answer["count"] == 10
    form = read_json(service.folder(answer["id"]).path / "job.json")["form"]
    assert (form["resize_width"], form["resize_height"], form["resize_mode"]) == (20, 10, "crop")
    assert read_json(service.folder(answer["id"]).path / "job.json")["spec"]["feature_encoding"] == "jpg", "as the model's"
    assert len((service.folder(answer["id"]).path / "textfile_train_images.txt").read_text().splitlines()) == 10


def test_classes_that_the_model_does_not_know_are_classes_of_the_new_one(
    client: FlaskClient, service: Service, tmp_path: Path
) -> None:
    paths = [str(tmp_path / f"{n}.png") for n in range(6)]
    job = make_evaluation(service, list(LABELS), paths)
    folder, report = service.folder(job.id), ClassificationReport(LABELS, 3)
    true = np.array([0, 1, NO_CLASS, unknown_number(0), unknown_number(2), unknown_number(2)])
    with writing_predictions(folder.path / PREDICTIONS_FILE, report.columns) as writer:
        writer.append(paths, np.full(6, -1), report.add(np.log(np.full((6, 2), 0.5, np.float32)), true))
    unknown = [{"label": name, "count": count} for name, count in (("fox", 1), ("hen", 0), ("owl", 2))]
    about = {"model_id": "x", "epoch": 1.0, "skipped": 0, "seconds": 1.0, "unknown_classes": unknown}
    write_json(folder.result_file, {**report.summary(), **about})
    model = service.folder("20260101-000000-aaaa").path
    model.mkdir()
    write_json(model / "preprocessing.json", {"input_shape": [3, 10, 20], "image": {"width": 20, "height": 10}})
    answer = client.post(f"/evaluations/{job.id}/to_dataset.json", data={"most": "6"}).get_json()
    assert (answer["count"], answer["unlabelled"]) == (5, 1)
    made = service.folder(answer["id"]).path
    names = (made / "textfile_labels_file.txt").read_text().splitlines()
    assert names == ["cat", "dog", "fox", "owl"]
    lines = [line.rsplit(" ", 1) for line in (made / "textfile_train_images.txt").read_text().splitlines()]
    expected = ["cat", "dog", "fox", "owl", "owl"]
    assert {path: names[int(number)] for path, number in lines} == dict(zip([*paths[:2], *paths[3:]], expected, strict=True))
    sent = client.post(f"/evaluations/{job.id}/send.json").get_json()
    assert Path(sent["labels_file"]).read_text().splitlines() == names, "the form of a new one has the same"
    assert paths[2] in Path(sent["list_file"]).read_text().splitlines(), "and lists pictures without a class"
