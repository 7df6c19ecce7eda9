"""TensorBoard is opened on models through the server: real TensorBoard, inside access control, behind a prefix."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from digits.domain.jobs import Status
from digits.domain.training import TrainingSpec
from digits.engines.training.tensorboard import Summaries
from digits.service import Service, accounts, tokens
from digits.service.tensorboard import is_installed
from digits.storage.jobs.store import Job
from digits.testing.runs import make_dataset, make_run, striped_pictures
from tests.builders import make_job
from tests.conftest import RunningServer, start_server

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not is_installed(), reason="TensorBoard is not installed")]
DEADLINE = 60.0
PREFIX = "/team"
SERIES = "data/plugin/timeseries/timeSeries"
FORM = {"Content-Type": "multipart/form-data; boundary=X"}


@dataclass
class Answer:
    status: int
    body: bytes
    headers: Any

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Visitor:
    """Somebody with a bearer token, or without."""

    server: RunningServer
    token: str = ""

    def get(self, path: str, data: bytes | None = None, **headers: str) -> Answer:
        """The answer, redirects not followed."""
        address = self.server.url.removeprefix("http://")
        known = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        with contextlib.closing(http.client.HTTPConnection(address, timeout=DEADLINE)) as connection:
            connection.request("GET" if data is None else "POST", PREFIX + path, data, {**known, **headers})
            with connection.getresponse() as answer:
                return Answer(answer.status, answer.read(), answer.headers)

    def json(self, path: str, data: bytes | None = None, **headers: str) -> Any:
        answer = self.get(path, data, **headers)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def open(self, ids: str) -> str:
        """Start TensorBoard and wait until it answers; its address below the prefix."""
        end = time.monotonic() + DEADLINE
        while not (state := self.json(f"/tensorboard/{ids}.json"))["ready"]:
            assert time.monotonic() < end
            time.sleep(0.1)
        return str(state["url"]).removeprefix(PREFIX)

    def runs(self, address: str, wanted: int) -> dict[str, Any]:
        """Tags of scalars by run, once as many runs were read as are wanted."""
        end = time.monotonic() + DEADLINE
        while len(found := self.json(f"{address}data/plugin/scalars/tags")) < wanted:
            assert time.monotonic() < end, found
            time.sleep(0.1)
        return dict(found)


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    folder = tmp_path_factory.mktemp("boards")
    with start_server(folder, "-m", "digits", "serve", auth="true", url_prefix=PREFIX) as server:
        accounts.add_user(server.service, "ada", "correct horse battery")
        yield Visitor(server, tokens.add_token(server.service, "ada", "tests"))


@pytest.fixture(scope="module")
def models(visitor: Visitor, tmp_path_factory: pytest.TempPathFactory) -> list[Job]:
    folder = tmp_path_factory.mktemp("records")
    features, labels = striped_pictures(8, 8, seed=1)
    data = make_dataset(folder, features, labels, class_labels=("a", "b"), validation=0)
    return [summarized(visitor.server.service, data, name, owner) for name, owner in (("first", "ada"), ("second/one", "bob"))]


def summarized(service: Service, data: Path, name: str, owner: str) -> Job:
    """A model that a training has written summaries of."""
    spec = TrainingSpec(dataset_id="", task="classification")
    job = make_job(service, name=name, owner=owner, status=Status.ABORT, spec=spec.to_json())
    summaries = Summaries(make_run(data, service.folder(job.id).path, spec, lambda event: 0), step=0)
    for step in range(5):
        summaries.scalars("val", step, {"loss": 1 / (step + 1)})
    summaries.pictures(4, {"samples/0/feature": striped_pictures(1, 8, seed=1)[0][0]})
    return job


def board_of(ids: str) -> psutil.Process:
    """The process that shows the models."""
    children = psutil.process_iter(["cmdline"])
    return next(p for p in children if "digits.worker.tensorboard_server" in (p.info["cmdline"] or []) and ids in title(p))


def title(process: psutil.Process) -> str:
    return process.cmdline()[-1]


def test_curves_and_pictures_of_one_model(visitor: Visitor, models: list[Job]) -> None:
    address = visitor.open(models[0].id)
    assert visitor.runs(address, 1) == {"first": {"val/loss": {"displayName": "val/loss", "description": ""}}}
    points = visitor.json(f"{address}data/plugin/scalars/scalars?run=first&tag=val%2Floss")
    assert [step for _, step, _ in points] == [0, 1, 2, 3, 4]
    (tag,) = visitor.json(f"{address}data/plugin/images/tags")["first"]
    pictures = visitor.json(f"{address}data/plugin/images/images?run=first&sample=0&tag={tag.replace('/', '%2F')}")
    assert visitor.get(f"{address}data/plugin/images/individualImage?{pictures[0]['query']}").body.startswith(b"\x89PNG")
    series = visitor.json(f"{address}{SERIES}", form('[{"plugin": "scalars", "tag": "val/loss"}]'), **FORM)
    assert len(series[0]["runToSeries"]["first"]) == 5


def form(requests: str) -> bytes:
    """The form with which TensorBoard's page asks for curves."""
    return f'--X\r\nContent-Disposition: form-data; name="requests"\r\n\r\n{requests}\r\n--X--\r\n'.encode()


def test_its_page_has_both_rules_and_says_nothing_of_who_asks(visitor: Visitor, models: list[Job]) -> None:
    address = visitor.open(models[0].id)
    page = visitor.get(address, Cookie="a=b")
    assert "TensorBoard" in page.text
    rules = " ".join(page.headers.get_all("Content-Security-Policy"))
    assert "default-src 'self'" in rules
    assert "frame-ancestors 'self'" in rules
    assert visitor.get(address.rstrip("/")).headers["Location"] == PREFIX + address
    assert visitor.get(f"{address}nowhere").status == 404


def test_a_selection_is_shown_side_by_side(visitor: Visitor, models: list[Job]) -> None:
    address = visitor.open(",".join(model.id for model in models))
    assert set(visitor.runs(address, 2)) == {"first", "second_one"}


def test_nobody_sees_it_without_logging_in(visitor: Visitor, models: list[Job]) -> None:
    address = visitor.open(models[0].id)
    stranger = Visitor(visitor.server)
    for path in (address, f"{address}data/runs", f"/tensorboard/{models[0].id}.json"):
        answer = stranger.get(path, Accept="application/json")
        assert answer.status == 401, path
    assert stranger.get(f"{address}{SERIES}", b"x").status in (302, 401, 403)


def test_no_port_is_opened(visitor: Visitor, models: list[Job]) -> None:
    visitor.open(models[0].id)
    assert [c for c in board_of("first").net_connections() if c.status == psutil.CONN_LISTEN and c.family.name != "AF_UNIX"] == []


def test_one_that_was_killed_comes_back(visitor: Visitor, models: list[Job]) -> None:
    address = visitor.open(models[0].id)
    process = board_of("first")
    os.kill(process.pid, signal.SIGKILL)
    process.wait(DEADLINE)
    answer = visitor.get(f"{address}data/runs")
    assert (answer.status, answer.body) != (200, b"")
    assert answer.status in (409, 503)
    page = visitor.get(address)
    assert (page.status, page.headers["Location"]) == (302, PREFIX + address.rstrip("/"))
    starting = visitor.get(address.rstrip("/"))
    assert starting.status == 202
    assert 'http-equiv="refresh"' in starting.text
    assert visitor.runs(visitor.open(models[0].id), 1)


def test_another_site_cannot_start_it(visitor: Visitor, models: list[Job]) -> None:
    ids = f"{models[1].id}"
    page = visitor.get(f"/tensorboard/{ids}", **{"Sec-Fetch-Site": "cross-site"})
    text = page.text
    assert "refresh" not in text
    assert re.search(rf'href="{PREFIX}/tensorboard/{ids}"', text)
    assert visitor.json(f"/tensorboard/{ids}.json", **{"Sec-Fetch-Site": "cross-site"})["ready"] is False


def test_what_is_no_model_is_refused(visitor: Visitor) -> None:
    assert visitor.get("/tensorboard/20260101-000000-aaaa.json").status == 404
    many = ",".join(f"20260101-000000-{n:04x}" for n in range(51))
    answer = visitor.get(f"/tensorboard/{many}.json")
    assert answer.status == 400
    assert "1 to 50" in answer.text


def test_a_large_body_is_refused(visitor: Visitor, models: list[Job]) -> None:
    address = visitor.open(models[0].id)
    assert visitor.get(f"{address}{SERIES}", b"x" * (2 << 20)).status == 413


def test_the_buttons_lead_to_it(visitor: Visitor, models: list[Job]) -> None:
    assert f'href="{PREFIX}/tensorboard/{models[0].id}"' in visitor.get(f"/models/{models[0].id}").text
    assert f'data-board="{PREFIX}/tensorboard/"' in visitor.get("/").text


def test_a_deleted_model_ends_it(visitor: Visitor, models: list[Job]) -> None:
    visitor.open(models[0].id)
    process = board_of("first")
    request = urllib.request.Request(f"{visitor.server.url}{PREFIX}/models/{models[0].id}", method="DELETE")
    request.add_header("Authorization", f"Bearer {visitor.token}")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    process.wait(DEADLINE)
