"""What can be done with any job over HTTP (R 1.1): the texts and codes of the original."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask.testing import FlaskClient

from digits.domain.jobs import Action, Kind, Status
from digits.errors import NotFound
from digits.service import Service
from digits.service import jobs as actions
from digits.storage.jobs.store import Job, JobStore
from tests.builders import make_job
from tests.conftest import USER

UNKNOWN = "20200101-000000-abcd"


@pytest.fixture
def job(service: Service) -> Job:
    return make_job(service, name="before", status=Status.RUN)


@pytest.fixture
def foreign(service: Service) -> Job:
    """Somebody else's job."""
    return make_job(service, name="theirs", status=Status.RUN, owner="somebody-else")


@pytest.mark.parametrize("area", ["jobs", "models"])
def test_status(client: FlaskClient, job: Job, area: str) -> None:
    assert client.get(f"/{area}/{job.id}/status").json == {
        "error": "",
        "status": "Running",
        "name": "before",
        "type": "Image Classification Model",
    }


def test_status_of_an_unknown_job_is_an_ordinary_answer(client: FlaskClient) -> None:
    answer = client.get(f"/datasets/{UNKNOWN}/status")
    assert answer.status_code == 200
    assert answer.json["error"] == "Job not found."


def test_rename_and_notes(client: FlaskClient, service: Service, job: Job) -> None:
    answer = client.put(f"/jobs/{job.id}", data={"job_name": " after ", "job_notes": "good one"})
    assert answer.text == "Image Classification Model updated."
    changed = service.store.get(job.id)
    assert (changed.name, changed.notes) == ("after", "good one")
    assert service.folder(job.id).user().name == "after"
    assert client.put(f"/models/{job.id}", data={"job_notes": " "}).status_code == 200
    assert service.store.get(job.id).notes == ""


def test_of_two_tabs_that_rename_a_job_at_once_one_wins_everywhere(client: FlaskClient, service: Service, job: Job) -> None:
    def rename(name: str) -> int:
        tab = client.application.test_client()
        tab.set_cookie("username", USER)
        return tab.put(f"/jobs/{job.id}", data={"job_name": name}).status_code

    with ThreadPoolExecutor(4) as tabs:
        assert set(tabs.map(rename, [f"name {n}" for n in range(12)])) == {200}
    name = service.store.get(job.id).name
    assert name.startswith("name ")
    assert service.folder(job.id).user().name == name


def test_a_blank_name_is_refused(client: FlaskClient, job: Job) -> None:
    assert client.put(f"/jobs/{job.id}", data={"job_name": "  "}).status_code == 400


def test_abort(client: FlaskClient, service: Service, job: Job) -> None:
    assert client.post(f"/models/{job.id}/abort").text == "Job aborted."
    assert service.store.get(job.id).requested_action == "abort"
    ended = make_job(service, status=Status.DONE)
    answer = client.post(f"/jobs/{ended.id}/abort")
    assert answer.status_code == 403
    assert "Job not aborted" in answer.text


def test_delete(client: FlaskClient, service: Service, job: Job) -> None:
    assert client.delete(f"/models/{job.id}").text == "Job deleted."
    assert client.get(f"/jobs/{job.id}").status_code == 404
    assert client.delete(f"/jobs/{job.id}").status_code == 404


def test_a_data_set_that_models_need_stays(client: FlaskClient, service: Service) -> None:
    dataset = make_job(service, Kind.DATASET, "data", status=Status.DONE)
    make_job(service, name="needs it", parents=(dataset.id,))
    answer = client.delete(f"/datasets/{dataset.id}")
    assert answer.status_code == 403
    assert "needs it" in answer.text
    bulk = client.delete("/jobs", data={"job_ids[]": [dataset.id, UNKNOWN]})
    assert bulk.status_code == 400
    assert "needs it" in bulk.text
    assert "1 job not found." in bulk.text


@pytest.mark.parametrize(
    ("method", "path", "data"),
    [
        ("PUT", "/jobs/{}", {"job_name": "mine now"}),
        ("DELETE", "/models/{}", {}),
        ("POST", "/jobs/{}/abort", {}),
        ("POST", "/models/{}/resume", {}),
        ("POST", "/jobs/{}/priority", {"move": "top"}),
    ],
)
def test_somebody_elses_job_cannot_be_changed(
    client: FlaskClient, service: Service, foreign: Job, method: str, path: str, data: dict[str, str]
) -> None:
    answer = client.open(path.format(foreign.id), method=method, data=data, headers={"Accept": "application/json"})
    assert answer.status_code == 403
    assert "somebody-else" in answer.json["error"]["message"]
    same = service.store.get(foreign.id)
    assert (same.name, same.requested_action, same.deleted) == ("theirs", "", None)


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/jobs"), ("POST", "/abort_jobs"), ("POST", "/group")])
def test_bulk_actions_count_what_they_may_not_touch(
    client: FlaskClient, service: Service, job: Job, foreign: Job, method: str, path: str
) -> None:
    data = {"job_ids[]": [job.id, foreign.id, UNKNOWN], "group_name": "g"}
    answer = client.open(path, method=method, data=data, headers={"Accept": "application/json"})
    assert answer.status_code == 400
    assert answer.json["error"]["message"] == "1 job not found. 1 job not permitted."
    assert service.store.get(foreign.id).requested_action == ""


def test_groups(client: FlaskClient, service: Service, job: Job) -> None:
    other = make_job(service)
    answer = client.post("/group", data={"job_ids[]": [job.id, other.id], "group_name": "sweep"})
    assert answer.text == "Jobs regrouped."
    assert {service.store.get(i).group for i in (job.id, other.id)} == {"sweep"}
    assert service.folder(job.id).user().group == "sweep"


def test_the_page_of_a_job_is_where_its_kind_is(client: FlaskClient, service: Service, job: Job) -> None:
    assert client.get(f"/jobs/{job.id}").headers["Location"] == f"/models/{job.id}"
    assert client.get(f"/jobs/{job.id}.json").headers["Location"] == f"/models/{job.id}.json"
    assert client.get(f"/jobs/{UNKNOWN}").status_code == 404


def test_clone_goes_to_the_matching_form(client: FlaskClient, service: Service, job: Job) -> None:
    dataset = make_job(service, Kind.DATASET, status=Status.DONE, extension="image-classification-folder")
    plugin = make_job(service, Kind.DATASET, status=Status.DONE, extension="image-gradients")
    assert client.get(f"/clone/{job.id}").headers["Location"] == f"/models/images/classification/new?clone={job.id}"
    assert client.get(f"/clone/{dataset.id}").headers["Location"] == f"/datasets/images/classification/new?clone={dataset.id}"
    assert client.get(f"/clone/{plugin.id}").headers["Location"].startswith("/datasets/generic/new/image-gradients?")


def test_the_queue_can_be_re_ordered(client: FlaskClient, service: Service) -> None:
    first, second, third = (make_job(service, name=name, status=Status.WAIT) for name in "abc")

    def order() -> str:
        return "".join(job.name for job in service.store.active())

    assert order() == "abc"
    client.post(f"/jobs/{third.id}/priority", data={"move": "top"})
    assert order() == "cab"
    client.post(f"/jobs/{first.id}/priority", data={"move": "down"})
    assert order() == "cba"
    client.post(f"/jobs/{second.id}/priority", data={"move": "up"})
    assert order() == "bca"
    assert client.post(f"/jobs/{first.id}/priority", data={"move": "sideways"}).status_code == 400


def test_names_and_notes_have_a_longest(client: FlaskClient, service: Service, job: Job) -> None:
    for name, length in (("job_name", 501), ("group_name", 501), ("job_notes", 100_001)):
        answer = client.put(f"/jobs/{job.id}", data={name: "x" * length}, headers={"Accept": "application/json"})
        assert answer.status_code == 400
        assert f"{length:,} characters" in answer.get_json()["error"]["message"]
    assert service.store.get(job.id).name == "before"
    assert client.put(f"/jobs/{job.id}", data={"job_name": "x" * 500}).status_code == 200


def test_two_jobs_of_one_moment_never_share_a_folder(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = iter(["20260101-000000-aaaa", "20260101-000000-aaaa", "20260101-000000-bbbb"])
    monkeypatch.setattr("digits.service.jobs.new_job_id", lambda: next(ids))
    jobs = [make_job(service, name=name) for name in ("one", "two")]
    assert [job.id[-4:] for job in jobs] == ["aaaa", "bbbb"]
    assert [service.folder(job.id).user().name for job in jobs] == ["one", "two"]


def test_a_job_that_is_refused_leaves_no_folder(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def insert(*_: object, **__: object) -> None:
        raise RuntimeError("the database is locked")

    monkeypatch.setattr(JobStore, "insert", insert)
    with pytest.raises(RuntimeError):
        make_job(service)
    assert [path.name for path in service.jobs_dir.path.iterdir()] == [".digits"]


def test_who_renames_what_is_being_deleted_hears_that_it_is_gone(service: Service, client: FlaskClient) -> None:
    job = make_job(service)
    shutil.rmtree(service.folder(job.id).path)
    damaged = client.put(f"/jobs/{job.id}", data={"job_name": "new"}, headers={"Accept": "application/json"})
    assert (damaged.status_code, damaged.json["error"]["type"]) == (409, "Damaged")
    service.store.request_action(job.id, Action.DELETE)
    with pytest.raises(NotFound):
        actions.edit(service, job, name="new")
