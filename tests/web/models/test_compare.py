"""Comparisons, repeats and reports over HTTP, of models that no worker trained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from sqlalchemy import update
from sqlalchemy.orm import Session

from digits.cli import group
from digits.config import Settings
from digits.domain.events import AttemptEvent, BaselineEvent, MetricEvent, ProgressEvent, SnapshotEvent
from digits.domain.inference import EvaluationSpec
from digits.domain.jobs import Kind, Resources, Status
from digits.service import Service
from digits.service.jobs import create_job
from digits.service.models import report
from digits.storage.events import EventWriter
from digits.storage.jobs.store import Job
from digits.storage.jobs.tables import JobRow
from digits.storage.validation_pictures import FILE, step_file, write_pictures
from digits.web.app import create_app
from tests.service.finished_dataset import class_folder, finished_dataset

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("web")
    service = Service.open(Settings(jobs_dir=str(root / "jobs"), auth=False, data_dirs=str(root.parent)))
    yield service
    service.close()


def make_dataset(service: Service, folder: Path, validation: int) -> Job:
    features = {"train_db": np.zeros((9, 1, 28, 28), np.uint8), "val_db": np.zeros((validation, 1, 28, 28), np.uint8)}
    labels = {name: np.arange(len(f)) % 3 for name, f in features.items()}
    job = finished_dataset(service, class_folder(folder), features, labels)
    file = service.folder(job.id).path / "dataset.json"
    info = json.loads(file.read_text())
    file.write_text(json.dumps({**info, "content_hash": f"hash of {validation}"}))
    return job


@pytest.fixture(scope="module")
def dataset(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Job:
    return make_dataset(service, tmp_path_factory.mktemp("pictures"), 200)


@pytest.fixture
def client(service: Service) -> FlaskClient:
    client = create_app(service).test_client()
    assert client.post("/login", data={"username": "digits-testsuite"}).status_code == 302
    return client


def train(client: FlaskClient, service: Service, dataset: Job, wrong: range, count: int = 200, **values: Any) -> str:
    """A model that is done and has all validation pictures right but those of the numbers `wrong`."""
    known = {"dataset": dataset.id, "model_name": "m", "standard_networks": "lenet", "framework": "pytorch"}
    job_id = client.post("/models/images/classification.json", data={**known, **values}).get_json()["id"]
    folder, labels = service.folder(job_id), np.arange(count) % 3
    accuracy = 1 - len(wrong) / count
    predicted = np.where(np.isin(np.arange(count), list(wrong)), (labels + 1) % 3, labels)
    columns = {"rank": (predicted != labels).astype(np.int32), "predicted": predicted, "label": labels}
    about = {"dataset_hash": "h", "split": "val_db", "total": count, "stride": 1}
    write_pictures(step_file(folder.path, 4), np.arange(count), columns, about)
    metrics = {"accuracy": accuracy, "loss": 1 - accuracy}
    kinds = {"accuracy": "accuracy", "loss": "loss"}
    events = [
        AttemptEvent(),
        BaselineEvent(values={"accuracy": 0.34}, description="always one"),
        *(MetricEvent(step=n, epoch=n / 4, phase="train", values={"loss": 2.0 / n}, kinds={"loss": "loss"}) for n in range(1, 5)),
        MetricEvent(step=4, epoch=1.0, phase="val", values=metrics, kinds=kinds),
        SnapshotEvent(step=4, epoch=1.0, path="snapshots/epoch_1.safetensors", metrics=metrics, best=True),
    ]
    writer = EventWriter(folder.events_file, 1)
    for event in events:
        writer.emit(event)
    writer.close()
    service.store.transition(job_id, Status.RUN)
    service.store.transition(job_id, Status.DONE, best_name="accuracy", best_value=accuracy, best_epoch=1.0)
    return str(job_id)


def compared(client: FlaskClient, *ids: str) -> Any:
    answer = client.get(f"/compare.json?ids={','.join(ids)}")
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()


def test_the_better_of_two_is_named_with_its_reasons(client: FlaskClient, service: Service, dataset: Job) -> None:
    worse = train(client, service, dataset, range(60), model_name="A", learning_rate="0.1")
    better = train(client, service, dataset, range(20), model_name=f"B {HOSTILE}", learning_rate="0.01")
    found = compared(client, worse, better)
    verdict = found["verdict"]
    assert (verdict["metric"], verdict["samples"]) == ("accuracy", 200)
    assert verdict["sentence"] == f"B {HOSTILE} is better than A."
    assert verdict["p"] < 0.001
    low, high = verdict["interval"]
    assert 0 < low < 0.2 < high
    assert found["settings"]["learning_rate"] == {worse: 0.1, better: 0.01}
    assert "model_name" not in found["settings"]
    assert "train_epochs" not in found["settings"]
    assert set(found["settings"]["random_seed"]) == {worse, better}
    row = found["metrics"]["accuracy"]
    assert (row["best"], row["values"][better], row["baseline"][worse]) == ([better], 0.9, 0.34)
    assert found["metrics"]["loss"]["best"] == [better]
    flips = found["flips"]
    assert (flips["gained_total"], flips["lost_total"]) == (40, 0)
    assert {flip["record"] for flip in flips["gained"]} <= set(range(20, 60))
    assert found["curves"][worse]["train"]["step"] == [1, 2, 3, 4]
    page = client.get(f"/compare?ids={worse},{better}").get_data(as_text=True)
    assert HOSTILE not in page
    report = client.get(f"/compare/report.html?ids={worse},{better}").get_data(as_text=True)
    assert "is better than A." in report
    assert HOSTILE not in report
    assert "<svg" in report
    assert "Better in B" in report
    assert report.count("data:image/") == 12  # of the 40 pictures that flipped
    assert "http" not in report.replace("http-equiv", "")
    said = CliRunner().invoke(group, ["compare", worse, better, "--jobs-dir", str(service.jobs_dir.path)])
    assert "is better than A." in said.output, said.output
    assert " points to +" in said.output, "a difference of shares is of percentage points"


def test_runs_that_are_not_done_yet_are_waited_for_and_not_missed(client: FlaskClient, service: Service, dataset: Job) -> None:
    """As where a sweep opens its comparison at once: nothing was kept, because nothing has happened."""
    known = {"dataset": dataset.id, "standard_networks": "lenet", "framework": "pytorch"}
    form = {**known, "model_name": "later", "learning_rate": "0.3"}
    later = client.post("/models/images/classification.json", data=form).get_json()["id"]
    first = train(client, service, dataset, range(60), model_name="A", learning_rate="0.1")
    verdict = compared(client, first, later)["verdict"]
    assert verdict["sentence"] == "No verdict yet: 1 of 2 runs is done."
    assert (verdict["missing"], verdict["waiting"]) == ([], [later])
    second = train(client, service, dataset, range(20), model_name="B", learning_rate="0.2")
    verdict = compared(client, first, second)["verdict"]
    assert (verdict["missing"], verdict["waiting"], verdict["p"] is None) == ([], [], False)


def test_the_best_of_its_seeds_stands_for_a_line(client: FlaskClient, service: Service, dataset: Job) -> None:
    other = train(client, service, dataset, range(90), model_name="A", learning_rate="0.1")
    wrong = (range(60), range(20), range(40))
    seeds = [train(client, service, dataset, one, model_name=f"B{n}", random_seed=n) for n, one in enumerate(wrong)]
    found = compared(client, other, *seeds)
    assert [line["best"] for line in found["lines"]] == [other, seeds[1]]
    assert [found["runs"][n]["id"] for n in found["flips"]["runs"]] == [other, seeds[1]]
    assert found["flips"]["gained_total"] == 70, "of the best seed, of which 20 are wrong, and 90 of the other run"


def test_three_pictures_tell_nothing(client: FlaskClient, service: Service, tmp_path_factory: pytest.TempPathFactory) -> None:
    small = make_dataset(service, tmp_path_factory.mktemp("small"), 3)
    ids = [train(client, service, small, range(n), 3, model_name="AB"[n], learning_rate=0.1 / (n + 1)) for n in range(2)]
    verdict = compared(client, *ids)["verdict"]
    assert verdict["sentence"].startswith("cannot tell: 3 pictures are too few; about ")
    assert verdict["samples"] == 3


def test_runs_on_different_pictures_get_no_verdict(
    client: FlaskClient, service: Service, dataset: Job, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = make_dataset(service, tmp_path_factory.mktemp("other"), 50)
    ids = [train(client, service, dataset, range(9)), train(client, service, other, range(1), 50)]
    found = compared(client, *ids)
    assert found["verdict"]["sentence"].startswith("No verdict")
    assert found["verdict"]["p"] is None
    assert "may be compared" in found["notes"][0]
    assert found["metrics"]["accuracy"]["best"] == []
    assert found["importance"] == {}


def test_a_run_whose_pictures_were_not_kept_is_named(client: FlaskClient, service: Service, dataset: Job) -> None:
    ids = [train(client, service, dataset, range(9), model_name=name, train_epochs=n) for n, name in ((2, "old"), (3, "new"))]
    step_file(service.folder(ids[0]).path, 4).unlink()
    verdict = compared(client, *ids)["verdict"]
    assert verdict["missing"] == [ids[0]]
    assert "of old" in verdict["sentence"]
    evaluated(service, ids[0], range(99), epoch=0.5)  # of a best snapshot that was written over since
    assert compared(client, *ids)["verdict"]["missing"] == [ids[0]]
    evaluation = evaluated(service, ids[0], range(9))
    found = compared(client, *ids)
    assert found["verdict"]["sentence"].startswith("cannot tell: 200 pictures are too few; about ")
    assert [run["pictures"] for run in found["runs"]] == ["evaluation", "training"]
    assert service.store.get(evaluation).status == Status.DONE


def evaluated(service: Service, model: str, wrong: range, count: int = 200, epoch: float = 1.0) -> str:
    """An evaluation of a model's best snapshot on its validation split, as the worker leaves it."""
    dataset = service.store.get(model).dataset_id
    spec = EvaluationSpec(model, "snapshots/epoch_1.safetensors", epoch, source="split", dataset_id=dataset, split="val_db")
    values = {"task": "classification", "type_name": "Evaluation", "name": "e", "form": {}, "spec": spec.to_json()}
    more = {"dataset_id": dataset, "summary": {"model_id": model}}
    evaluation = create_job(service, kind=Kind.EVALUATION, resources=Resources("inference"), **values, **more).id
    labels, rank = np.arange(count) % 3, np.isin(np.arange(count), list(wrong)).astype(np.int32)
    columns = {"rank": rank, "predicted": labels, "label": labels}
    about = {"dataset_hash": "h", "split": "val_db", "total": count, "stride": 1}
    write_pictures(service.folder(evaluation).path / FILE, np.arange(count), columns, about)
    service.store.transition(evaluation, Status.RUN)
    service.store.transition(evaluation, Status.DONE)
    return evaluation


def test_a_repeat_differs_by_its_seed_alone_and_is_one_line(client: FlaskClient, service: Service, dataset: Job) -> None:
    first = train(client, service, dataset, range(9), model_name="net", random_seed="5")
    made = client.post(f"/models/{first}/repeat.json", data={"seeds": "2"}).get_json()["ids"]
    assert len(set(made)) == 2
    found = compared(client, first, *made)
    assert [line["ids"] for line in found["lines"]] == [[first, *made]]
    assert found["lines"][0]["name"] == "net"
    assert list(found["settings"]) == ["random_seed"]
    assert found["settings"]["random_seed"][first] == 5
    assert len(set(found["settings"]["random_seed"].values())) == 3
    assert client.post(f"/models/{first}/repeat.json", data={"seeds": "1000"}).status_code == 400
    page = client.post(f"/models/{first}/repeat", data={"seeds": "1"})
    assert page.location.startswith(f"/compare?ids={first},")


def test_a_blank_field_is_the_value_that_was_taken_for_it(client: FlaskClient, service: Service, dataset: Job) -> None:
    """A batch size that was left blank counted as another setting than the network's own, and the verdict followed it."""
    blank = train(client, service, dataset, range(9), random_seed="5")
    named = train(client, service, dataset, range(40), random_seed="6", batch_size="64", momentum="0.9", weight_decay="0.0001")
    found = compared(client, blank, named)
    assert [line["ids"] for line in found["lines"]] == [[blank, named]]
    assert list(found["settings"]) == ["random_seed"]
    assert {service.store.get(job_id).fold for job_id in (blank, named)} == {service.store.get(blank).fold}
    other = train(client, service, dataset, range(40), random_seed="7", batch_size="32")
    found = compared(client, blank, other)
    assert found["settings"]["batch_size"] == {blank: 64, other: 32}
    rows = client.get("/jobs.json?kind=model&query=batch_size:64").get_json()["rows"]
    assert {row["id"] for row in rows} >= {blank, named}
    assert other not in {row["id"] for row in rows}


@pytest.mark.parametrize("status", [Status.DONE, Status.ABORT, Status.ERROR])
def test_a_run_that_ended_before_its_last_epoch_is_no_seed_of_those_that_did_not(
    client: FlaskClient, service: Service, dataset: Job, status: Status
) -> None:
    first, again, cut = (train(client, service, dataset, range(n), model_name="net") for n in (9, 12, 90))
    for job_id, fraction in ((first, 1.0), (again, 1.0), (cut, 0.1)):
        writer = EventWriter(service.folder(job_id).events_file, 1)
        writer.emit(ProgressEvent(fraction=fraction, stage="train", done=1, total=10, unit="images"))
        writer.close()
    with Session(service.store.engine) as session, session.begin():
        session.execute(update(JobRow).where(JobRow.id == cut).values(status=str(status)))
    found = compared(client, first, again, cut)
    assert [line["ids"] for line in found["lines"]] == [[first, again], [cut]]
    assert any("no seeds of runs that did not: net (epoch 1 of 30)" in note for note in found["notes"])
    (pair,) = found["verdict"]["pairs"]
    assert found["verdict"]["seeds"] == [2, 1]
    assert pair["difference"] == pytest.approx(0.55 - (0.955 + 0.94) / 2)


def test_a_random_start_and_validations_with_nan_are_no_runs_best(client: FlaskClient, service: Service, dataset: Job) -> None:
    one, other = (train(client, service, dataset, range(n)) for n in (100, 60))
    writer = EventWriter(service.folder(one).events_file, 1)
    kinds = {"accuracy": "accuracy"}
    writer.emit(MetricEvent(step=0, epoch=0.0, phase="val", values={"accuracy": 0.8}, kinds=kinds))
    unsound = {"outputs": 10, "nonfinite": 3}
    writer.emit(MetricEvent(step=8, epoch=2.0, phase="val", values={"accuracy": 0.9}, kinds=kinds, **unsound))
    writer.close()
    row = compared(client, one, other)["metrics"]["accuracy"]
    assert (row["values"], row["best"]) == ({one: 0.5, other: 0.7}, [other])


@pytest.mark.parametrize(("ids", "status"), [("", 400), ("x", 400), ("x,y", 404), (",".join(map(str, range(51))), 400)])
def test_what_cannot_be_compared_is_refused(client: FlaskClient, ids: str, status: int) -> None:
    answer = client.get(f"/compare.json?ids={ids}")
    assert answer.status_code == status
    assert status != 404 or answer.json["error"]["description"] == "There is no model 'x'."


def test_a_run_whose_folder_is_broken_is_compared_by_what_is_left(client: FlaskClient, service: Service, dataset: Job) -> None:
    whole, broken = (train(client, service, dataset, range(4), model_name=name) for name in ("whole", "broken"))
    folder = service.folder(broken)
    folder.request_file.write_text("{")
    folder.events_file.write_bytes(b"\xff\x00 no event\n" * 9 + b'{"type":"metric"')
    found = compared(client, whole, broken)
    assert [run["name"] for run in found["runs"]] == ["whole", "broken"]
    assert found["curves"][broken]["val"]["epoch"] == []
    assert client.get(f"/compare?ids={whole},{broken}").status_code == 200
    assert [row["id"] for row in client.get("/jobs.json?kind=model&query=broken").json["rows"]] == [broken]


def test_the_report_of_a_model_stands_alone(client: FlaskClient, service: Service, dataset: Job) -> None:
    model = train(client, service, dataset, range(9), model_name=HOSTILE)
    report = client.get(f"/models/{model}/report.html").get_data(as_text=True)
    assert HOSTILE not in report
    for text in ("Accuracy (top 1)", "95.50 %", "Learning rate", "Data set hash", "<polyline"):
        assert text in report
    assert "<link" not in report
    assert "<script" not in report


def test_samples_in_a_report_have_their_truth_and_percents(monkeypatch: pytest.MonkeyPatch, service: Service) -> None:
    known = {
        "samples": [{"input": "data:x", "truth": "ants", "key": "val:1"}, {"input": "", "truth": "data:map", "key": "val:2"}]
    }
    made = {"samples": [{"top": [["ants", 87.085], ["bees", None]]}, {}]}
    monkeypatch.setattr(report, "sample_set", lambda *_: known)
    monkeypatch.setattr(report, "frame", lambda *_: made)
    found = report._samples(service, None, [{"step": 1}])  # type: ignore[arg-type]
    assert [(one["truth"], one["found"]) for one in found] == [("ants", "ants 87.1 %"), ("", "")]
