"""The whole server as `digits serve` starts it: pages, the supervisor behind them, static files, a clean end."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import RunningServer, free_port, start_server, wait_until_it_answers


def get(server: RunningServer, path: str) -> tuple[Any, bytes]:
    with urllib.request.urlopen(server.url + path, timeout=30) as answer:
        return answer.headers, answer.read()


def test_pages_are_served_and_jobs_are_looked_after(live_server: RunningServer) -> None:
    _, page = get(live_server, "/")
    assert b"New Dataset" in page
    machine = json.loads(get(live_server, "/machine.json")[1])
    assert machine["supervisor"] == {"ok": True, "message": ""}
    assert machine["gpus_available"] <= len(machine["gpus"])


def test_everything_a_page_needs_comes_from_the_server_itself(live_server: RunningServer) -> None:
    for path in (
        "/bootstrap/static/css/bootstrap.min.css",
        "/bootstrap/static/umd/popper.min.js",
        "/static/css/digits.css",
        "/static/js/live/live_worker.js",
        "/vendor/plotly.min.js",
        "/icons/trash.svg",
    ):
        headers, content = get(live_server, path)
        assert len(content) > 100, path
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert b"://" not in get(live_server, "/")[1].replace(b"http://www.w3.org", b""), "nothing is fetched from elsewhere"


def test_a_killed_server_can_be_started_again_at_once(tmp_path: Path) -> None:
    port = str(free_port())
    arguments = ("-m", "digits", "serve", "--stop-jobs")
    with start_server(tmp_path, *arguments, port=port) as killed, urllib.request.urlopen(f"{killed.url}/events"):
        left = psutil.Process(killed.process.pid).children(recursive=True)
        killed.process.kill()
        killed.process.wait()
        with start_server(tmp_path, *arguments, port=port) as server:
            assert not psutil.wait_procs(left, timeout=20)[1]  # one of them may have answered for a moment more
            wait_until_it_answers(server.url + "/health", server.process, tmp_path / "server.log")
            assert json.loads((server.jobs_dir / ".digits" / "runtime.json").read_text())["pid"] == server.process.pid
            assert json.loads(get(server, "/index.json")[1])["models"] == []
