"""Finishing and extending over HTTP and from the command line: what is said, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from digits.cli import group
from digits.domain.events import ProgressEvent
from digits.domain.jobs import Kind, Status
from digits.service import Service
from digits.storage.events import EventWriter
from digits.storage.jobs.store import Job
from tests.builders import make_job

SPEC: dict[str, Any] = {"task": "classification", "epochs": 5}


@pytest.fixture
def model(service: Service) -> Job:
    """Done, after it was ended in its second epoch."""
    dataset = make_job(service, Kind.DATASET, "data", status=Status.DONE)
    spec = {**SPEC, "dataset_id": dataset.id}
    job = make_job(service, name="net", status=Status.DONE, spec=spec, parents=(dataset.id,))
    folder = service.folder(job.id)
    writer = EventWriter(folder.events_file, 1)
    writer.emit(ProgressEvent(fraction=0.27, step=4, epoch=1.333333))
    writer.close()
    folder.checkpoint.mkdir()
    (folder.checkpoint / "checkpoint.json").write_text("{}")
    return job


def test_a_training_that_runs_is_finished(client: FlaskClient, service: Service) -> None:
    job = make_job(service, status=Status.RUN, spec={**SPEC, "dataset_id": ""})
    assert "has not begun to train" in client.post(f"/models/{job.id}/finish.json").json["error"]["message"]
    service.store.update(job.id, attempt=1)
    said = client.post(f"/models/{job.id}/finish.json").json
    assert said == {"message": "The training ends at its next step; the best snapshot is kept."}
    assert service.store.get(job.id).requested_action == "finish"
    theirs = make_job(service, status=Status.RUN, owner="somebody-else")
    assert client.post(f"/models/{theirs.id}/finish.json").status_code == 403
    assert client.post(f"/models/{theirs.id}/extend.json", data={"epochs": 1}).status_code == 403


def test_a_training_that_is_done_is_extended(client: FlaskClient, service: Service, model: Job, monkeypatch: Any) -> None:
    monkeypatch.setattr("digits.service.models.length.require_records", lambda service, dataset_id: None)
    address = f"/models/{model.id}/extend.json"
    for epochs in ("", "0", "-1", "1.5", "many"):
        assert client.post(address, data={"epochs": epochs}).status_code == 400, epochs
    assert client.post(address, data={"epochs": str(10**9)}).status_code == 400
    assert client.post(f"/models/{model.id}/finish.json").json["error"]["message"] == (
        "net is Done; only a training that runs can be finished."
    )
    said = client.post(address, data={"epochs": "2"}).json
    assert said == {"id": model.id, "epochs": 4, "message": "The training goes on, for 4 epochs in all."}
    assert service.folder(model.id).extension() == (4, 2)
    assert service.store.get(model.id).requested_action == "extend"
    assert "about to change" in client.post(address, data={"epochs": "2"}).json["error"]["message"]
    service.store.update(model.id, requested_action="", status="A")
    refused = client.post(address, data={"epochs": "2"}).json["error"]
    assert (refused["message"], refused["description"]) == (
        "net is Aborted; only a training that is done can be extended.",
        "Resume it instead.",
    )
    result = CliRunner().invoke(group, ["jobs", "finish", "net", "--jobs-dir", str(service.jobs_dir.path)])
    assert "only a training that runs can be finished" in str(result.exception)


def test_without_a_last_state_or_records_nothing_is_extended(client: FlaskClient, service: Service, model: Job) -> None:
    address = f"/models/{model.id}/extend.json"
    assert client.post(address, data={"epochs": "2"}).status_code == 409
    assert service.store.get(model.id).requested_action == ""
    assert client.post(f"/models/{model.dataset_id}/extend.json", data={"epochs": "2"}).status_code == 404
