"""The Python client against a real web server: list, query, wait, stop, fetch; and the sample of the documentation."""

from __future__ import annotations

import sys
import threading
import time
import types

import pytest

from digits.client import Client, ClientError
from digits.domain.events import MetricEvent
from digits.domain.jobs import Kind, Status
from digits.storage.events import EventWriter
from tests.builders import make_job
from tests.conftest import USER, RunningServer
from tests.examples import example

SPEC = {"dataset_id": "", "task": "classification"}


@pytest.fixture
def client(web_server: RunningServer) -> Client:
    return Client(web_server.url, user=USER)


def test_query_wait_and_stop(client: Client, web_server: RunningServer) -> None:
    store = web_server.service.store
    jobs = [make_job(web_server.service, name=f"run {number}", spec=SPEC) for number in range(3)]
    for job, value in zip(jobs, (0.5, 0.9, 0.7), strict=True):
        store.update(job.id, best_name="accuracy", best_value=value, best_better="higher")
    assert {row["id"] for row in client.jobs("run", kind="model")} == {job.id for job in jobs}
    assert [row["name"] for row in client.models('"run"', sort="-best_value", limit=2)] == ["run 1", "run 2"]
    with pytest.raises(ClientError) as refused:
        client.jobs("accuracy>apple")
    assert (refused.value.status, refused.value.position) == (400, 9)
    client.stop(jobs[0].id)
    assert store.get(jobs[0].id).requested_action == "abort"
    with pytest.raises(TimeoutError, match="run 0 is Initialized"):
        client.wait(jobs[0].id, timeout=0.1, poll=0.05)
    store.transition(jobs[0].id, Status.ABORT)
    with pytest.raises(TimeoutError):  # the supervisor has not done what was requested
        client.wait(jobs[0].id, timeout=0.1, poll=0.05)
    threading.Thread(target=lambda: (time.sleep(0.2), store.clear_action(jobs[0].id, "abort"))).start()
    assert [row["status"] for row in client.wait([jobs[0].id], poll=0.05)] == ["Aborted"]
    assert client.edit(jobs[0].id, tags="a, b")["tags"] == ["a", "b"]
    assert client.edit(jobs[0].id, tags=["zwei ü"])["tags"] == ["zwei ü"]
    assert client.edit(jobs[0].id, tags=[])["tags"] == []
    with pytest.raises(ClientError, match="cannot contain a comma"):
        client.edit(jobs[0].id, tags=["a,b"])
    client.delete(jobs[0].id)
    assert client.restore(jobs[0].id) == [jobs[0].id]
    with pytest.raises(ClientError, match="only a training that runs can be finished") as refused:
        client.finish(jobs[0].id)
    assert refused.value.status == 403
    with pytest.raises(ClientError) as refused:
        client.start("/models/images/classification", model_name="", method="standard", learning_rate=["x"])
    assert "learning_rate" in refused.value.errors
    with pytest.raises(ClientError, match="does not answer"):
        Client("http://127.0.0.1:9").jobs()


def test_numbers_and_the_sample(client: Client, web_server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(web_server.service, name="<b>best</b>", status=Status.DONE, spec=SPEC)
    web_server.service.store.update(job.id, group="paper", best_name="accuracy", best_value=0.75, best_better="higher")
    writer = EventWriter(web_server.service.folder(job.id).events_file, 1)
    for step, rate in ((1, 0.1), (2, 0.05)):
        writer.emit(MetricEvent(step=step, epoch=step / 2, phase="val", values={"loss": 1 / step, "accuracy": float("nan")}))
        writer.emit(MetricEvent(step=step, epoch=step / 2, phase="lr", values={"learning_rate": rate}))
    writer.close()
    monkeypatch.setitem(sys.modules, "pandas", None)
    points = client.curves(job.id)
    assert {"id": job.id, "phase": "val", "step": 2, "epoch": 1.0, "name": "loss", "value": 0.5} in points
    assert not [point for point in points if point["name"] == "accuracy"], "what is no number is no point"
    assert [row["id"] for row in client.runs("group:paper")] == [job.id]
    assert example("best_runs", "samples").best_runs(client, "paper") == [("<b>best</b>", 0.75, 0.05)]
    assert client.details(job.id)["name"] == "<b>best</b>"
    writer = EventWriter(web_server.service.folder(job.id).events_file, 1)
    for step in range(3, 5003):
        writer.emit(MetricEvent(step=step, epoch=step / 2, phase="train", values={"loss": 1 / step}))
    writer.close()
    losses = [point["value"] for point in client.curves(job.id) if point["phase"] == "train"]
    assert losses == [1 / step for step in range(3, 5003)], "every one, not those that a page draws"
    export = make_job(web_server.service, Kind.EXPORT, status=Status.DONE)
    web_server.service.store.update(export.id, summary={"model_id": job.id})
    assert "formats" in client.details(export.id)

    class Frame(list):
        def set_index(self, name: str) -> tuple[str, list]:
            return name, list(self)

    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=Frame))
    assert client.runs("group:paper")[0] == "id"
    assert client.datasets() == client.jobs(kind=str(Kind.DATASET))
