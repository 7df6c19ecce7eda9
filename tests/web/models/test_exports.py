"""Exports over HTTP without any being made, files of one that was, and the rules of Netron's frame."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile

import pytest
from flask.testing import FlaskClient

from digits.domain.exports import Export, Timing
from digits.domain.jobs import Kind, Status
from digits.service import Service
from digits.service.jobs import delete
from digits.service.models.exports import list_exports, start_export
from digits.storage.exports import publish, writing
from digits.storage.jobs.store import Job, JobQuery
from tests.builders import make_job
from tests.service.models.test_archives import write_weights


@pytest.fixture
def model(service: Service) -> Job:
    job = make_job(service, name="a model", status=Status.DONE, framework="pytorch")
    for epoch in (1, 2):
        write_weights(service.folder(job.id).path / "snapshots" / f"epoch_{epoch}.safetensors", epoch=epoch)
    return service.store.update(job.id, best_epoch=1.0)


def publish_files(service: Service, model: Job, format_name: str, files: dict[str, bytes], epoch: float = 2.0) -> None:
    folder = service.folder(model.id)
    with writing(folder, "20260101-000000-abcd") as part:
        for name, data in files.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).write_bytes(data)
        sizes = tuple((name, len(data)) for name, data in files.items())
        publish(folder, part, Export(format_name, epoch, "", "20260101-000000-abcd", 1.0, sizes, 2e-7, 6))


def exports_of(client: FlaskClient, model: Job) -> list[dict]:
    return client.get(f"/models/{model.id}/exports.json").get_json()["exports"]


def content(client: FlaskClient, url: str) -> tuple[bytes, str]:
    """Body and file name of a download."""
    with client.get(url) as answer:
        return answer.data, answer.headers["Content-Disposition"].partition("filename=")[2].strip('"')


def test_an_export_is_a_job_of_its_own(client: FlaskClient, service: Service, model: Job) -> None:
    address = f"/models/{model.id}/exports.json"
    found = client.get(address).get_json()
    assert found["exports"] == []
    names = {row["name"] for row in found["formats"]}
    assert {"onnx", "onnx_int8", "torch_export", "torchscript", "safetensors"} <= names
    assert "saved_model" not in names
    assert found["snapshots"] == [{"epoch": 1.0, "best": True}, {"epoch": 2.0, "best": False}]  # the best one first
    answer = client.post(address, data={"format": "onnx", "snapshot_epoch": "1"})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    row = answer.get_json()
    assert (row["format"], row["snapshot_epoch"], row["status"]) == ("onnx", 1.0, "Initialized")
    assert (row["url"], row["parity"]) == ("", None)
    again = client.post(address, json={"format": "onnx", "snapshot_epoch": 1}).get_json()
    assert again["id"] == row["id"], "one that is at it already"
    assert client.post(address, data={"format": "onnx"}).get_json()["snapshot_epoch"] == 2.0, "the newest by default"
    assert [job.kind for job in service.store.query(JobQuery(kind=Kind.EXPORT)).jobs] == ["export", "export"]
    assert client.get(f"/jobs/{row['id']}").headers["Location"].endswith(f"/models/{model.id}#exports")
    assert client.get(f"/clone/{row['id']}").status_code == 400
    service.store.transition(row["id"], Status.ERROR, error="It cannot be done.")
    assert [e["error"] for e in exports_of(client, model)] == ["", "It cannot be done."]


@pytest.mark.parametrize(
    ("values", "status", "words"),
    [
        ({}, 400, "format"),
        ({"format": "x" * 5000}, 400, "expected one of onnx"),
        ({"format": "saved_model"}, 400, "Models of pytorch are not written as saved_model"),
        ({"format": "onnx", "snapshot_epoch": "9" * 5000}, 404, "no snapshot"),
        ({"format": "onnx", "snapshot_epoch": "last"}, 400, "a number is needed"),
        ({"format": "onnx", "snapshot_epoch": "7"}, 404, "no snapshot of epoch 7"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    client: FlaskClient, model: Job, values: dict[str, str], status: int, words: str
) -> None:
    answer = client.post(f"/models/{model.id}/exports.json", data=values)
    assert answer.status_code in (status, 400)
    assert words in answer.get_data(as_text=True) or answer.status_code == 400


def test_other_peoples_models_are_left_alone(client: FlaskClient, service: Service) -> None:
    job = make_job(service, owner="somebody else", status=Status.DONE, framework="pytorch")
    write_weights(service.folder(job.id).path / "snapshots" / "epoch_1.safetensors", epoch=1)
    assert client.post(f"/models/{job.id}/exports.json", data={"format": "onnx"}).status_code == 403
    assert client.post("/models/20200101-000000-0000/exports.json", data={"format": "onnx"}).status_code == 404


def test_files_of_exports_are_downloaded_and_lie_in_the_archive(client: FlaskClient, service: Service, model: Job) -> None:
    publish_files(service, model, "onnx", {"model.onnx": b"onnx"})
    publish_files(service, model, "parts", {"made/a.bin": b"a", "made/b.bin": b"b"}, epoch=1.0)
    rows = {row["format"]: row for row in exports_of(client, model)}
    assert (rows["onnx"]["size"], rows["onnx"]["status"]) == (4, "Done")
    assert rows["onnx"]["parity"] == {"max_difference": 2e-7, "metric_drop": None}
    assert content(client, rows["onnx"]["url"]) == (b"onnx", f"{model.id}_epoch_2_model.onnx")
    data, name = content(client, rows["parts"]["url"])
    assert name == f"{model.id}_epoch_1_parts.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"made/a.bin": b"a", "made/b.bin": b"b"}
    assert content(client, rows["parts"]["files"][1]["url"])[0] == b"b"
    for name in ("export.json", "../../job.json", "made", "x"):
        assert client.get(f"/models/{model.id}/exports/onnx-epoch_2/{name}").status_code in (400, 404)
    assert client.get(f"/models/{model.id}/exports/..%2Fsnapshots/epoch_1.safetensors").status_code == 404
    for epoch, expected in ((2, "model.onnx"), (1, "made/a.bin")):
        data = content(client, f"/models/{model.id}/download.tar?epoch={epoch}")[0]
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            assert expected in archive.getnames()


def test_what_one_has_to_have_is_downloaded_and_all_of_it_reported(client: FlaskClient, service: Service, model: Job) -> None:
    folder = service.folder(model.id)
    about = {"metric": "accuracy", "title": "x", "unit": "%", "model": 0.9, "export": 0.85, "metric_drop": 0.05}
    export = Export(
        "onnx",
        2.0,
        "snapshots/epoch_2.safetensors",
        "20260101-000000-abcd",
        1.0,
        (("model.onnx", 4), ("model_plain.onnx", 5)),
        float("inf"),
        11,
        needed=1,
        lossy=True,
        quality={**about, "pictures": 8, "total": 80, "reason": ""},
        timings=(Timing("PyTorch", 1.0, 2.0, 9, 0.0), Timing("<i>ONNX</i>", 0.5, 0.75, 9, float("nan"))),
        facts={"inputs": {"model.onnx": {"input": "input", "shape": ["batch", 1, 2, 2], "outputs": {"output": ["batch", 2]}}}},
    )
    with writing(folder, "20260101-000000-abcd") as part:
        (part / "model.onnx").write_bytes(b"onnx")
        (part / "model_plain.onnx").write_bytes(b"plain")
        publish(folder, part, export)
    (row,) = exports_of(client, model)
    assert (row["size"], content(client, row["url"])[0]) == (4, b"onnx")
    assert (row["parity"]["max_difference"], row["parity"]["metric_drop"]) == (None, 0.05), "JSON knows no infinity"
    assert row["timings"][1] == {"runtime": "<i>ONNX</i>", "p50_ms": 0.5, "p95_ms": 0.75, "rounds": 9, "difference": None}
    assert [one["name"] for one in row["packages"]] == ["triton"]
    data, name = content(client, row["packages"][0]["url"])
    assert name == "a-model_epoch_2_triton.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.read("a_model/1/model.onnx") == b"onnx"
    assert client.get(f"/models/{model.id}/exports/onnx-epoch_2/web.zip").status_code == 400
    page = client.get(f"/models/{model.id}/exports.html").get_data(as_text=True)
    assert "8 evenly spaced ones of the 80 validation pictures" in page
    assert "&lt;i&gt;ONNX&lt;/i&gt;" in page
    assert "5.00 %" in page
    card = client.get(f"/models/{model.id}/card.md?snapshot_epoch=2")
    assert (card.status_code, card.mimetype) == (200, "text/markdown")
    assert card.get_data(as_text=True).startswith("# a model\n")
    assert client.get(f"/models/{model.id}/card.md?snapshot_epoch=9").status_code == 404
    named = client.get(f"/models/{model.id}/download.zip?named=1&epoch=best")
    assert named.headers["Content-Disposition"] == 'attachment; filename="a-model_epoch_1.zip"'
    named.close()


def test_one_export_is_deleted_with_the_jobs_that_made_it(client: FlaskClient, service: Service, model: Job) -> None:
    publish_files(service, model, "onnx", {"model.onnx": b"onnx"})
    publish_files(service, model, "onnx", {"model.onnx": b"other"}, epoch=1.0)
    failed = start_export(service, model, "torch_export", "1")
    address = f"/models/{model.id}/exports"
    busy = client.delete(f"{address}/torch_export-epoch_1", headers={"Accept": "application/json"})
    assert (busy.status_code, busy.json["error"]["type"]) == (409, "Conflict")
    service.store.transition(failed.id, Status.ERROR, error="It cannot be done.")
    for name in ("onnx-epoch_2", "torch_export-epoch_1"):
        assert client.delete(f"{address}/{name}").get_json() == {"deleted": name}
        assert client.delete(f"{address}/{name}").status_code == 404
    assert [row["name"] for row in exports_of(client, model)] == ["onnx-epoch_1"]
    assert [path.name for path in service.folder(model.id).exports.iterdir()] == ["onnx-epoch_1"]
    assert failed.id not in {job.id for job in service.store.query(JobQuery(kind=Kind.EXPORT)).jobs}
    for name in ("..", "..%2Fsnapshots", ".", "onnx-epoch_1%2Fmodel.onnx", "x" * 5000):
        assert client.delete(f"{address}/{name}").status_code in (404, 405, 308)
    assert (service.folder(model.id).path / "snapshots").is_dir()
    other = make_job(service, owner="somebody else", status=Status.DONE, framework="pytorch")
    publish_files(service, other, "onnx", {"model.onnx": b"onnx"})
    assert client.delete(f"/models/{other.id}/exports/onnx-epoch_2").status_code == 403


def test_an_export_that_was_half_deleted_is_gone(client: FlaskClient, service: Service, model: Job) -> None:
    """A process that is killed while it removes the files leaves them under a name that nobody lists."""
    publish_files(service, model, "onnx", {"model.onnx": b"onnx"})
    folder = service.folder(model.id).exports
    (folder / "onnx-epoch_2").rename(folder / ".0123456789abcdef.gone")
    assert exports_of(client, model) == []
    assert list(folder.iterdir()) == []


def test_a_damaged_or_unfinished_export_is_not_listed(client: FlaskClient, service: Service, model: Job) -> None:
    publish_files(service, model, "onnx", {"model.onnx": b"onnx"})
    folder = service.folder(model.id).exports
    (folder / ".20260101-000000-abcd.part").mkdir()
    (folder / "broken-epoch_1").mkdir()
    (folder / "broken-epoch_1" / "export.json").write_text(json.dumps({"format": 3}))
    assert [row["format"] for row in exports_of(client, model)] == ["onnx"]


def test_exports_go_with_their_model(service: Service, model: Job) -> None:
    job = start_export(service, model, "onnx")
    assert [entry.job.id for entry in list_exports(service, model)] == [job.id]
    assert delete(service, model) == [model.id, job.id]


def test_netron_runs_in_a_frame_that_reaches_nothing(client: FlaskClient) -> None:
    page = client.get("/netron/")
    rule, text = page.headers["Content-Security-Policy"], page.get_data(as_text=True)
    assert "sandbox allow-scripts;" in rule
    assert "connect-src 'self' data:" in rule
    assert "https:" not in rule
    assert '<meta name="version" content="0.0.0">' in text
    assert '<meta name="date"' not in text
    assert 'http-equiv="Content-Security-Policy"' not in text
    with client.get("/netron/onnx.js") as script:
        assert script.headers["Access-Control-Allow-Origin"] == "*"
    assert client.get("/netron/server.py").status_code == 404
    assert client.get("/netron/..%2Fnumpy%2F__init__.py").status_code == 404
