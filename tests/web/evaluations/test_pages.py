"""The pages of evaluations: filters, matrices of few and of many classes, names that are markup, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from digits.domain.inference import EvaluationSpec
from digits.domain.jobs import Kind, Resources, Status
from digits.ipc.messages import Message
from digits.ipc.supervisor_client import ControlError
from digits.metrics.classification_report import ClassificationReport
from digits.plugin_host.pictures import thumbnail
from digits.service import Service
from digits.service.evaluations import create as evaluations
from digits.service.evaluations import inputs
from digits.service.jobs import create_job
from digits.storage.files import write_json
from digits.storage.jobs.store import Job
from digits.storage.predictions import PREDICTIONS_FILE, writing_predictions
from tests.builders import ROADS, create_done, make_job

EVIL = "<script>alert(1)</script>"


def make_evaluation(service: Service, labels: list[str], paths: list[str], status: Status = Status.DONE) -> Job:
    """An evaluation of pictures whose true classes go round; every seventh is taken for the next class."""
    spec = EvaluationSpec("20260101-000000-aaaa", "snapshots/epoch_1.safetensors", 1.0, "list", list_file="images.txt")
    job = (create_done if status == Status.DONE else create_job)(
        service,
        kind=Kind.EVALUATION,
        task="classification",
        type_name="Evaluation",
        name=f"evaluation {EVIL}",
        form={},
        spec=spec.to_json(),
        resources=Resources("inference"),
        summary={"model_id": spec.model_id, "source": "list"},
    )
    folder, count = service.folder(job.id), len(paths)
    true = np.arange(count) % len(labels)
    predicted = np.where(np.arange(count) % 7 == 6, (true + 1) % len(labels), true)
    scores = np.full((count, len(labels)), 0.1 / len(labels), np.float32)
    scores[np.arange(count), predicted] += 0.9
    report = ClassificationReport(labels, 3)
    with writing_predictions(folder.path / PREDICTIONS_FILE, report.columns) as writer:
        writer.append(paths, np.full(count, -1), report.add(np.log(scores), true))
    write_json(folder.result_file, {**report.summary(), "model_id": "x", "epoch": 1.0, "skipped": 0, "seconds": 1.0})
    for step in () if status == Status.DONE else ROADS[status]:
        job = service.store.transition(job.id, step)
    return job


@pytest.fixture
def evaluation(service, tmp_path):
    Image.new("RGB", (300, 200), "red").save(tmp_path / "0.png")
    return make_evaluation(service, ["a", "b", EVIL], [str(tmp_path / f"{n}.png") for n in range(70)])


def test_the_page_shows_numbers_matrix_and_pictures(client, evaluation):
    page = client.get(f"/evaluations/{evaluation.id}")
    text = page.get_data(as_text=True)
    assert page.status_code == 200
    assert "85.71 %" in text  # 60 of 70
    assert "Confusion matrix" in text
    assert EVIL not in text
    assert "&lt;script&gt;" in text


def test_a_result_of_classes_from_before_has_the_keys_of_every_task(client, evaluation):
    result = client.get(f"/evaluations/{evaluation.id}.json").get_json()["result"]
    assert result["metrics"] == {"accuracy": result["top1"], "loss": result["loss"]}
    assert (result["kind"], result["task"], result["key"]) == ("classes", "classification", "accuracy")
    assert result["options"] == {}
    for name in ("samples.csv", "masks.zip", "mask/0.png", "coco.json"):
        assert client.get(f"/evaluations/{evaluation.id}/{name}").status_code == 400, name


def test_rows_are_filtered_sorted_and_paged(client, evaluation):
    address = f"/evaluations/{evaluation.id}/predictions.json"
    wrong = client.get(f"{address}?only=wrong&size=4&page=2").get_json()
    assert (wrong["total"], len(wrong["rows"])) == (10, 2)
    assert all(row["correct"] is False for row in wrong["rows"])
    cell = client.get(f"{address}?label=0&predicted=1").get_json()
    assert cell["total"] == sum(n % 7 == 6 and n % 3 == 0 for n in range(70))
    worst = client.get(f"{address}?sort=loss&order=desc").get_json()["rows"]
    assert worst[0]["correct"] is False
    assert client.get(f"/evaluations/{evaluation.id}?only=wrong&sort=loss&order=desc&label=0&page=9").status_code == 200


def test_the_gallery_shows_the_classes_of_the_same_rows(client, evaluation):
    address = f"/evaluations/{evaluation.id}"
    for query in ("only=wrong&sort=confidence&order=desc", "label=0&predicted=1", "sort=predicted&page=2&size=9", "sort=index"):
        rows = client.get(f"{address}/predictions.json?{query}").get_json()
        found = client.get(f"{address}/samples.json?{query}").get_json()
        assert found["total"] == rows["total"], query
        assert [sample["row"] for sample in found["samples"]] == [row["row"] for row in rows["rows"][: len(found["samples"])]], (
            query
        )
    assert (found["kind"], found["class_labels"]) == ("classes", ["a", "b", EVIL])
    sample, row = found["samples"][6], rows["rows"][6]
    assert (sample["truth"], sample["correct"], sample["metrics"]) == (row["label"], False, {"loss": row["loss"]})
    assert [[label, round(percent, 2)] for label, percent in sample["top"]] == row["predictions"]
    assert (sample["key"], sample["path"]) == ("6.png", row["path"])
    assert client.get(found["samples"][0]["picture"]).status_code == 200


def test_the_gallery_begins_with_the_worst(client, evaluation):
    samples = client.get(f"/evaluations/{evaluation.id}/samples.json?size=70").get_json()["samples"]
    losses = [sample["metrics"]["loss"] for sample in samples]
    assert losses == sorted(losses, reverse=True)
    assert [sample["correct"] for sample in samples[:11]] == [False] * 10 + [True]


@pytest.mark.parametrize("query", ["only=some", "label=x", "sort=path", "sort=mean_dice", "order=up", "page=-1"])
def test_the_gallery_refuses_what_makes_no_sense(client, evaluation, query):
    assert client.get(f"/evaluations/{evaluation.id}/samples.json?{query}").status_code == 400


@pytest.mark.parametrize("query", ["page=-1", "page=x", "size=x", "label=x", "sort=path", "top_page=x"])
def test_arguments_that_make_no_sense_are_refused(client, evaluation, query):
    assert client.get(f"/evaluations/{evaluation.id}?{query}").status_code == 400


def test_labels_that_do_not_exist_find_nothing(client, evaluation):
    assert client.get(f"/evaluations/{evaluation.id}?label=99&predicted=7").status_code == 200
    assert client.get(f"/evaluations/{evaluation.id}/samples.json?label=99&predicted=7").get_json()["samples"] == []


@pytest.fixture(autouse=True)
def read_here(monkeypatch):
    """Pictures are read as the plugin host does it, which runs in no test of this file."""

    def read(service, operation, header):
        assert operation == "thumbnail"
        data = thumbnail(header["path"], header["allowed_roots"], header["side"])
        return Message({}, {"png": np.frombuffer(data, np.uint8)})

    monkeypatch.setattr(inputs, "read_foreign", read)


def test_pictures_are_shown_small_and_only_from_allowed_folders(client, service, evaluation):
    small = client.get(f"/evaluations/{evaluation.id}/picture/0")
    assert small.status_code == 200
    assert small.content_type == "image/png"
    assert client.get(f"/evaluations/{evaluation.id}/picture/1").status_code == 400  # the file is not there
    assert client.get(f"/evaluations/{evaluation.id}/picture/70").status_code == 404
    outside = make_evaluation(service, ["a", "b"], ["/etc/passwd", "http://127.0.0.1/x.png"])
    assert client.get(f"/evaluations/{outside.id}/picture/0").status_code == 400
    assert client.get(f"/evaluations/{outside.id}/picture/1").status_code == 400


def test_many_classes_become_a_chart_and_pages_of_categories(client, service):
    job = make_evaluation(service, [f"class {n}" for n in range(90)], [f"/x/{n}.png" for n in range(180)])
    text = client.get(f"/evaluations/{job.id}").get_data(as_text=True)
    assert "data-matrix" in text
    assert text.count("top-row") == 40
    last = client.get(f"/evaluations/{job.id}?top_page=2").get_data(as_text=True)
    assert last.count("top-row") == 10
    assert "class 89" in last
    assert len(client.get(f"/evaluations/{job.id}/top.json").get_json()) == 90


def test_a_running_evaluation_has_a_page_but_no_result_yet(client, service):
    job = make_evaluation(service, ["a", "b"], ["/x.png"], Status.RUN)
    page = client.get(f"/evaluations/{job.id}")
    assert page.status_code == 200
    assert "appears here by itself" in page.get_data(as_text=True)
    assert "result" not in client.get(f"/evaluations/{job.id}.json").get_json()
    assert client.get(f"/evaluations/{job.id}/predictions.json").status_code == 409


def test_what_is_no_evaluation_is_not_found(client):
    for address in ("/evaluations/nonsense", "/evaluations/20260101-000000-abcd.json", "/evaluations/x/confusion.csv"):
        assert client.get(address).status_code == 404


def test_who_waits_for_a_result_that_nobody_works_on_is_told(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_evaluation(service, ["a", "b"], ["/x.png"], Status.RUN)
    monkeypatch.setattr(evaluations, "UNATTENDED_SECONDS", 0.1)
    with pytest.raises(ControlError, match="No supervisor") as caught:
        evaluations.wait(service, job)
    assert job.id in caught.value.advice
    assert evaluations.wait(service, job, 0.2).status == Status.RUN, "a page shows the job instead"


def test_a_model_of_another_task_is_refused_in_words(client: FlaskClient, service: Service) -> None:
    model = make_job(service, Kind.MODEL, "sharpener", task="processing", status=Status.DONE)
    answer = client.post("/models/images/classification/classify_one.json", data={"job_id": model.id, "image_path": "/x.png"})
    assert answer.status_code == 400
    message = answer.get_json()["error"]["message"]
    assert "sharpener does not give one class for each picture; its task is image to image." in message
