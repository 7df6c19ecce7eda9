"""Live streams of a real web process: backlog, new lines, changed rows, many watchers, a clean end."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from digits.domain.events import LogEvent
from digits.domain.jobs import Status
from digits.service import Service
from digits.storage.events import EventWriter
from digits.storage.jobs.store import Job
from digits.web.jobs import live
from tests.builders import make_job
from tests.conftest import RunningServer
from tests.waiting import wait_for

DEADLINE = 60


class EventStream:
    """One open stream, read as `(event, id, data)`."""

    def __init__(self, server: RunningServer, path: str, headers: dict[str, str] | None = None) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=DEADLINE)
        self.connection.request("GET", path, headers=headers or {})
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200
        assert self.answer.headers["Content-Type"].startswith("text/event-stream")

    def next(self) -> tuple[str, str, Any] | None:
        """The next message; None when the server ended the stream. Keep-alives are skipped."""
        fields: dict[str, str] = {}
        while line := self.answer.readline():
            text = line.decode().rstrip("\n")
            if text == "" and "data" in fields:
                return fields.get("event", "message"), fields.get("id", ""), json.loads(fields["data"])
            name, _, value = text.partition(": ")
            if name:
                fields[name] = value
        return None

    def until(self, wanted: Callable[[tuple[str, str, Any]], bool]) -> tuple[str, str, Any]:
        while message := self.next():
            if wanted(message):
                return message
        pytest.fail("the stream ended before the message came")

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


@pytest.fixture
def job(web_server: RunningServer) -> Job:
    return make_job(web_server.service, status=Status.RUN)


def emit(service: Service, job: Job, *texts: str) -> list[int]:
    writer = EventWriter(service.folder(job.id).events_file, 1)
    try:
        return [writer.emit(LogEvent(message=text)) for text in texts]
    finally:
        writer.close()


def test_a_job_is_followed_from_an_offset(web_server: RunningServer, job: Job) -> None:
    ends = emit(web_server.service, job, "one", "two", "three")
    stream = EventStream(web_server, f"/jobs/{job.id}/events", {"Last-Event-ID": str(ends[0])})
    assert [(stream.next() or ("", "", {}))[1:] for _ in range(2)] == [
        (str(ends[1]), {**_line(web_server.service, job, 1)}),
        (str(ends[2]), {**_line(web_server.service, job, 2)}),
    ]
    (later,) = emit(web_server.service, job, "four")
    event, offset, data = stream.next() or ("", "", {})
    assert (event, offset, data["message"]) == ("message", str(later), "four")
    stream.close()


def test_the_stream_of_a_job_carries_its_row_and_ends_with_it(web_server: RunningServer, job: Job) -> None:
    stream = EventStream(web_server, f"/jobs/{job.id}/events")
    web_server.service.store.update(job.id, progress=0.5)
    _, number, row = stream.until(lambda message: message[0] == "job")
    assert (number, row["progress"]) == ("", 50)
    web_server.service.store.transition(job.id, Status.DONE)
    emit(web_server.service, job, "last words")
    texts = []
    while message := stream.next():
        texts.append(message[2].get("message") if message[0] == "message" else message[0])
    assert texts[-1] == "end"
    assert "last words" in texts
    stream.close()


def test_an_ended_job_is_told_whole_and_then_the_stream_ends(web_server: RunningServer) -> None:
    job = make_job(web_server.service, status=Status.DONE)
    emit(web_server.service, job, *(str(number) for number in range(1200)))
    stream = EventStream(web_server, f"/jobs/{job.id}/events")
    found = []
    while message := stream.next():
        found.append(message)
    assert [message[2]["message"] for message in found if message[0] == "message"] == [str(number) for number in range(1200)]
    assert found[-1][0] == "end"
    stream.close()


def test_one_connection_for_lists_and_jobs(web_server: RunningServer, job: Job) -> None:
    ends = emit(web_server.service, job, "one", "two")
    sequence = web_server.service.store.sequence()
    web_server.service.store.update(job.id, name="renamed before")
    stream = EventStream(web_server, f"/events?list={sequence}&job={job.id}:{ends[0]}")
    seen = sorted((stream.next() or ("", "", {}) for _ in range(2)), key=lambda message: message[0])
    assert [message[0] for message in seen] == ["job", "line"]
    assert seen[0][2]["name"] == "renamed before"
    assert int(seen[0][1]) == sequence + 1
    assert seen[1][2] == {"job_id": job.id, "offset": ends[1], "event": _line(web_server.service, job, 1)}
    other = make_job(web_server.service, name="new one")
    assert stream.until(lambda message: message[0] == "job" and message[2]["name"] == "new one")[2]["id"] == other.id
    web_server.service.store.request_action(other.id, "delete")
    assert stream.until(lambda message: message[0] == "job" and message[2]["deleted"])[2]["id"] == other.id
    stream.close()


def test_two_hundred_watchers_get_every_line(web_server: RunningServer, job: Job) -> None:
    streams = [EventStream(web_server, f"/jobs/{job.id}/events") for _ in range(200)]
    texts = [f"line {number}" for number in range(20)]
    received: list[list[str]] = [[] for _ in streams]

    def follow(stream: EventStream, mine: list[str]) -> None:
        while len(mine) < len(texts) and (message := stream.next()):
            if message[0] == "message":
                mine.append(message[2]["message"])

    threads = [threading.Thread(target=follow, args=pair) for pair in zip(streams, received, strict=True)]
    for thread in threads:
        thread.start()
    for text in texts:
        emit(web_server.service, job, text)
    for thread in threads:
        thread.join(DEADLINE)
    for stream in streams:
        stream.close()
    assert received == [texts] * 200


def test_a_damaged_line_is_sent_as_null_with_its_offset(web_server: RunningServer, job: Job) -> None:
    ends = emit(web_server.service, job, "one", "two")
    path = web_server.service.folder(job.id).events_file
    path.write_bytes(path.read_bytes().replace(b'"one"', b'"0ne"'))
    stream = EventStream(web_server, f"/jobs/{job.id}/events")
    assert [(stream.next() or ("", "", {}))[1:] for _ in range(2)] == [
        (str(ends[0]), None),
        (str(ends[1]), _line(web_server.service, job, 1)),
    ]
    stream.close()


def test_more_jobs_than_one_connection_follows_are_refused(client: FlaskClient) -> None:
    jobs = [("job", f"20300101-000000-{number:04x}:0") for number in range(201)]
    answer = client.get("/events", query_string=jobs, headers={"Accept": "application/json"})
    assert answer.status_code == 400
    assert answer.json["error"]["message"] == "These are 201 jobs; one connection follows 200."


def test_what_is_no_offset_is_refused(web_server: RunningServer, job: Job) -> None:
    connection = http.client.HTTPConnection(urlsplit(web_server.url).netloc, timeout=DEADLINE)
    connection.request("GET", f"/jobs/{job.id}/events?offset=minus", headers={"Accept": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 400
    assert "whole number" in answer.read().decode()
    connection.close()


def test_threads_end_when_nobody_watches(service: Service) -> None:
    job = make_job(service, status=Status.RUN)
    streams = live.Live(service)
    watcher, _, _ = streams.watch(frozenset({job.id}), lists=True)
    names = {thread.name for thread in threading.enumerate()}
    assert {f"digits-tail-{job.id}", "digits-changes"} <= names
    streams.leave(watcher)
    wait_for(lambda: not any(t.name.startswith(("digits-tail", "digits-changes")) for t in threading.enumerate()))
    assert not [t.name for t in threading.enumerate() if t.name.startswith(("digits-tail", "digits-changes"))]
    assert streams.watching == 0


def test_a_watcher_that_does_not_keep_up_is_let_go(service: Service) -> None:
    watcher = live.Watcher(frozenset(), lists=True)
    for _ in range(live.QUEUE_SIZE + 1):
        watcher.put(b"x")
    assert watcher.lost.is_set()


def test_offsets_within_a_line_and_torn_ends(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"first\nsecond\nto")
    assert live.end_of_lines(file) == 13
    assert [live.line_start(file, offset) for offset in (0, 3, 6, 7, 99)] == [0, 6, 6, 13, 15]
    assert [piece.lines for piece in live.pieces("j", file, 6)] == [((13, b"second"),)]
    assert live.end_of_lines(tmp_path / "missing") == 0


def _line(service: Service, job: Job, number: int) -> Any:
    return json.loads(service.folder(job.id).events_file.read_bytes().splitlines()[number])
