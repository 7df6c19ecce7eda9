"""Answers of a model's page over HTTP: kept with the model, bounded, given back, removed; and the question as code."""

from __future__ import annotations

import base64
import io
import os
import subprocess
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image

from digits.domain.jobs import Kind, Status
from digits.service import Service
from digits.service.audit import audit_file
from digits.service.evaluations import kept
from digits.service.evaluations.code import Question, code_of
from digits.storage.jobs.store import Job
from digits.tasks import Labels, of
from digits.web.evaluations import answers
from tests.builders import make_job


def png(colour: int = 0) -> bytes:
    out = io.BytesIO()
    Image.new("L", (40, 20), colour).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def model(service: Service) -> Job:
    return make_job(service, kind=Kind.MODEL, name="<b>m</b>", status=Status.DONE, task="classification")


@pytest.fixture
def asked(client: FlaskClient, model: Job, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A question to a model that answers at once."""
    address = f"data:image/png;base64,{base64.b64encode(png()).decode()}"

    def answer(_service: Service, _model: Job, _picture: Any, name: str, **_more: Any) -> dict[str, Any]:
        sample = {"key": name, "input": address, "top": [["cat", 97.3]]}
        return {"kind": "classes", "samples": [sample], "predictions": [["cat", 97.3]], "snapshot_epoch": 3.0}

    monkeypatch.setattr(answers, "answer_one", answer)

    def ask(data: bytes = png(), name: str = "<i>a</i>.png", **fields: Any) -> Any:
        return client.post(f"/models/{model.id}/answer.json", data={"image_file": (io.BytesIO(data), name), **fields}).json

    return ask


def test_an_answer_of_the_page_has_an_address_that_gives_it_back(
    client: FlaskClient, model: Job, asked: Any, service: Service
) -> None:
    assert "kept" not in asked(), "a script leaves nothing behind"
    log = audit_file(service)
    before = log.read_text() if log.exists() else ""
    found = asked(keep=1, snapshot_epoch="best")
    assert log.read_text().removeprefix(before).count("answer.json") == 1, "what stays is in the audit log"
    about = found["kept"]
    assert about["url"] == f"/models/{model.id}?answer={about['key']}#test"
    assert (about["words"], about["name"]) == ("cat 97.30 %", "<i>a</i>.png")
    assert Image.open(io.BytesIO(base64.b64decode(about["thumb"].partition(",")[2]))).size == (40, 20)
    again = client.get(about["json"]).json
    assert again["predictions"] == found["predictions"]
    assert again["asked"] == {"snapshot_epoch": "best", "image_file": "<i>a</i>.png"}
    picture = client.get(about["picture_url"])
    assert (picture.data, picture.content_type) == (png(), "image/png")
    assert [row["key"] for row in client.get(f"/models/{model.id}/answers.json").json["answers"]] == [about["key"]]
    assert client.delete(f"/models/{model.id}/answers/{about['key']}").json == {"removed": 1}
    assert client.get(about["json"]).status_code == 404


def test_a_file_that_is_no_picture_is_handed_over_and_never_shown(client: FlaskClient, asked: Any) -> None:
    kept_as = asked(b"<script>alert(1)</script>", "x.html", keep=1)["kept"]
    answer = client.get(kept_as["picture_url"])
    assert answer.content_type == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")


def test_only_the_last_ones_are_kept(
    client: FlaskClient, service: Service, model: Job, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MOST", 3)
    keys = [asked(keep=1)["kept"]["key"] for _ in range(5)]
    rows = client.get(f"/models/{model.id}/answers.json").json["answers"]
    assert [row["key"] for row in rows] == sorted(keys[2:], reverse=True)
    folder = service.folder(model.id).answers
    (folder / ".part-begun").mkdir()
    (folder / keys[-1] / "about.json").write_text("{")  # cut
    monkeypatch.setattr(kept, "MOST_BYTES", 1)
    last = asked(keep=1)["kept"]["key"]
    assert sorted(path.name for path in folder.iterdir()) == [last], "the newest stays however large it is"
    monkeypatch.setattr(kept, "LARGEST_PICTURE", 1)
    assert asked(keep=1)["kept"]["picture_url"] == ""
    monkeypatch.setattr(kept, "LARGEST_ANSWER", 1)
    found = asked(keep=1)
    assert "kept" not in found
    assert "beyond" in found["not_kept"]
    assert found["predictions"], "the answer is there all the same"
    assert client.delete(f"/models/{model.id}/answers").json == {"removed": 1}


def test_other_keys_lead_nowhere(client: FlaskClient, model: Job) -> None:
    for key in ("..", "0" * 18, "x" * 18, "%2e%2e%2fjob.json"):
        assert client.get(f"/models/{model.id}/answers/{key}.json").status_code == 404
        assert client.get(f"/models/{model.id}/answers/{key}/picture").status_code == 404


def test_others_remove_neither_one_nor_all(
    client: FlaskClient, service: Service, model: Job, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = asked(keep=1)["kept"]["key"]
    monkeypatch.setattr(answers, "may_edit", lambda _job: False)
    assert client.delete(f"/models/{model.id}/answers").status_code == 403
    monkeypatch.setattr(answers, "current_user", lambda: "somebody else")
    assert client.delete(f"/models/{model.id}/answers/{key}").status_code == 403
    assert service.folder(model.id).answers.is_dir()


def run_as_shell(text: str, **environment: str) -> list[str]:
    """The words that a shell would give to curl."""
    script = 'curl() { printf "%s\\0" "$@"; }\n' + text
    run = subprocess.run(["bash", "-c", script], env={"PATH": os.environ["PATH"], **environment}, capture_output=True, text=True)
    return run.stdout.split("\0") if not run.returncode else [run.stderr]


def test_where_a_token_is_wanted_the_code_reads_it_from_the_environment() -> None:
    question = Question("https://here", "1-2", of("classification", Labels()), {}, needs_token=True, jobs_dir="/jobs")
    found = code_of(question)
    assert "Authorization: Bearer secret" in run_as_shell(found["curl"], DIGITS_TOKEN="secret")
    assert "digits token add" in run_as_shell(found["curl"])[0], "without one the shell says what is missing"
    assert "DIGITS_TOKEN" in found["python"]
    assert "digits token add" in found["notes"][0]


def test_code_quotes_what_was_chosen(client: FlaskClient, model: Job) -> None:
    name = "a\"; rm -rf $HOME ' \\.png"
    fields = {"image_file": name, "snapshot_epoch": "best", "dont_resize": "y", "x y": "no name", "second": model.id, "new": "64"}
    found = client.get(f"/models/{model.id}/code.json", query_string=fields).json
    assert repr(name) in found["python"]
    assert "x y" not in found["python"] + found["curl"]
    assert "--form-string snapshot_epoch=best" in found["curl"]
    assert found["command"].count("digits predict") == 2
    assert "--epoch best --dont-resize" in found["command"]
    assert any("new" in note for note in found["notes"])
    compile(found["python"], "code", "exec")
    words = run_as_shell(found["curl"])
    assert words[words.index("-F") + 1] == 'image_file=@"a\\"; rm -rf $HOME \' \\\\.png"'
    assert "val:3" in client.get(f"/models/{model.id}/code.json?record=val:3").json["command"]


def test_an_answer_to_a_plugins_form_is_kept_with_its_fields_and_is_code(
    client: FlaskClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = make_job(service, kind=Kind.DATASET, name="news", status=Status.DONE, extension="text-classification")
    model = make_job(service, name="m", status=Status.DONE, task="classification", parents=(dataset.id,))
    seen: dict[str, Any] = {}

    def answer(_service: Service, _model: Job, _dataset: Job, values: Any, **more: Any) -> dict[str, Any]:
        seen.update(values=values, **more)
        sample = {"key": "0", "input": "", "top": [["sports", 97.3]]}
        return {"kind": "classes", "samples": [sample], "predictions": [["sports", 97.3]], "snapshot_epoch": 3.0}

    monkeypatch.setattr(answers, "answer_form", answer)
    address, asked = f"/models/{model.id}", {"data_extension_id": "all-default", "snippet": "a goal; 2:1", "record": "x"}
    found = client.post(f"{address}/answer.json", data={**asked, "keep": 1, "snapshot_epoch": "best"}).json
    assert seen["values"] == {"snippet": "a goal; 2:1", "record": "x"}, "a plugin's field may be called as ours"
    assert (seen["extension_id"], seen["snapshot_epoch"]) == ("", "best")
    assert found["kept"]["form"] == "all-default"
    assert client.get(found["kept"]["json"]).json["asked"] == {**asked, "snapshot_epoch": "best"}
    code = client.get(f"{address}/code.json", query_string={**asked, "a-b": "c"}).json
    assert "--form 'snippet=a goal; 2:1'" in code["command"]
    assert "**{" in code["python"]
    other = make_job(service, name="other", status=Status.DONE, task="classification")
    assert client.post(f"/models/{other.id}/answer.json", data=asked).status_code == 400
