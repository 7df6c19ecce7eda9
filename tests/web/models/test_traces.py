"""Execution traces over HTTP: the page with where the time goes, and the trace of a step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from digits.config import Settings
from digits.domain.events import AttemptEvent, TraceEvent
from digits.service import Service
from digits.storage.events import EventWriter
from digits.storage.jobs.store import Job
from digits.web.app import create_app
from tests.service.finished_dataset import class_folder, finished_dataset

PAGE = "/models/images/{}/timeline_tracing"
DATA = "/models/timeline_trace_data"
WHERE = "Of the 9 ms of step 20, 60 % went into the backward pass and 40 % into the forward pass."


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("traces")
    service = Service.open(Settings(jobs_dir=str(root / "jobs"), auth=False, data_dirs=str(root.parent)))
    yield service
    service.close()


@pytest.fixture(scope="module")
def dataset(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Job:
    features = {"train_db": np.zeros((6, 1, 28, 28), np.uint8), "val_db": np.zeros((3, 1, 28, 28), np.uint8)}
    labels = {name: np.arange(len(f)) % 3 for name, f in features.items()}
    return finished_dataset(service, class_folder(tmp_path_factory.mktemp("traces") / "pictures"), features, labels)


@pytest.fixture
def client(service: Service) -> FlaskClient:
    client = create_app(service).test_client()
    client.post("/login", data={"username": "me"})
    return client


def create(client: FlaskClient, dataset: Job, **values: Any) -> str:
    known = {"dataset": dataset.id, "model_name": "m", "standard_networks": "lenet", "framework": "pytorch"}
    answer = client.post("/models/images/classification.json", data={**known, **values}).get_json()
    assert "warnings" not in answer
    return str(answer["id"])


@pytest.fixture
def traced(client: FlaskClient, service: Service, dataset: Job) -> str:
    """A model with traces of steps 10 (recorded twice), 20, and of 30, whose file somebody removed."""
    model = create(client, dataset, traces_interval="10")
    folder = service.folder(model)
    writer = EventWriter(folder.events_file, 1)
    writer.emit(AttemptEvent())
    for step in (10, 10, 20, 30):
        parts = {"backward": 0.0054, "forward": 0.0036}
        path = folder.trace_file(step)
        writer.emit(TraceEvent(step=step, epoch=step / 10, path=path.name, seconds=0.009, parts=parts, where=WHERE))
        path.write_text(json.dumps({"traceEvents": [], "digits": {"step": step}}))
    writer.close()
    folder.trace_file(30).unlink()
    return model


@pytest.mark.parametrize("kind", ["classification", "generic"])
def test_the_page_says_where_the_time_goes(client: FlaskClient, traced: str, kind: str) -> None:
    rows = client.get(f"{PAGE.format(kind)}.json?job_id={traced}").get_json()["traces"]
    assert [(row["step"], row["epoch"], row["seconds"]) for row in rows] == [(10, 1.0, 0.009), (20, 2.0, 0.009)]
    assert rows[1]["where"] == WHERE
    page = client.get(f"{PAGE.format(kind)}?job_id={traced}&step=10").get_data(as_text=True)
    assert '<option value="10" selected>10 (epoch 1)</option>' in page
    assert WHERE in page
    assert WHERE in client.get(f"/models/{traced}").get_data(as_text=True)
    assert client.get(PAGE.format(kind)).status_code == 400


def test_the_trace_of_a_step(client: FlaskClient, traced: str) -> None:
    with client.post(DATA, data={"job_id": traced, "step": "20"}) as answer:
        assert answer.mimetype == "application/json"
        assert answer.get_json() == {"traceEvents": [], "digits": {"step": 20}}
    with client.get(f"/files/{traced}/timeline_20.json") as file:
        assert file.get_json() == {"traceEvents": [], "digits": {"step": 20}}


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        ({}, 400, "step is a required field"),
        ({"step": "x"}, 400, "step"),
        ({"step": "-1"}, 400, "step"),
        ({"step": "30"}, 404, "These have one: 10, 20."),
        ({"step": "9" * 30}, 400, "step"),
    ],
)
def test_a_step_without_one_is_refused(client: FlaskClient, traced: str, sent: dict[str, str], status: int, words: str) -> None:
    answer = client.post(DATA, data={"job_id": traced, **sent}, headers={"Accept": "application/json"})
    assert answer.status_code == status
    assert words in json.dumps(answer.get_json()["error"])


def test_a_model_without_traces_says_how_to_get_them(client: FlaskClient, dataset: Job) -> None:
    without, due = create(client, dataset), create(client, dataset, traces_interval="10")
    page = PAGE.format("classification")
    assert "This model was made without" in client.get(f"{page}?job_id={without}").get_data(as_text=True)
    assert "The first one is written at step 10" in client.get(f"{page}?job_id={due}").get_data(as_text=True)
    answer = client.post(DATA, data={"job_id": without, "step": "1"}, headers={"Accept": "application/json"})
    assert "Train it with traces_interval" in json.dumps(answer.get_json()["error"])
