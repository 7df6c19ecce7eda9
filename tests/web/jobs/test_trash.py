"""The trash over HTTP: what was deleted is nowhere else, and comes back."""

from __future__ import annotations

from flask.testing import FlaskClient

from digits.domain.jobs import Kind, Status
from digits.service import Service
from tests.builders import make_job

JSON = {"Accept": "application/json"}


def test_deleted_restored_deleted_for_good(client: FlaskClient, service: Service) -> None:
    job = make_job(service, name="<b>net</b>", status=Status.DONE)
    service.store.update(job.id, disk_bytes=3 * 2**20)
    address = f"/models/{job.id}"
    assert client.delete(address, headers=JSON).json == {"message": "Job deleted.", "undo": [job.id]}
    assert client.get(f"/files/{job.id}/job.json").status_code == 404
    listed = client.get("/trash.json").json
    assert (listed["total"], listed["bytes"], listed["days"]) == (1, 3 * 2**20, 30)
    row = listed["rows"][0]
    assert (row["id"], row["kind"], row["disk_bytes"], row["may_restore"]) == (job.id, "model", 3 * 2**20, True)
    assert row["until"] - row["deleted"] == 30 * 86400
    page = client.get("/trash").text
    assert "&lt;b&gt;net&lt;/b&gt;" in page
    assert "3 MiB" in page
    missing = client.get(f"{address}.json")
    assert (missing.status_code, missing.json["error"]["message"]) == (404, "Job not found")
    assert "lies in the trash until" in missing.json["error"]["description"]
    assert missing.json["error"]["trash"]["id"] == job.id
    assert f'data-restore="{job.id}"' in client.get(f"/jobs/{job.id}").text
    restored = client.post(f"/jobs/{job.id}/restore.json").json
    assert restored == {"message": "<b>net</b> is restored.", "restored": [job.id]}
    assert client.get(f"/jobs/{job.id}").status_code == 302
    assert client.post(f"/jobs/{job.id}/restore.json").status_code == 404
    assert client.delete(f"/jobs/{job.id}").status_code == 200
    assert client.delete(f"/datasets/{job.id}?purge=1").status_code == 404, "it is no data set"
    assert client.delete(f"/jobs/{job.id}?purge=1").text == "Job deleted."
    assert client.get("/trash.json").json["rows"] == []
    assert "trash" not in client.get(f"{address}.json").json["error"]
    assert client.post(f"/jobs/{job.id}/restore.json").status_code == 404


def test_undo_names_what_went_also_where_another_was_refused(client: FlaskClient, service: Service) -> None:
    mine = make_job(service, status=Status.DONE)
    foreign = make_job(service, status=Status.DONE, owner="somebody-else")
    answer = client.delete("/jobs", data={"job_ids[]": [mine.id, foreign.id]}, headers=JSON)
    assert (answer.status_code, answer.json["error"]["message"]) == (400, "1 job not permitted.")
    assert answer.json["undo"] == [mine.id]
    assert client.post("/trash/restore.json", data={"job_ids[]": answer.json["undo"]}).json["restored"] == [mine.id]
    assert client.delete("/jobs", data={"job_ids[]": [foreign.id]}, headers=JSON).json["undo"] == []


def test_what_is_somebody_elses_is_only_seen(client: FlaskClient, service: Service) -> None:
    foreign = make_job(service, name="theirs", status=Status.DONE, owner="somebody-else")
    mine = [make_job(service, Kind.DATASET, status=Status.DONE) for _ in range(2)]
    service.store.update(foreign.id, deleted=1.0)
    assert client.delete("/jobs", data={"job_ids[]": [job.id for job in mine]}, headers=JSON).json["undo"] == [
        job.id for job in mine
    ]
    shown = {row["id"]: row["may_restore"] for row in client.get("/trash.json").json["rows"]}
    assert shown == {mine[0].id: True, mine[1].id: True, foreign.id: False}
    assert client.get(f"/jobs/{foreign.id}", headers=JSON).json["error"] == {"message": "Job not found", "type": "NotFound"}
    assert client.post(f"/jobs/{foreign.id}/restore.json").status_code == 403
    assert client.delete(f"/jobs/{foreign.id}?purge=1").status_code == 403
    back = client.post("/trash/restore.json", data={"job_ids[]": [job.id for job in mine]}).json
    assert sorted(back["restored"]) == sorted(job.id for job in mine)
    client.delete("/jobs", data={"job_ids[]": [job.id for job in mine]})
    emptied = client.delete("/trash.json").json
    assert (emptied["message"], len(emptied["purged"])) == ("2 jobs purged.", 2)
    assert [row["id"] for row in client.get("/trash.json").json["rows"]] == [foreign.id]
