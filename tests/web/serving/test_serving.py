"""Published names at the door: who gets answers, from which version, how many at once, and what stays when things go wrong."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from tritonclient.utils import InferenceServerException
from werkzeug.serving import make_server

from digits.config import Settings
from digits.domain.access import Scope
from digits.domain.jobs import Status
from digits.ipc import message_server
from digits.ipc import supervisor_client as control
from digits.predictor import server
from digits.predictor.model import LoadedModel
from digits.service import Service, accounts, tokens, trash
from digits.service.jobs import delete_many
from digits.service.models.validation_samples import META_FILE
from digits.service.serving import Serving
from digits.service.serving.names import TOKEN_PREFIX
from digits.storage.jobs.store import Job
from digits.web.app import create_app
from digits.web.http import access
from digits.web.serving.admission import let_in
from tests.builders import make_job
from tests.conftest import TEMPLATES
from tests.predictor.fake_engine import FakeEngine, write_snapshot
from tests.waiting import wait_for

DARK, BRIGHT = "dark", "bright"


def png(level: int, side: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((side, side), level, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


PNG = base64.b64encode(png(10)).decode()


@dataclass
class World:
    """A server with an account, a model with two snapshots, and a predictor for each, in threads of this process."""

    service: Service
    app: Flask
    client: FlaskClient
    model: Job
    asked: list[str]  # for which snapshots the supervisor was asked

    def put(self, name: str = "levels", **fields: Any) -> dict[str, Any]:
        answer = self.client.put(f"/serve/{name}.json", data={"model_id": self.model.id, **fields})
        assert answer.status_code == 200, answer.text
        return dict(answer.json)

    def post(self, path: str, **fields: Any) -> Any:
        answer = self.client.post(path, data=fields)
        assert answer.status_code == 200, answer.text
        return answer.json

    def stranger(self) -> FlaskClient:
        """A program elsewhere, without cookies."""
        return self.app.test_client()


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The server of all tests of this file; `world` lets each begin with nothing published."""
    root = tmp_path_factory.mktemp("serving")
    service = Service.open(Settings(jobs_dir=str(root / "jobs"), data_dirs=str(root)))
    accounts.add_user(service, "ada", "correct horse")
    token = tokens.add_token(service, "ada", "", Scope.RUN)
    model = make_job(service, name="levels of grey", status=Status.DONE, owner="ada", framework="pytorch")
    paths, stop, threads, asked = {}, threading.Event(), [], list[str]()
    app = create_app(service)
    app.jinja_env.bytecode_cache = TEMPLATES
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"

    def supervisor(_jobs_dir: Any, request: dict[str, str], _timeout: float) -> dict[str, str]:
        asked.append(request["snapshot"])
        return {"socket": str(paths[request["snapshot"]])}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(message_server, "ACCEPT_SECONDS", 0.02)
        patch.setattr(control, "call", supervisor)
        for epoch in (1, 2):
            held = epoch + 1e-7  # an interval of a third of an epoch ends at no round number, and names are rounded
            loaded = LoadedModel(FakeEngine(), write_snapshot(root / f"{epoch}.json", epoch=held), "cpu")  # type: ignore[arg-type]
            path = paths[f"snapshots/epoch_{epoch}.safetensors"] = root / f"p{epoch}.sock"
            threads.append(threading.Thread(target=server.serve, args=(loaded, path, stop, service.jobs_dir.scratch)))
            threads[-1].start()
        wait_for(lambda: all(path.exists() for path in paths.values()))
        yield World(service, app, client, model, asked)
        stop.set()
        for thread in threads:
            thread.join(10)
    service.close()


@pytest.fixture
def world(room: World) -> Iterator[World]:
    snapshots = room.service.folder(room.model.id).snapshots
    snapshots.mkdir(exist_ok=True)
    for epoch in (1, 2):
        (snapshots / f"epoch_{epoch}.safetensors").write_bytes(b"\x02" + b"\0" * 7 + b"{}")  # whole, without a tensor
    room.app.extensions["digits-serving"] = Serving.open(room.service)
    room.asked.clear()
    yield room
    room.app.extensions["digits-serving"].connections.close()
    shutil.rmtree(room.service.jobs_dir.hidden / "serve", ignore_errors=True)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_token_opens_its_name_and_every_way_of_sending_a_picture_gives_the_same(world: World) -> None:
    made = world.put(snapshot_epoch="1")
    assert made["token"].startswith(TOKEN_PREFIX)
    assert (made["version"], made["snapshot_epoch"], made["model_id"]) == (1, 1.0, world.model.id)
    picture, address = png(250), "/serve/levels/infer.json"
    ways: list[dict[str, Any]] = [
        {"data": {"image_file": (io.BytesIO(picture), "a.png")}},
        {"data": picture, "content_type": "image/png"},
        {"data": picture, "content_type": "application/octet-stream"},
        {"json": {"image_file": base64.b64encode(picture).decode()}},
        {"json": {"image_file": f"data:image/png;base64,{base64.b64encode(picture).decode()}"}},
        {"json": {"features": np.full((1, 8, 8), 250).tolist()}},
    ]
    for way in ways:
        answer = world.stranger().post(address, headers=bearer(made["token"]), **way)
        assert answer.status_code == 200, (answer.text, way)
        assert [label for label, _ in answer.json["predictions"]] == ["bright", "dark", "middle"]
        assert answer.json["predictions"][0][1] == pytest.approx(90.48)
        assert (answer.json["model_name"], answer.json["model_version"], answer.json["snapshot_epoch"]) == ("levels", 1, 1.0)
    wanted = {"json": {"image_file": base64.b64encode(picture).decode(), "top": 1, "outputs": 1}}
    body = world.stranger().post(address, headers=bearer(made["token"]), **wanted).json
    assert (len(body["predictions"]), len(body["outputs"]["output"][0])) == (1, 3)
    assert len(world.asked) == 3, "two for the publication, one for all predictions"
    stored = "".join(path.read_text() for path in (world.service.jobs_dir.hidden / "serve").iterdir())
    assert made["token"] not in stored
    assert os.stat(world.service.jobs_dir.hidden / "serve" / "levels.json").st_mode & 0o777 == 0o600
    shown = world.client.get("/serve/levels.json").json
    assert (shown["versions"][0]["requests"], shown["versions"][0]["drift"]["pictures"]) == (len(ways) + 1, 0)
    assert shown["tokens"][0]["last_used"] is not None


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"data": {}}, 400),
        ({"data": b"no picture", "content_type": "image/png"}, 400),
        ({"data": b"", "content_type": "image/png"}, 400),
        ({"json": []}, 400),
        ({"json": {"image_file": "", "top": "x"}}, 400),
        ({"json": {"image_file": "", "top": "0"}}, 400),
        ({"json": {"image_file": "%"}}, 400),
        ({"json": {"features": [[[1, 2], [3]]]}}, 400),
        ({"json": {"features": [[["<b>"]]]}}, 400),
        ({"json": {"features": [[[1.0]]]}}, 400),
        ({"json": {"features": [[[float("nan")] * 8] * 8]}}, 400),
        ({"json": {"image_path": "/etc/passwd"}}, 400),
        ({"data": b"{", "content_type": "application/json"}, 400),
        ({"data": b'{"features": ' + b"[" * 9000, "content_type": "application/json"}, 400),
        ({"data": {"image_path": "/etc/passwd"}}, 400),
        ({"data": b"x", "content_type": "image/png", "headers": {"Content-Encoding": "gzip"}}, 415),
        ({"data": b"x" * (32 * 2**20 + 1), "content_type": "image/png"}, 413),
        ({"data": b"[" + b" " * (8 * 2**20), "content_type": "application/json"}, 413),
    ],
)
def test_what_is_no_picture_is_refused_and_counted(world: World, sent: dict[str, Any], code: int) -> None:
    token = world.put()["token"]
    headers = {**bearer(token), **sent.pop("headers", {})}
    answer = world.stranger().post("/serve/levels/infer.json", headers=headers, **sent)
    assert (answer.status_code, answer.is_json) == (code, True), answer.text
    assert answer.json["error"]["message"]
    state = world.client.get("/serve/levels.json").json
    assert (state["at_work"], state["versions"][0]["codes"]) == (0, {str(code): 1})


def test_a_serve_token_opens_nothing_else_at_any_address(world: World) -> None:
    token = world.put()["token"]
    other = world.put("other")["token"]
    opened, before = set(), sorted(world.service.jobs_dir.path.rglob("*"))
    for rule in world.app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
            values = dict.fromkeys(rule.arguments, "1") | ({"name": "levels"} if "name" in rule.arguments else {})
            address = rule.rule
            for name in rule.arguments:
                for part in rule.rule.split("<")[1:]:
                    inside = part.partition(">")[0]
                    if inside.rpartition(":")[2] == name:
                        address = address.replace(f"<{inside}>", values[name])
            answer = world.stranger().open(address, method=method, headers=bearer(token))
            if answer.status_code != 403:
                opened.add(f"{method} {rule.rule}")
            answer.close()
    versions = {f"{method} /v2/models/<name>/versions/<version>{end}" for method, end in (("GET", ""), ("GET", "/ready"))}
    models = {"GET /v2", "GET /v2/models/<name>", "GET /v2/models/<name>/ready", *versions}
    infers = {
        *("POST /serve/<name>/infer.json", "POST /serve/<name>/infer/json"),
        *("POST /v2/models/<name>/infer", "POST /v2/models/<name>/versions/<version>/infer"),
    }
    assert opened == models | infers
    assert sorted(world.service.jobs_dir.path.rglob("*")) == before
    for wrong in (other, token + "x", TOKEN_PREFIX):
        answer = world.stranger().post("/serve/levels/infer.json", headers=bearer(wrong), data=png(1), content_type="image/png")
        assert answer.status_code == 401, wrong
        assert (
            world.stranger().get("/v2/models/levels", headers=bearer(wrong)).json["error"].startswith("The token does not open")
        )
    assert world.stranger().post("/serve/levels/infer.json", data=png(1), content_type="image/png").status_code == 401
    assert world.stranger().post("/serve/gone/infer.json", headers=bearer(token), data=png(1)).status_code == 401
    assert world.client.post("/serve/gone/infer.json", data=png(1), content_type="image/png").status_code == 404
    marked = {name for name, handler in world.app.view_functions.items() if hasattr(handler, "opened_by_token")}
    assert all(name.startswith("serving.") for name in marked), "see let_in"
    assert let_in.__module__ == "digits.web.serving.admission"
    assert access.need_of(world.app, next(world.app.url_map.iter_rules("serving.infer"))).scope is Scope.RUN


def test_versions_a_canary_and_the_way_back(world: World) -> None:
    token = world.put(snapshot_epoch="1")["token"]
    again = world.put(snapshot_epoch="2", canary="25")
    assert (again["version"], again["canary"], again["new_version"]) == (1, {"version": 2, "percent": 25}, 2)

    def epochs(count: int, bearer_token: str = token) -> list[float]:
        stranger = world.stranger()
        sent = {"headers": bearer(bearer_token), "content_type": "image/png"}
        return [stranger.post("/serve/levels/infer.json", data=png(1), **sent).json["snapshot_epoch"] for _ in range(count)]

    assert epochs(20).count(2.0) == 5
    assert epochs(4, again["token"]).count(2.0) == 1, "both tokens work"
    assert world.post("/serve/levels/canary.json", percent=100)["version"] == 2
    assert epochs(3) == [2.0] * 3
    assert world.post("/serve/levels/rollback.json")["version"] == 1
    assert epochs(3) == [1.0] * 3
    assert world.post("/serve/levels/use.json", version=2)["canary"] is None
    assert world.client.post("/serve/levels/use.json", data={"version": 9}).status_code == 404
    assert world.client.post("/serve/levels/canary.json", data={"version": 2, "percent": 10}).status_code == 400
    assert world.client.put("/serve/fresh.json", data={"model_id": world.model.id, "canary": 10}).status_code == 400
    assert world.client.put("/serve/levels.json", data={"queue_limit": 3}).json["queue_limit"] == 3
    for wrong in ("..%2fx", "-a", "a.json", "a" * 65, "%3Cb%3E"):
        assert world.client.put(f"/serve/{wrong}.json", data={"model_id": world.model.id}).status_code in (400, 404, 405), wrong
    page = world.client.get("/serve/levels").text
    assert "Roll back to version 1" in page
    assert "curl -H" in page
    assert "levels of grey" in world.client.get(f"/serve?model={world.model.id}").text
    said = [change["what"] for change in world.client.get("/serve/levels.json").json["changes"]]
    assert said[-1] == "published version 1: levels of grey, epoch 1"
    assert "let version 1 answer" in said


@pytest.mark.parametrize(("dtype", "offered"), [("uint8", "image/*,.tif,.tiff"), ("uint16", "image/*,.tif,.tiff,.npy")])
def test_the_page_offers_the_files_that_the_model_reads(world: World, dtype: str, offered: str) -> None:
    world.put()
    meta = world.service.folder(world.model.id).path / META_FILE
    meta.write_text(json.dumps({"input_shape": [1, 8, 8], "preparation": {"dtype": dtype}}))
    page = world.client.get("/serve/levels").text
    meta.unlink()
    assert f'accept="{offered}"' in page


def test_names_survive_whatever_ends_the_server_and_are_taken_back(world: World) -> None:
    token = world.put()["token"]
    (world.service.jobs_dir.hidden / "serve" / ".levels.json.99999999.tmp").write_text("{")  # of a process that was killed
    again = create_app(world.service)
    other = again.test_client()
    sent = {"data": png(100), "content_type": "image/png", "headers": bearer(token)}
    assert other.post("/serve/levels/infer.json", **sent).json["predictions"][0][0] == "middle"
    again.extensions["digits-serving"].connections.close()
    listed = world.client.get("/serve.json").json["published"]
    assert [one["name"] for one in listed] == ["levels"]
    assert world.client.delete(f"/serve/levels/tokens/{listed[0]['tokens'][0]['id']}").status_code == 200
    assert world.stranger().post("/serve/levels/infer.json", **sent).status_code == 401, "at once, in every process"
    more = world.post("/serve/levels/tokens.json")["token"]
    assert world.stranger().post("/serve/levels/infer.json", **{**sent, "headers": bearer(more)}).status_code == 200
    assert world.client.delete("/serve/levels").json == {"deleted": "levels"}
    assert world.client.delete("/serve/levels").status_code == 404
    assert world.stranger().post("/serve/levels/infer.json", **{**sent, "headers": bearer(more)}).status_code == 401
    (world.service.jobs_dir.hidden / "serve" / "torn.json").write_text("{")
    assert world.client.get("/serve.json").json == {"published": []}
    assert world.client.get("/metrics").status_code == 200


def test_somebody_elses_name_and_model_are_theirs(world: World) -> None:
    world.put()
    eve = world.app.test_client()
    accounts.add_user(world.service, "eve", "other horse")
    eve.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {tokens.add_token(world.service, 'eve', '')}"
    assert eve.put("/serve/mine.json", data={"model_id": world.model.id}).status_code == 403
    free = make_job(world.service, status=Status.DONE, owner="")
    assert eve.put("/serve/levels.json", data={"model_id": free.id}).status_code == 403
    for method, path in (("post", "tokens.json"), ("post", "rollback.json"), ("delete", "")):
        assert getattr(eve, method)(f"/serve/levels/{path}".rstrip("/")).status_code == 403, path
    assert eve.get("/serve/levels.json").json["may_edit"] is False


def test_a_model_that_answers_is_not_deleted_and_one_that_is_gone_is_said(world: World) -> None:
    token = world.put()["token"]
    gone, problems = delete_many(world.service, [world.model])
    assert (gone, len(problems)) == ([], 1)
    assert "answers under the published name levels" in problems[0]
    assert "published name levels" in trash.purge(world.service, [world.model])[1][0]
    assert world.client.delete(f"/models/{world.model.id}").status_code == 403
    world.app.extensions["digits-serving"].checked.clear()
    (world.service.folder(world.model.id).path / "snapshots" / "epoch_2.safetensors").unlink()
    sent = {"data": png(1), "content_type": "image/png", "headers": bearer(token)}
    answer = world.stranger().post("/serve/levels/infer.json", **sent)
    assert answer.status_code == 503
    assert "levels cannot answer with version 1" in answer.json["error"]["message"]
    assert world.stranger().get("/v2/models/levels/ready", headers=bearer(token)).json == {"name": "levels", "ready": False}
    assert "has no snapshot" in world.client.get("/serve").text


def test_beyond_its_places_a_name_answers_429_and_says_when_to_come_again(world: World) -> None:
    token = world.put(queue_limit=1)["token"]
    world.put("other")
    serving = world.app.extensions["digits-serving"]
    publication = serving.publications.find("levels")
    serving.traffic.enter(publication)  # a client that never finishes sending
    sent = {"data": png(1), "content_type": "image/png"}
    answer = world.stranger().post("/serve/levels/infer.json", headers=bearer(token), **sent)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert answer.json["error"]["type"] == "QueueFull"
    assert world.client.post("/serve/other/infer.json", **sent).status_code == 200
    serving.traffic.leave(publication)
    assert world.stranger().post("/serve/levels/infer.json", headers=bearer(token), **sent).status_code == 200
    text = world.client.get("/metrics").text
    for line in (
        'digits_serve_refused_total{name="levels"} 1',
        'digits_serve_requests_total{name="levels",version="1",code="200"} 1',
        'digits_serve_seconds_bucket{name="levels",version="1",le="+Inf"} 1',
        'digits_serve_in_flight{name="levels"} 0',
    ):
        assert line in text.splitlines(), line


@pytest.mark.parametrize(
    ("tensor", "code", "said"),
    [
        ({"shape": [1, 3, 8, 8], "data": [0] * 192}, 400, "1 channel(s) is needed"),
        ({"shape": [1, 1, 9, 8], "data": [0] * 72}, 400, "the network was trained on 8×8"),
        ({"shape": [1, 1, 8, 8], "data": [float("inf")] * 64}, 400, "64 values that are not finite"),
        ({"shape": [1, 1, 8, 8], "data": ["a"] * 64}, 400, "are not all numbers"),
        ({"shape": [1, 1, 8, 8], "data": [0] * 65}, 400, "or 64 numbers in a row"),
        ({"shape": [1, 1, 8, 8], "data": [[[[0]] * 8] * 8]}, 400, "have the shape [1, 8, 8, 1], expected [1, 1, 8, 8]"),
        ({"shape": [1, 1, 8, 8], "data": [0] * 64, "parameters": []}, 400, "parameters is no object"),
        ({"shape": [1, 1, 8, 8], "data": [0] * 64, "datatype": "FP16"}, 400, "expected FP32"),
        ({"name": "image_file", "datatype": "BYTES", "shape": [2], "data": [PNG, "bm8="]}, 400, "Picture 2 of 2: "),
    ],
)
def test_tensors_that_do_not_fit_are_said_and_the_next_request_is_answered(
    world: World, tensor: dict[str, Any], code: int, said: str
) -> None:
    token = world.put()["token"]
    address, stranger = "/v2/models/levels/infer", world.stranger()
    body = {"inputs": [{"name": "features", "datatype": "FP32", **tensor}]}
    answer = stranger.post(address, headers=bearer(token), data=json.dumps(body))
    assert (answer.status_code, list(answer.json)) == (code, ["error"])
    assert said in answer.json["error"]
    good = {"inputs": [{"name": "image_file", "datatype": "BYTES", "shape": [1], "data": [PNG]}]}
    for wanted in ([], [{"name": "output"}]):
        assert stranger.post(address, headers=bearer(token), json={**good, "outputs": wanted}).status_code == 200
    answer = stranger.post(address, headers=bearer(token), json={**good, "outputs": [{"name": "boxes"}]})
    assert (answer.status_code, answer.json["error"]) == (400, "The model has no output 'boxes'; it has output.")
    assert world.client.get("/serve/levels.json").json["at_work"] == 0


def test_too_much_is_refused_and_a_length_that_is_none(world: World) -> None:
    token = world.put()["token"]
    address, binary = "/v2/models/levels/infer", "Inference-Header-Content-Length"
    for headers, body, code in (
        ({}, b" " * (8 * 2**20 + 1), 413),
        ({binary: "2"}, b"{}" + bytes(32 * 2**20), 413),
        ({binary: "\u00b2"}, b"{}", 400),
        ({binary: "9" * 5000}, b"{}", 400),
    ):
        answer = world.stranger().post(address, headers={**bearer(token), **headers}, data=body)
        assert (answer.status_code, list(answer.json)) == (code, ["error"])


def test_two_who_publish_a_name_at_once_make_two_versions(world: World) -> None:
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda epoch: world.put(snapshot_epoch=epoch), ("1", "2")))
    assert sorted(one["new_version"] for one in made) == [1, 2]
    for one in made:
        sent = {"data": png(1), "content_type": "image/png", "headers": bearer(one["token"])}
        assert world.stranger().post("/serve/levels/infer.json", **sent).status_code == 200, "both tokens open it"


def test_without_log_in_everybody_is_answered_and_only_tokens_of_names_are_looked_at(world: World) -> None:
    token, other = world.put()["token"], world.put("other")["token"]
    settings = replace(world.service.settings, auth=False)
    app = create_app(replace(world.service, settings=settings))
    anybody, sent = app.test_client(), {"data": png(1), "content_type": "image/png"}
    for text, code in (("", 200), (token, 200), (other, 401), (token + "x", 401), ("digits_x", 200), ("x", 200)):
        headers = bearer(text) if text else {}
        assert anybody.post("/serve/levels/infer.json", headers=headers, **sent).status_code == code, text
    assert anybody.get("/serve.json", headers=bearer(token)).status_code == 403, "it opens predictions alone here too"
    assert anybody.delete("/serve/levels", headers=bearer(token)).status_code == 403
    assert anybody.delete("/serve/levels?username=eve").status_code == 403, "the name is ada's"
    assert anybody.delete("/serve/levels?username=ada").status_code == 200, "and who says that she is ada may take it back"
    app.extensions["digits-serving"].connections.close()


def test_a_client_of_kserve_works_as_it_is(world: World) -> None:
    token = world.put(snapshot_epoch="1")["token"]
    world.put(snapshot_epoch="2")
    http = make_server("127.0.0.1", 0, world.app, threaded=True)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        client = triton.InferenceServerClient(f"127.0.0.1:{http.port}")
        assert client.is_server_live()
        assert isinstance(client.is_server_ready(), bool)
        assert client.is_model_ready("levels", "1", headers=bearer(token))
        assert client.get_model_metadata("levels", "1", headers=bearer(token))["parameters"]["snapshot_epoch"] == 1
        assert client.is_model_ready("levels", headers=bearer(token))
        assert client.get_server_metadata(headers=bearer(token))["name"] == "digits"
        described = client.get_model_metadata("levels", headers=bearer(token))
        assert described["inputs"][0] == {"name": "features", "datatype": "FP32", "shape": [-1, 1, 8, 8]}
        assert described["outputs"] == [{"name": "output", "datatype": "FP32", "shape": [-1, 3]}]
        levels = np.stack([np.full((1, 8, 8), level, np.float32) for level in (10, 100, 250)])
        for binary in (True, False):
            features = triton.InferInput("features", [3, 1, 8, 8], "FP32")
            features.set_data_from_numpy(levels, binary_data=binary)
            wanted = triton.InferRequestedOutput("output", binary_data=binary)
            answer = client.infer("levels", [features], request_id="a1", outputs=[wanted], headers=bearer(token))
            assert answer.as_numpy("output").argmax(1).tolist() == [0, 1, 2]
            assert {key: answer.get_response()[key] for key in ("id", "model_name", "model_version")} == {
                "id": "a1",
                "model_name": "levels",
                "model_version": "2",
            }
        files = triton.InferInput("image_file", [2], "BYTES")
        files.set_data_from_numpy(np.array([png(250, 20), png(10)], dtype=object))
        best = triton.InferRequestedOutput("output", class_count=1)
        answer = client.infer("levels", [files], model_version="1", outputs=[best], headers=bearer(token))
        assert [text.split(b":")[2] for text in answer.as_numpy("output")[:, 0]] == [b"bright", b"dark"]
        assert answer.get_response()["model_version"] == "1"
        with pytest.raises(InferenceServerException, match="has no output 'boxes'"):
            client.infer("levels", [files], outputs=[triton.InferRequestedOutput("boxes")], headers=bearer(token))
        with pytest.raises(InferenceServerException, match="There is no input 'x'"):
            client.infer(
                "levels", [triton.InferInput("x", [1, 1, 8, 8], "FP32").set_data_from_numpy(levels[:1])], headers=bearer(token)
            )
        with pytest.raises(InferenceServerException, match="does not open this name"):
            client.infer("nobody", [files], headers=bearer(token))
        with pytest.raises(InferenceServerException, match="has no version 9"):
            client.infer("levels", [files], model_version="9", headers=bearer(token))
        client.close()
    finally:
        http.shutdown()
        thread.join(10)
        http.server_close()


def test_a_prediction_by_a_session_needs_proof_and_v2_errors_are_texts(world: World) -> None:
    world.put()
    browser = world.app.test_client()
    assert browser.post("/login", data={"username": "ada", "password": "correct horse"}).status_code == 302
    sent: dict[str, Any] = {"data": png(1), "content_type": "image/png"}
    assert browser.post("/serve/levels/infer.json", **sent).status_code == 403
    assert browser.post("/serve/levels/infer.json", headers={"Sec-Fetch-Site": "same-origin"}, **sent).status_code == 200
    refused = world.stranger().post("/v2/models/levels/infer", data=json.dumps({}))
    assert (refused.status_code, type(refused.json["error"])) == (401, str)
    assert world.stranger().get("/v2/health/live").json == {"live": True}
