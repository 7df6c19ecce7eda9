"""Files of jobs, path fields, and uploads over HTTP."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image

from digits.errors import BadRequest
from digits.service import Service
from digits.service.files import uploads
from tests.builders import make_job


def png(color: str = "red") -> bytes:
    memory = io.BytesIO()
    Image.new("RGB", (4, 4), color).save(memory, "PNG")
    return memory.getvalue()


def zipped(**files: bytes) -> io.BytesIO:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as packed:
        for name, content in files.items():
            packed.writestr(name.replace("__", "/"), content)
    memory.seek(0)
    return memory


# -- files of jobs ------------------------------------------------------------------------------------------------


def test_a_file_of_a_job_is_served_and_may_run_nothing(client: FlaskClient, service: Service) -> None:
    folder = service.folder(make_job(service).id)
    (folder.path / "mean.png").write_bytes(png())
    (folder.path / "page.html").write_text("<script>alert(1)</script>")
    with client.get(f"/files/{folder.id}/mean.png") as picture:
        assert picture.mimetype == "image/png"
        assert picture.data == png()
    with client.get(f"/files/{folder.id}/page.html") as page:
        assert page.headers["Content-Disposition"].startswith("attachment")
        assert page.headers["Content-Security-Policy"].startswith("sandbox")


def test_nothing_else_can_be_reached(client: FlaskClient, service: Service) -> None:
    folder = service.folder(make_job(service).id)
    other = service.folder(make_job(service).id)
    folder.userdata_file.write_bytes(b"pickle")
    os.symlink(service.jobs_dir.secret_file, folder.path / "link.txt")
    os.symlink(other.request_file, folder.path / "neighbour.json")
    (folder.path / ".hidden").write_text("x")
    names = [
        "userdata.pkl",
        "link.txt",
        "neighbour.json",
        ".hidden",
        "../.digits/secret",
        "..%2f.digits%2fsecret",
        "missing.png",
        "",
    ]
    for address in [*(f"{folder.id}/{name}" for name in names), ".digits/secret", "..", "%2fetc/passwd", f"{folder.id}/a%00b"]:
        assert client.get(f"/files/{address}", follow_redirects=True).status_code == 404, address


# -- path fields --------------------------------------------------------------------------------------------------


def test_completion_shows_absolute_sorted_paths(client: FlaskClient, tmp_path: Path) -> None:
    for name in ("beta", "alpha", ".hidden"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "data" / "b.txt").write_text("")
    answer = client.get("/autocomplete/path", query_string={"query": f"{tmp_path}/data/"}).json
    assert answer["suggestions"] == [f"{tmp_path}/data/{name}" for name in ("alpha", "b.txt", "beta")]
    assert answer["folders"] == [f"{tmp_path}/data/{name}" for name in ("alpha", "beta")]
    found = client.get("/autocomplete/path", query_string={"query": f"{tmp_path}/data/b".lstrip("/")}).json
    assert found["suggestions"] == [f"{tmp_path}/data/b.txt", f"{tmp_path}/data/beta"]


@pytest.mark.parametrize("query", ["/", "./", "", "~", "/etc/", "/etc/pass", "../../../etc/", "//", "\U0001f642"])
def test_completion_never_leaves_the_allowed_folders(client: FlaskClient, service: Service, query: str) -> None:
    answer = client.get("/autocomplete/path", query_string={"query": query})
    assert answer.status_code == 200
    roots = [*service.settings.data_roots(), service.jobs_dir.path.resolve()]
    assert all(any(Path(path).is_relative_to(root) for root in roots) for path in answer.json["suggestions"])


def test_links_out_of_the_folders_are_not_shown(client: FlaskClient, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    os.symlink("/etc", tmp_path / "data" / "system")
    assert client.get("/autocomplete/path", query_string={"query": f"{tmp_path}/data/"}).json["suggestions"] == []
    assert client.get("/browse.json", query_string={"path": f"{tmp_path}/data"}).json["entries"] == []
    assert client.get("/browse.json", query_string={"path": f"{tmp_path}/data/system"}).status_code == 403


def test_browsing(client: FlaskClient, tmp_path: Path) -> None:
    (tmp_path / "data" / "inner").mkdir(parents=True)
    (tmp_path / "data" / "a.txt").write_text("abc")
    top = client.get("/browse.json").json
    assert str(tmp_path) in [root["path"] for root in top["roots"]]
    folder = client.get("/browse.json", query_string={"path": f"{tmp_path}/data"}).json
    assert [(entry["name"], entry["folder"], entry["size"]) for entry in folder["entries"]] == [
        ("inner", True, None),
        ("a.txt", False, 3),
    ]
    assert folder["parent"] == str(tmp_path)
    assert client.get("/browse.json", query_string={"path": str(tmp_path)}).json["parent"] is None
    assert client.get("/browse.json", query_string={"path": "a\0b"}).status_code == 400
    refused = client.get("/browse.json?path=/etc")
    assert refused.status_code == 403
    assert "DIGITS_DATA_DIRS" in refused.json["error"]["description"]
    assert client.get("/browse.json", query_string={"path": f"{tmp_path}/none"}).status_code == 404


def test_the_servers_own_files_are_not_browsed(client: FlaskClient, service: Service) -> None:
    jobs = client.get("/browse.json", query_string={"path": str(service.jobs_dir.path)}).json
    assert ".digits" not in [entry["name"] for entry in jobs["entries"]]
    assert client.get("/browse.json", query_string={"path": str(service.jobs_dir.hidden)}).status_code == 403


# -- uploads ------------------------------------------------------------------------------------------------------


def test_an_archive_becomes_a_folder_of_the_server(client: FlaskClient, service: Service) -> None:
    data = {"files": (zipped(animals__cat__1=b"a", animals__dog__2=b"b"), "animals.zip")}
    upload = client.post("/uploads.json", data=data).json
    assert upload["name"] == "animals"
    assert upload["files"] == 2
    assert sorted(os.listdir(upload["path"])) == ["cat", "dog"]
    assert service.jobs_dir.uploads in Path(upload["path"]).parents
    assert [item["name"] for item in client.get("/uploads.json").json["uploads"]] == ["animals"]
    assert "animals" in client.get("/uploads").text
    assert client.get("/autocomplete/path", query_string={"query": upload["path"] + "/"}).json["folders"] != []
    assert client.delete("/uploads/animals").status_code == 200
    assert client.get("/uploads.json").json["uploads"] == []
    assert not Path(upload["path"]).exists()


def test_a_folder_is_sent_in_parts(client: FlaskClient) -> None:
    token = client.post("/uploads/begin", data={"name": "letters"}).json["token"]
    parts = [(io.BytesIO(b"1"), "letters/a/1.png"), (io.BytesIO(b"2"), "letters/b/2.png")]
    assert client.post(f"/uploads/sending/{token}", data={"files": parts}).json == {"files": 2}
    big = client.put(f"/uploads/sending/{token}", query_string={"path": "letters/b/big.png"}, data=b"x" * 3_000_000)
    assert big.status_code == 200
    upload = client.post(f"/uploads/sending/{token}/finish").json
    assert Path(upload["path"]).name == "letters"
    assert sorted(p.name for p in Path(upload["path"]).rglob("*.png")) == ["1.png", "2.png", "big.png"]
    assert client.post(f"/uploads/sending/{token}/finish").status_code == 404


def test_a_file_is_sent_in_pieces(client: FlaskClient, service: Service) -> None:
    address = f"/uploads/sending/{client.post('/uploads/begin', data={'name': 'pieces'}).json['token']}"
    content = bytes(range(250)) * 10

    def send(start: int, end: int, name: str = "a/1.bin", size: int = len(content), data: bytes = content) -> Any:
        place = {"path": name, "offset": start, "size": size}
        answer = client.put(address, query_string=place, data=data[start:end], headers={"Accept": "application/json"})
        return answer.json["offset"] if answer.status_code == 200 else (answer.status_code, answer.json["error"])

    assert send(0, 1000) == 1000
    assert send(0, 1000) == 1000, "the answer was lost, and the piece comes again"
    assert send(500, 1500) == 1500, "of which a part was there"
    code, error = send(2000, 2500)
    assert (code, error["type"], error["offset"]) == (409, "Misplaced", 1500)
    assert "1,500 bytes" in error["message"]
    assert client.post(f"{address}/finish").status_code == 409, "a part is no file"
    (row,) = client.get("/uploads.json").json["partial"]
    assert (row["files"], row["bytes"]) == (1, 1500)
    assert send(0, 0) == 1500, "what an empty piece asks"
    changed = send(1000, 2500, data=bytes(2500))
    assert changed[0] == 400
    assert "not what it was" in changed[1]["message"]
    assert send(1500, 2500) == 2500
    assert send(1500, 2500) == send(0, 0) == send(0, 2500) == 2500, "whole stays whole"
    assert send(0, 0, "a/1.bin", 0) == 0, "another file of that name"
    assert send(0, 5, "b.bin", 3)[0] == 400
    assert send(5, 5, "b.bin", 3)[0] == 400
    assert send(0, 5, "../b.bin", 5)[0] == 400
    for _ in range(2):
        twice = {"once": 1, "files": [(io.BytesIO(b"1"), "c/1.png"), (io.BytesIO(b"2"), "c/2.png")]}
        assert client.post(address, query_string={"once": 1}, data=twice).json == {"files": 2}
    assert send(0, 3, "b.bin", 3) == 3
    upload = client.post(f"{address}/finish").json
    found = sorted(str(path.relative_to(upload["path"])) for path in Path(upload["path"]).rglob("*") if path.is_file())
    assert found == ["a/1 (2).bin", "a/1.bin", "b.bin", "c/1.png", "c/2.png"]
    assert (Path(upload["path"]) / "a/1.bin").read_bytes() == content


def test_a_piece_waits_for_another_request_that_writes_the_file(service: Service) -> None:
    token = uploads.begin(service, "pieces", "")
    codes = []

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            with pytest.raises(uploads.Misplaced, match="still writing") as refused:
                uploads.add_piece(service, token, "a", io.BytesIO(b"123"), 0, 3)
            codes.append(refused.value.offset)
            return super().read(size)

    assert uploads.add_piece(service, token, "a", Slow(b"123"), 0, 3) == 3
    assert codes[0] == 0


def test_pieces_keep_the_limit(service: Service) -> None:
    token = uploads.begin(service, "pieces", "")
    size = service.settings.max_upload_mb * 2**20 + 1
    with pytest.raises(BadRequest, match="max_upload_mb"):
        uploads.add_piece(service, token, "a", io.BytesIO(b"123"), 0, size, most=2)
    assert uploads.add_piece(service, token, "a", io.BytesIO(b"12"), 0, size, most=2) == 2


def test_a_refused_upload_leaves_nothing(client: FlaskClient, service: Service) -> None:
    answer = client.post("/uploads.json", data={"files": (zipped(**{"..__..__evil": b"x"}), "bad.zip")})
    assert answer.status_code == 400
    assert "outside its folder" in answer.json["error"]["message"]
    assert [p.name for p in service.jobs_dir.uploads.rglob("*") if p.is_file()] == []
    assert client.post("/uploads.json", data={}).status_code == 400


def test_somebody_elses_upload_stays(client: FlaskClient) -> None:
    client.post("/uploads.json?username=ada", data={"files": (io.BytesIO(b"1"), "a.txt")})
    assert client.delete("/uploads/a.txt").status_code == 403
    assert client.delete("/uploads/a.txt?username=ada").status_code == 200
    assert client.delete("/uploads/..").status_code == 404
    assert client.delete("/uploads/.partial").status_code == 404
