"""The home page and the lists behind it (R 1.1, 9.1)."""

from __future__ import annotations

import json

import pytest
from flask.testing import FlaskClient

from digits.domain.jobs import Kind, Status
from digits.service import Service
from digits.storage.jobs.reindex import ReindexReport, restore
from digits.storage.jobs.store import Output
from tests.builders import make_job
from tests.conftest import USER

ROW_KEYS = {
    "id", "name", "group", "status", "status_css", "submitted", "elapsed", "type", "username", "progress", "backend", "framework",
    "dataset_id", "extension", "sparkline",
}  # fmt: skip


def output(job_id: str, name: str, phase: str, last: float) -> Output:
    return Output(job_id, name, phase, "other", last, last - 1, last + 1, 1.0, 2.0)


def test_home_names_what_there_is(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    for word in ("Home", "Datasets", "Models", "New Dataset"):
        assert word in answer.text


def test_unknown_pages_are_404_in_both_forms(client: FlaskClient) -> None:
    page = client.get("/foo")
    assert page.status_code == 404
    assert "Not Found" in page.text
    assert client.get("/foo.json").json["error"]["type"] == "NotFound"
    assert client.get("/foo", headers={"Accept": "application/json"}).json["error"]["message"] == "Not Found"


def test_json_is_chosen_by_suffix_or_by_what_the_client_prefers(client: FlaskClient) -> None:
    assert client.get("/index.json").is_json
    assert client.get("/", headers={"Accept": "application/json"}).is_json
    assert client.get("/", headers={"Accept": "*/*"}).mimetype == "text/html"
    assert client.get("/", headers={"Accept": "text/html,application/json;q=0.9"}).mimetype == "text/html"


def test_index_lists_running_jobs_first_then_the_newest(client: FlaskClient, service: Service) -> None:
    first = make_job(service, Kind.DATASET, "running", status=Status.RUN)
    second = make_job(service, Kind.DATASET, "done", status=Status.DONE)
    found = client.get("/index.json").json
    assert [item["id"] for item in found["datasets"]] == [first.id, second.id]
    assert {"version", "jobs_dir", "models"} <= set(found)
    assert {"id", "name", "status"} <= set(found["datasets"][0])


def test_completed_jobs_has_the_rows_of_the_original(client: FlaskClient, service: Service) -> None:
    dataset = make_job(service, Kind.DATASET, "data", status=Status.DONE, extension="image-classification")
    model = make_job(service, Kind.MODEL, "done", status=Status.DONE, parents=(dataset.id,), framework="pytorch")
    running = make_job(service, Kind.MODEL, "busy", status=Status.RUN, parents=(dataset.id,))
    service.store.put_outputs(model.id, [output(model.id, "accuracy", "val", 0.5)])
    found = client.get("/completed_jobs.json").json
    assert [row["id"] for row in found["running"]] == [running.id]
    assert [row["id"] for row in found["datasets"]] == [dataset.id]
    row = found["models"][0]
    assert row.keys() >= ROW_KEYS
    assert row["extension"] == "image-classification"
    assert (row["accuracy (val) last"], row["accuracy (val) min"], row["accuracy (val) max"]) == (0.5, -0.5, 1.5)
    assert found["model_output_fields"] == ["accuracy (val) last", "accuracy (val) max", "accuracy (val) min"]
    assert found["pretrained_models"] == []


def test_table_data_of_one_job(client: FlaskClient, service: Service) -> None:
    job = make_job(service, name="one")
    assert client.get(f"/jobs/{job.id}/table_data.json").json["job"]["name"] == "one"
    assert client.get("/jobs/20200101-000000-abcd/table_data.json").status_code == 404


def test_lists_are_sorted_filtered_and_paged_by_the_database(client: FlaskClient, service: Service) -> None:
    for number in range(30):
        job = make_job(service, name=f"model {number:02}", status=Status.DONE if number % 2 else Status.ERROR)
        if number < 3:
            service.store.put_outputs(job.id, [output(job.id, "loss", "val", float(number))])
    page = client.get("/jobs.json?kind=model&sort=name&offset=10&limit=5").json
    assert page["total"] == 30
    assert [row["name"] for row in page["rows"]] == [f"model {n}" for n in range(10, 15)]
    assert client.get("/jobs.json?kind=model&status=D").json["total"] == 15
    make_job(service, Kind.DATASET, name="Needle in 100% hay")
    assert [row["name"] for row in client.get("/jobs.json?text=hay+needle").json["rows"]] == ["Needle in 100% hay"]
    assert client.get("/jobs.json?text=in_100%25").json["total"] == 0, "wildcards of the database are ordinary characters"
    for sort in ("-output:loss:val:last", "output:loss:val:last"):
        names = [row["name"] for row in client.get("/jobs.json", query_string={"sort": [sort, "name"]}).json["rows"][:3]]
        assert sorted(names) == ["model 00", "model 01", "model 02"], "empty values come last whichever way it is sorted"


@pytest.mark.parametrize("query", ["sort=password", "limit=x", "offset=-1", "limit=99999999999999999999"])
def test_a_list_that_cannot_be_made_says_why(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/jobs.json?{query}")
    assert answer.status_code == 400
    assert "expected" in answer.text or "cannot be sorted" in answer.text


@pytest.mark.parametrize("sort", ["elapsed", "-elapsed", "refs", "-refs", "submitted", "username", "group,-best"])
def test_every_column_of_the_page_sorts(client: FlaskClient, service: Service, sort: str) -> None:
    dataset = make_job(service, Kind.DATASET, status=Status.DONE)
    make_job(service, status=Status.RUN, parents=(dataset.id,))
    assert client.get(f"/jobs.json?sort={sort}").json["total"] == 2


def test_models_of_a_data_set_are_counted(client: FlaskClient, service: Service) -> None:
    dataset = make_job(service, Kind.DATASET, status=Status.DONE)
    make_job(service, parents=(dataset.id,))
    make_job(service, parents=(dataset.id,))
    assert client.get("/jobs.json?kind=dataset").json["rows"][0]["refs"] == 2


def test_a_task_is_shown_by_its_title(client: FlaskClient, service: Service) -> None:
    for name in ("generic", "processing", "of a newer version"):
        make_job(service, Kind.DATASET, name, task=name, status=Status.DONE)
    rows = client.get("/jobs.json?kind=dataset&sort=name").json["rows"]
    titles = {"generic": "Arrays", "processing": "Image to image", "of a newer version": "of a newer version"}
    assert {row["task"]: row["task_title"] for row in rows} == titles


def test_a_name_that_is_a_tag_stays_text(client: FlaskClient, service: Service) -> None:
    job = make_job(service, Kind.DATASET, "<script>alert(1)</script>", status=Status.DONE)
    for address in ("/", "/queue", f"/datasets/{job.id}"):
        assert "<script>alert" not in client.get(address).text


def test_an_answer_to_a_name_of_ten_thousand_characters(client: FlaskClient, service: Service) -> None:
    job = make_job(service, name="x" * 10000)
    assert client.get("/jobs.json").json["rows"][0]["name"] == "x" * 10000
    assert client.put(f"/jobs/{job.id}", data={"job_name": "🙂 " * 3}).status_code == 200
    assert service.store.get(job.id).name == "🙂 🙂 🙂"


def test_the_queue_shows_why_a_job_waits(client: FlaskClient, service: Service) -> None:
    job = make_job(service, name="patient", status=Status.WAIT)
    service.store.update(job.id, message="Waits until data is done.")
    page = client.get("/queue")
    assert "patient" in page.text
    assert "Waits until data is done." in page.text
    assert client.get("/queue.json").json["jobs"][0]["id"] == job.id


def test_the_machine_and_what_runs_here(client: FlaskClient) -> None:
    load = client.get("/machine.json").json
    assert load["memory"]["total"] > load["memory"]["used"] > 0
    assert load["supervisor"]["ok"] is False
    info = client.get("/info.json").json
    assert info["user"] == USER
    assert "flask" in info["packages"]
    assert client.get("/info").status_code == 200
    assert client.get("/health").json == {"ok": True}


@pytest.mark.parametrize("damage", ['{"broken', "[]", '{"schema": 99}', None])
def test_one_damaged_job_leaves_the_lists_of_the_others_alone(client: FlaskClient, service: Service, damage: str | None) -> None:
    whole, broken = (make_job(service, name=name, status=Status.DONE) for name in ("whole", "broken"))
    file = service.folder(broken.id).request_file
    file.unlink() if damage is None else file.write_text(damage)
    models = {model["id"]: model for model in client.get("/index.json").json["models"]}
    assert models[whole.id]["framework"] == ""
    assert models[broken.id]["name"] == "broken"
    assert "job.json" in models[broken.id]["error"]
    assert len(client.get("/completed_jobs.json").json["models"]) == 2
    data = make_job(service, Kind.DATASET, "broken data", status=Status.DONE)
    service.folder(data.id).request_file.write_text(damage or "")
    for address in ("/", "/models/images/classification/new", "/queue"):
        assert client.get(address).status_code == 200, address
    assert client.delete(f"/models/{broken.id}").status_code == 200


@pytest.mark.parametrize("kind", [Kind.MODEL, Kind.DATASET])
def test_a_job_of_an_unknown_task_is_shown_as_damaged_and_can_be_deleted(
    client: FlaskClient, service: Service, kind: Kind
) -> None:
    """As a newer version leaves it, or a hand: its `job.json` and, made again from it, its row name a task that is not there."""
    whole, odd = (make_job(service, kind, name, status=Status.DONE) for name in ("whole", "odd"))
    file = service.folder(odd.id).request_file
    file.write_text(json.dumps({**json.loads(file.read_text()), "task": "telepathy"}))
    report = ReindexReport()
    restore(service.folder(odd.id), service.store, report)
    assert (report.restored, report.problems) == ([odd.id], [])
    forms = [f"/models/images/{area}/new" for area in ("classification", "generic")]
    for address in ("/", "/?tab=1", "/queue", "/jobs.json", "/completed_jobs.json", *forms):
        assert client.get(address).status_code == 200, address
    rows = {row["id"]: row for row in client.get("/index.json").json[f"{kind}s"]}
    assert "error" not in rows[whole.id]
    assert "'telepathy'" in rows[odd.id]["error"]
    for address in (f"/{kind}s/{odd.id}", f"/{kind}s/{odd.id}.json"):
        answer = client.get(address, headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json["error"]["type"]) == (500, "StorageError"), address
        assert "does not know" in answer.json["error"]["message"]
    assert client.delete(f"/{kind}s/{odd.id}").status_code == 200
