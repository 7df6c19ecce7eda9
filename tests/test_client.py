"""The Python client against a real web server: list, query, wait, stop, fetch; and the sample of the documentation."""

from __future__ import annotations

import contextlib
import http.server
import io
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from werkzeug.wrappers import Request

from digits.client import Client, ClientError
from digits.domain.events import MetricEvent
from digits.domain.jobs import Kind, Status
from digits.storage.events import EventWriter
from tests.builders import make_job
from tests.conftest import USER, RunningServer
from tests.examples import example
from tests.service.finished_dataset import class_folder, finished_dataset

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


class Recorder(http.server.ThreadingHTTPServer):
    """A server that keeps what it is asked for (`got`) and redirects where `leads` says so, else answers `{}`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Recording)
        self.got: list[tuple[str, str, dict[str, str], bytes]] = []
        self.leads: dict[str, str] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"

    def form(self) -> Any:
        """The last body as the server of digits reads it."""
        _, _, headers, body = self.got[-1]
        wanted = {"CONTENT_TYPE": headers["content-type"], "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
        return Request({"REQUEST_METHOD": "POST", **wanted})


class Recording(http.server.BaseHTTPRequestHandler):
    server: Recorder

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.got.append((self.command, self.path, headers, body))
        target = self.server.leads.get(self.path)
        self.send_response(302 if target else 200)
        if target:
            self.send_header("Location", target)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def recording() -> Iterator[Recorder]:
    server = Recorder()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_redirects_lead_to_no_other_server_and_address_and_token_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with recording() as server, recording() as other:
        server.leads = {"/away.json": f"{other.url}/index.json", "/here.json": f"{server.url}/there.json"}
        monkeypatch.setenv("DIGITS_URL", f"{server.url}/")
        monkeypatch.setenv("DIGITS_TOKEN", "digits_secret")
        client = Client()
        for ask in (client.get, client.post):
            with pytest.raises(ClientError) as refused:
                ask("/away.json")
            assert refused.value.status == 302
        assert client.get("/here.json") == {}
        assert other.got == []
        assert [path for _, path, *_ in server.got] == ["/away.json", "/away.json", "/here.json", "/there.json"]
        assert {headers["authorization"] for _, _, headers, _ in server.got} == {"Bearer digits_secret"}
        Client(other.url, "digits_given").get("/index.json")
        assert other.got[0][2]["authorization"] == "Bearer digits_given", "what is given comes first"


PICTURE = bytes(range(256)) + b"\r\n--boundary--\r\n"


@pytest.mark.parametrize("name", ["plain.png", 'a "b".png', "a\r\nX: y.png", "größe \u4e2d.png", "a;b.png", "odd \udcff.png"])
def test_a_picture_is_sent_as_it_is_whatever_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(PICTURE)
    with recording() as server:
        Client(server.url).predict("an id/x", tmp_path / name, top=[1, 2], outputs=True, second=None, second_epoch="ü")
        method, path, *_ = server.got[0]
        assert (method, path) == ("POST", "/models/an%20id%2Fx/answer.json")
    with server.form() as sent:
        fields, (file,) = sent.form.to_dict(flat=False), sent.files.values()
        data = file.read()
    assert fields == {"top": ["1", "2"], "outputs": ["1"], "second_epoch": ["ü"]}
    assert data == PICTURE
    assert file.name == "image_file"
    assert list(file.headers.keys()) == ["Content-Disposition", "Content-Type"], "a name makes no header"
    assert str(file.filename).endswith(".png")
    if name in ("plain.png", "größe \u4e2d.png", "a;b.png"):
        assert file.filename == name


def test_all_pages_of_a_list_come_and_each_job_once(
    client: Client, web_server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digits.client.PAGE", 2)
    service = web_server.service
    made = [make_job(service, name=f"paged {number}", status=Status.DONE, spec=SPEC) for number in range(5)]
    newest_first = [job.id for job in reversed(made)]
    assert [row["id"] for row in client.models("paged", sort="-created")] == newest_first
    assert [row["id"] for row in client.models("paged", sort="-created", limit=3)] == newest_first[:3]

    class Meanwhile(Client):
        """Somebody makes a job after each of the first two requests."""

        left = 2

        def get(self, path: str, **arguments: Any) -> Any:
            page = super().get(path, **arguments)
            if self.left:
                self.left -= 1
                make_job(service, name="paged later", status=Status.DONE, spec=SPEC)
            return page

    assert [row["id"] for row in Meanwhile(web_server.url, user=USER).models("paged", sort="-created")] == newest_first
    rows = Meanwhile(web_server.url, user=USER).models("paged", sort="-created", limit=4)
    assert len({row["id"] for row in rows}) == len(rows) == 4


def test_a_sweep_its_jobs_resumed_extended_and_deleted(client: Client, web_server: RunningServer) -> None:
    service, store = web_server.service, web_server.service.store
    features = {"train_db": np.zeros((9, 1, 28, 28), np.uint8), "val_db": np.zeros((3, 1, 28, 28), np.uint8)}
    labels = {name: np.arange(len(values)) % 3 for name, values in features.items()}
    dataset = finished_dataset(service, class_folder(web_server.jobs_dir.parent / "pictures"), features, labels)
    form = {"dataset": dataset.id, "model_name": "swept", "standard_networks": "lenet", "framework": "pytorch", "train_epochs": 4}
    ids = client.start("/models/images/classification", **form, learning_rate=[0.01, 0.02], batch_size=[8, 10])
    assert set(ids) == {row["id"] for row in client.models('"swept"')}
    assert len(ids) == 4
    aborted, done, gone, purged = ids
    with pytest.raises(ClientError, match="only a training that is done can be extended") as refused:
        client.extend(done, 2)
    assert refused.value.status == 403
    for job_id in (done, gone, purged):
        store.transition(job_id, Status.RUN)
        store.transition(job_id, Status.DONE)
    checkpoint = service.folder(done).checkpoint
    checkpoint.mkdir(exist_ok=True)
    (checkpoint / "checkpoint.json").write_text("{}")
    with pytest.raises(ClientError, match="expected a whole number from 1 on"):
        client.extend(done, 0)
    assert client.extend(done, 2) == 6
    assert store.get(done).requested_action == "extend"
    with pytest.raises(ClientError) as refused:
        client.resume(gone)
    assert refused.value.status == 403
    store.transition(aborted, Status.ABORT)
    client.resume(aborted)
    assert store.get(aborted).requested_action == "resume"
    client.delete(gone)
    client.delete(purged, purge=True)
    assert client.restore(gone) == [gone]
    with pytest.raises(ClientError) as refused:
        client.restore(purged)
    assert refused.value.status == 404
