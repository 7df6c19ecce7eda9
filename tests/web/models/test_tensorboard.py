"""The way to TensorBoard where it is not installed, or where nobody could start it."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.serving import make_server

from digits.domain.jobs import Kind
from digits.domain.training import TrainingSpec
from digits.service import Service
from digits.web.models import tensorboard
from digits.worker.tensorboard_server import QuietHandler
from tests.builders import make_job


@pytest.fixture
def model(service: Service) -> str:
    return make_job(service, spec=TrainingSpec(dataset_id="", task="classification").to_json()).id


def test_without_it_the_button_and_its_page_say_how_to_get_it(
    client: FlaskClient, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digits.service.tensorboard.is_installed", lambda: False)
    for page in (f"/models/{model}", "/"):
        assert "Needs: pip install &#39;digits[tensorboard]&#39;" in client.get(page).get_data(as_text=True)
    answer = client.get(f"/tensorboard/{model}.json")
    assert answer.status_code == 400
    assert "pip install 'digits[tensorboard]'" in answer.get_json()["error"]["description"]
    assert "pip install" in client.get(f"/tensorboard/{model}").get_data(as_text=True)


def test_without_a_supervisor_it_is_said(client: FlaskClient, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.service.tensorboard.is_installed", lambda: True)
    for page in (f"/tensorboard/{model}", f"/tensorboard/{model}/", f"/tensorboard/{model}/data/runs"):
        answer = client.get(page)
        assert answer.status_code == 503
        assert "No supervisor answers" in answer.get_data(as_text=True)


def test_the_proxy_reaches_nothing_but_its_socket(
    client: FlaskClient, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a path or a query looks like, and whatever TensorBoard answers with."""
    asked: list[str] = []
    sent: set[str] = set()

    class Answering(QuietHandler):
        def do_GET(self) -> None:
            asked.append(self.requestline)
            sent.update(name.lower() for name in self.headers)
            self.send_response(302)
            for name in ("Location", "Refresh", "Set-Cookie", "Access-Control-Allow-Origin"):
                self.send_header(name, "http://169.254.169.254/")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def no_network(*_: Any, **__: Any) -> Any:
        raise AssertionError("a connection to the network")

    monkeypatch.setattr("digits.service.tensorboard.is_installed", lambda: True)
    monkeypatch.setattr("socket.create_connection", no_network)
    server = make_server(f"unix://{tmp_path / 's'}", 0, lambda *_: [], request_handler=Answering)
    board = SimpleNamespace(ready=True, socket=str(tmp_path / "s"))
    monkeypatch.setattr("digits.web.models.tensorboard.tensorboard.open_board", lambda *_, **__: board)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        for rest in (
            "http://169.254.169.254/latest",
            "@127.0.0.1:5000/",
            "%2f%2f127.0.0.1:22/",
            "..%2f..%2f",
            "a%0d%0aHost:%20evil",
            "?url=http://127.0.0.1:22",
            "%20HTTP/1.1%0d%0a%0d%0aGET%20/b",
        ):
            secret = {"Cookie": "a=secret", "Authorization": "Bearer secret", "X-CSRF-Token": "secret", "Accept": "text/html"}
            answer = client.get(
                f"/tensorboard/{model}/{rest}", headers={"Host": "localhost", "X-Forwarded-Host": "evil", **secret}
            )
            assert answer.status_code in (302, 308, 404), rest
            assert not {"Refresh", "Set-Cookie", "Access-Control-Allow-Origin"} & set(answer.headers), rest
            assert "169.254" not in answer.headers.get("Location", ""), rest
            answer.close()  # as a server does; else its socket stays open until it is forgotten
    finally:
        server.shutdown()
        server.server_close()
    assert len(asked) >= 4
    assert "accept" in sent
    assert not {"cookie", "authorization", "x-csrf-token", "x-forwarded-host"} & sent
    assert all(line.startswith("GET /") and line.endswith(" HTTP/1.1") and line.count(" ") == 2 for line in asked), asked


@pytest.mark.parametrize("protocol", ["HTTP/1.0", "HTTP/1.1"])
def test_each_answer_leaves_its_place_to_the_next(
    client: FlaskClient, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """A page of TensorBoard sends as many requests as there are places; without a body, and unread, an answer is one, too."""

    class Answering(QuietHandler):
        protocol_version = protocol

        def do_GET(self) -> None:
            self.send_response(304 if "same" in self.path else 200)
            if "same" not in self.path:
                self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"" if "same" in self.path else b"hello")

    monkeypatch.setattr(tensorboard, "WAIT_SECONDS", 0.0)
    server = make_server(f"unix://{tmp_path / 's'}", 0, lambda *_: [], threaded=True, request_handler=Answering)
    board = SimpleNamespace(ready=True, socket=str(tmp_path / "s"))
    monkeypatch.setattr("digits.web.models.tensorboard.tensorboard.open_board", lambda *_, **__: board)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    proxy = tensorboard.TensorBoardProxy()
    proxy._slots = threading.BoundedSemaphore(2)
    client.application.view_functions["tensorboard.inside"] = proxy.answer
    try:
        for _ in range(4):
            for path, read in (("data", True), ("data", False), ("same", True)):
                with client.get(f"/tensorboard/{model}/{path}") as answer:
                    assert answer.status_code == (304 if path == "same" else 200)
                    assert not read or answer.get_data() == (b"" if path == "same" else b"hello")
        open_ones = [client.get(f"/tensorboard/{model}/data") for _ in range(2)]
        assert client.get(f"/tensorboard/{model}/data").status_code == 503
        for one in open_ones:
            one.close()
    finally:
        server.shutdown()
        server.server_close()


def test_a_data_set_has_none(client: FlaskClient, service: Service) -> None:
    assert client.get(f"/tensorboard/{make_job(service, Kind.DATASET).id}.json").status_code == 404
