"""Requests that mean harm: every rule, with bodies, names and values that nobody sends by chance. None is an error of the
server."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from flask.testing import FlaskClient

from digits.service import Service
from digits.storage.jobs.store import Job
from digits.web.http.limits import MAX_FIELDS, MAX_FORM_BYTES, MAX_JSON_BYTES
from tests.web.http.test_arguments import jobs, routes

__all__ = ["jobs"]

JSON = {"Accept": "application/json"}
DEEP = b'{"job_id":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
DEEP_OBJECTS = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
NUMBER = (
    b'{"epoch": ' + b"9" * 5000 + b', "limit": ' + b"9" * 4000 + b', "image_width": 1e999, "job_ids": [' + b"9" * 4000 + b"]}"
)
SURROGATE = rb'{"dataset_name": "\ud800", "username": "\udfff", "job_id": "\ud800", "\ud800": "\u0000", "image_path": "\ud800"}'
FIELDS = b"job_id=%ff%fe&dataset_name=%00&%ff=%ed%a0%80&image_path=%ff&username=%ff&folder=%00&num_test_images=%ff"
BODIES = {
    "deep": (DEEP, "application/json"),
    "deep objects": (DEEP_OBJECTS, "application/json"),
    "numbers": (NUMBER, "application/json"),
    "surrogates": (SURROGATE, "application/json"),
    "a list": (b"[[], {}, null, 1e999, NaN]", "application/json"),
    "objects": (
        b'{"job_id": {"a": 1}, "job_ids": [{"a": 1}], "job_ids[]": [[1]], "tags": {}}',
        "application/json",
    ),
    "no utf-8": (b'{"job_id": "\xff\xfe"}', "application/json"),
    "fields": (FIELDS, "application/x-www-form-urlencoded"),
    "no boundary": (b"--x\r\n\r\n", "multipart/form-data"),
    "torn": (b'--x\r\nContent-Disposition: form-data; name="a"; filename="\xff\xfe"\r\n\r\n', "multipart/form-data; boundary=x"),
    "charset": (b"\xff\xfe", "application/json; charset=nonsense"),
}


@pytest.fixture(autouse=True)
def nobody_waits_for_a_plugin_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """None runs here."""
    monkeypatch.setattr("digits.ipc.plugin_host_client.RESTART_SECONDS", 0.0)


def answered(client: FlaskClient, jobs: dict[str, Job], **request: Any) -> Iterator[str]:
    """Rules whose answer to a request is an error of the server."""
    for rule, method, address, _ in routes(client.application, jobs):
        if address.endswith("/events") or (method == "GET" and "data" in request):
            continue
        answer = client.open(address, method=method, headers=JSON, **request)
        if answer.status_code >= 500 and answer.status_code != 503:  # no plugin host and no supervisor run here
            yield f"{method} {rule.rule}: {answer.status} {answer.get_data()[:300]!r}"
        answer.close()


@pytest.mark.parametrize("name", BODIES)
def test_no_body_breaks_a_route(client: FlaskClient, jobs: dict[str, Job], name: str) -> None:
    data, content_type = BODIES[name]
    assert list(answered(client, jobs, data=data, content_type=content_type)) == []


@pytest.mark.parametrize("query", ["job_id=%ff%fe&path=%00&query=%ed%a0%80", "job_ids[]=%00&limit=&page=%ff&q=" + "9" * 5000])
def test_no_query_breaks_a_route(client: FlaskClient, jobs: dict[str, Job], query: str) -> None:
    assert list(answered(client, jobs, query_string=query)) == []


def test_a_form_of_millions_of_fields_is_refused_before_it_is_parsed(client: FlaskClient, jobs: dict[str, Job]) -> None:
    address = f"/jobs/{jobs['models'].id}"
    process, body = psutil.Process(os.getpid()), b"a=1&" * 2_000_000
    before = process.memory_info().rss
    answer = client.put(address, data=body, content_type="application/x-www-form-urlencoded", headers=JSON)
    assert (answer.status_code, f"{MAX_FIELDS:,} fields" in answer.text) == (413, True)
    assert process.memory_info().rss - before < 64 << 20
    for size, kind in ((MAX_FORM_BYTES, "application/x-www-form-urlencoded"), (MAX_JSON_BYTES, "application/json")):
        assert client.post("/datasets", data=b" " * (size + 1), content_type=kind, headers=JSON).status_code == 413
    fields = "&".join(f"job_ids[]={number}" for number in range(10_000))
    assert client.post("/group", data=fields, content_type="application/x-www-form-urlencoded", headers=JSON).status_code < 500


def test_a_file_of_json_is_uploaded_whatever_its_size(client: FlaskClient, service: Service, tmp_path: Path) -> None:
    token = client.post("/uploads/begin", data={"name": "boxes"}).json["token"]
    content = b'{"a": "' + b"x" * (MAX_JSON_BYTES + 1) + b'"}'
    address = f"/uploads/sending/{token}"
    answer = client.put(address, query_string={"path": "a.json"}, data=content, content_type="application/json", headers=JSON)
    assert answer.status_code == 200
    found = client.post(f"{address}/finish", headers=JSON).json
    assert Path(found["file"]).read_bytes() == content


def test_names_longer_than_a_file_may_have_are_not_found(client: FlaskClient, jobs: dict[str, Job]) -> None:
    long = "a" * 5000
    model = next(job for job in jobs.values() if job.kind == "model")
    for method, address in (("GET", f"/files/{model.id}/{long}"), ("GET", f"/files/{long}"), ("DELETE", f"/uploads/{long}")):
        answer = client.open(address, method=method, headers=JSON)
        assert answer.status_code in (400, 404), (method, address[:40])


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EROFS, 503), (errno.EIO, 500)])
def test_a_disk_that_cannot_be_written_is_said_and_is_no_fault(client: FlaskClient, number: int, code: int) -> None:
    def fail() -> None:
        raise OSError(number, os.strerror(number), "/srv/jobs/x")

    client.application.view_functions["system.info"] = fail
    answer = client.get("/info", headers=JSON)
    assert answer.status_code == code
    assert ("fault of digits" in answer.text) == (code == 500)
    assert "/srv/jobs" in answer.text or code == 500
    assert ("send the request again" in answer.text) == (code != 500), "a request that was refused does not go on by itself"
    assert "the work goes on" not in answer.text
