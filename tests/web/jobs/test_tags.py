"""Tags of jobs: set by PUT, as a list or as text with commas; found by search; shown as text whatever they are."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from digits.domain.jobs import Kind, Status
from digits.service import Service
from digits.storage.jobs.store import Job
from tests.builders import make_job
from tests.conftest import USER

JSON = {"Accept": "application/json"}


@pytest.fixture
def job(service: Service) -> Job:
    return make_job(service, Kind.DATASET, name="pictures", status=Status.DONE)


@pytest.mark.parametrize(
    "sent",
    [
        {"data": {"tags": "week 12, best ,, best"}},
        {"data": {"tags": ["week 12", "best"]}},
        {"json": {"tags": ["week 12", " best"]}},
        {"json": {"tags": "week 12,best"}},
        {"query_string": {"tags": "week 12,best"}},
        {"data": {"tags": "[week 12, best]"}},
        {"query_string": {"tags": " [week 12,best] "}},
    ],
)
def test_tags_are_a_list_or_text_with_commas(client: FlaskClient, service: Service, job: Job, sent: dict[str, Any]) -> None:
    answer = client.put(f"/jobs/{job.id}", headers=JSON, **sent)
    assert answer.status_code == 200
    assert answer.json["tags"] == ["week 12", "best"]
    assert client.get(f"/jobs/{job.id}/table_data.json").json["job"]["tags"] == ["week 12", "best"]
    assert service.folder(job.id).user().tags == ("week 12", "best")


@pytest.mark.parametrize("none", [{"data": {"tags": ""}}, {"data": {"tags": " , "}}, {"json": {"tags": []}}])
def test_blank_tags_are_none(client: FlaskClient, service: Service, job: Job, none: dict[str, Any]) -> None:
    client.put(f"/datasets/{job.id}", data={"tags": "a", "job_notes": "kept"})
    assert client.put(f"/datasets/{job.id}", **none).status_code == 200
    changed = service.store.get(job.id)
    assert (changed.tags, changed.notes) == ([], "kept")


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"json": {"tags": ["a,b"]}}, "cannot contain a comma"),
        ({"data": {"tags": ["a", "b,c"]}}, "cannot contain a comma"),
        ({"data": {"tags": "x" * 10_000}}, "a tag has 10,000 characters; at most 100"),
        ({"data": {"tags": ",".join(map(str, range(51)))}}, "51 tags"),
        ({"data": {"tags": "a\0b"}}, "zero byte"),
        ({"data": {"tags": "a\x1bb"}}, "control characters"),
        ({"json": {"tags": [{"a": 1}]}}, "no text"),
        ({"json": {"tags": {"a": 1}}}, "no text"),
        ({"json": {"job_name": {"a": 1}}}, "job_name holds"),
        ({"data": b'{"job_name": "\\ud800"}', "content_type": "application/json"}, "half of a character"),
        ({"data": b'{"tags": ["\\udfff"]}', "content_type": "application/json"}, "half of a character"),
    ],
)
def test_what_is_no_tag_is_refused_and_changes_nothing(
    client: FlaskClient, service: Service, job: Job, sent: dict[str, Any], said: str
) -> None:
    answer = client.put(f"/jobs/{job.id}", headers=JSON, **sent)
    assert answer.status_code == 400
    assert said in answer.json["error"]["message"]
    assert service.store.get(job.id).tags == []


def test_html_in_a_tag_is_text_on_the_page(client: FlaskClient, job: Job) -> None:
    client.put(f"/jobs/{job.id}", data={"tags": "<b>bold</b>, é"})
    page = client.get(f"/datasets/{job.id}").text
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<b>bold" not in page


def test_jobs_are_found_by_their_tags(client: FlaskClient, service: Service, job: Job) -> None:
    make_job(service, Kind.DATASET, name="other", status=Status.DONE)
    client.put(f"/jobs/{job.id}", data={"tags": 'Grün 12,50%,"quoted"'})

    def found(**query: str) -> list[str]:
        return [row["name"] for row in client.get("/jobs.json", query_string=query).json["rows"]]

    assert found(text="Grün") == found(text="50%") == found(tag="Grün 12") == found(tag='"quoted"') == ["pictures"]
    assert found(tag="Grün") == found(text="1%") == []


def test_a_field_that_jobs_do_not_have_is_named(client: FlaskClient, service: Service, job: Job) -> None:
    alone = client.put(f"/jobs/{job.id}", data={"job_nmae": "x", "username": USER}, headers=JSON)
    assert alone.status_code == 400
    assert "'job_nmae'" in alone.json["error"]["message"]
    assert "job_name" in alone.json["error"]["description"]
    beside = client.put(f"/jobs/{job.id}", data={"job_nmae": "x", "job_notes": "n"}, headers=JSON)
    assert (beside.status_code, beside.json["ignored"]) == (200, ["job_nmae"])
    assert "'job_nmae'" in client.put(f"/jobs/{job.id}", data={"job_nmae": "x", "job_notes": "n"}).text
    assert service.store.get(job.id).name == "pictures"
