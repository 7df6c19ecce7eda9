"""What many tests need: the real data beside the checkout, a service on a temporary jobs directory, a client of the pages,
and real servers on a free port."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from flask.testing import FlaskClient
from hypothesis import settings
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from digits.config import Settings
from digits.service import Service
from digits.utils.processes import session_members
from digits.web.app import create_app

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

# The same examples in every run: a test that fails, fails for everybody.
settings.register_profile("digits", derandomize=True, deadline=None)
settings.load_profile("digits")

# A process cannot change TensorFlow's threads later, and sums over other parts differ in their last bits: as many in every order
# of tests as the trainings of `digits.testing` have.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

USER = "digits-testsuite"
START_SECONDS = 60
STOP_SECONDS = 60  # a worker that does not hear is ended after 25


CHROMIUM = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class CompiledTemplates(BytecodeCache):
    """Templates compiled once for all applications of this process: each test makes its own, and compiling is most of a page."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


TEMPLATES = CompiledTemplates()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Files with slow tests first, then those of the browser: processes that share the files then end at about the same time.
    Campaigns and long tests run only where they are named (`-m faults`, `-m long`)."""
    left_out = [name for name in ("faults", "long") if name not in config.option.markexpr]
    items[:] = [item for item in items if not any(item.get_closest_marker(name) for name in left_out)]
    marks: dict[Path, set[str]] = {}
    for item in items:
        marks.setdefault(item.path, set()).update(mark.name for mark in item.iter_markers())
    items.sort(key=lambda item: 0 if "slow" in marks[item.path] else 1 if "browser" in marks[item.path] else 2)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the checkout (`../shared/data`)."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared data sets are not beside this checkout")
    return folder


@pytest.fixture
def root_logger() -> Iterator[None]:
    """Where the log goes is set back after the test, which lets a server set it."""
    root, raises = logging.getLogger(), logging.raiseExceptions
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:], logging.raiseExceptions = handlers, raises
    root.setLevel(level)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service on a fresh jobs directory, without log-in, whose path fields reach the test's own folder."""
    service = Service.open(Settings(jobs_dir=str(tmp_path / "jobs"), auth=False, data_dirs=str(tmp_path)))
    yield service
    service.close()


@pytest.fixture
def client(service: Service) -> FlaskClient:
    """A client of the pages that has logged in as the original's tests do."""
    app = create_app(service)
    app.jinja_env.bytecode_cache = TEMPLATES
    client = app.test_client()
    assert client.post("/login", data={"username": USER}).status_code == 302
    return client


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """One for all tests of a process: there cannot be two."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """The system's browser."""
    path = os.environ.get("DIGITS_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium is installed (apt-get install chromium)")
    browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
    yield browser
    browser.close()


@dataclass(frozen=True)
class RunningServer:
    """A server in a process of its own: its address, its jobs directory, a service on the same directory."""

    url: str
    service: Service
    process: subprocess.Popen[bytes]

    @property
    def jobs_dir(self) -> Path:
        return self.service.jobs_dir.path


@pytest.fixture(scope="module")
def web_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Only the web process (no supervisor, so that nothing starts jobs); without log-in."""
    with start_server(tmp_path_factory.mktemp("web"), "-m", "digits.web") as server:
        yield server


@pytest.fixture(scope="module")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The whole server as `digits serve` starts it: supervisor, web process, plugin host; without log-in."""
    with start_server(tmp_path_factory.mktemp("live"), "-m", "digits", "serve", "--stop-jobs") as server:
        yield server


@contextmanager
def start_server(folder: Path, *arguments: str, **variables: str) -> Iterator[RunningServer]:
    """Run a Python command that serves, wait until it answers, and end it afterwards. `variables` are `DIGITS_*` settings."""
    port = int(variables.get("port") or free_port())
    values = {"jobs_dir": str(folder / "jobs"), "port": str(port), "auth": "false", "data_dirs": str(folder), **variables}
    environment = {**os.environ, **{f"DIGITS_{name.upper()}": value for name, value in values.items()}}
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=output, stderr=output, env=environment, start_new_session=True
        )
    service = Service.open(Settings(jobs_dir=values["jobs_dir"], auth=values["auth"] == "true", data_dirs=values["data_dirs"]))
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}/health", process, log)
        yield RunningServer(f"http://127.0.0.1:{port}", service, process)
    finally:
        service.close()
        _stop(process, log)


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_it_answers(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"the server did not start:\n{log.read_text()}")


def _stop(process: subprocess.Popen[bytes], log: Path) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        members = [psutil.Process(pid) for pid in session_members(process.pid)]
        alive = [f"{one.pid} {one.status()} {' '.join(one.cmdline())}" for one in members]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        pytest.fail("\n".join([f"the server did not end within {STOP_SECONDS} s", *alive, log.read_text()[-4000:]]))
