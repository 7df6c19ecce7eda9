"""Predictors, network checks and services: started when wanted, dropped when in the way, ended with the server."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from digits.errors import BadRequest, ConfigError, Unavailable
from digits.storage.folders import JobsDir
from digits.supervisor.child_processes import ServiceProcess, ServiceSpec
from digits.supervisor.predictors import Predictors
from digits.supervisor.probes import NetworkChecks
from tests.waiting import is_gone

MODEL = "20260101-000000-aaaa"
PREDICTOR = (sys.executable, str(Path(__file__).with_name("fake_predictor.py")))


def until(answer: Callable[[], Any], tick: Callable[[], None] = lambda: None, seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := answer()):
        assert time.monotonic() < deadline
        tick()
        time.sleep(0.02)
    return value


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A short folder: the path of a Unix socket has at most 108 bytes."""
    with tempfile.TemporaryDirectory(prefix="dt-") as folder:
        yield Path(folder)


class PredictorsUnderTest:
    """Predictors of one model with a few snapshots, on a machine with the given GPUs."""

    def __init__(self, jobs_dir: JobsDir, runtime: Path, gpus: tuple[str, ...] = (), **options: Any) -> None:
        for name in ("a", "b", "c", "broken"):
            path = jobs_dir.folder(MODEL).snapshots / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"weights")
        self.gpus = list(gpus)
        values: dict[str, Any] = {"idle_seconds": 60.0, **options}
        self.predictors = Predictors(jobs_dir, runtime, free_gpus=lambda: self.gpus, command=PREDICTOR, **values)

    def request(self, name: str, device: str = "auto") -> dict[str, Any]:
        answer = self.predictors.request({"model_id": MODEL, "snapshot": f"snapshots/{name}", "device": device})
        return until(answer, self.predictors.pool.tick) if callable(answer) else answer

    def about(self, answer: dict[str, Any]) -> list[str]:
        """Pid, device and visible GPUs of the predictor."""
        return Path(answer["socket"] + ".about").read_text().split(" ")


@pytest.fixture
def predictors(tmp_path: Path, runtime: Path) -> Iterator[Callable[..., PredictorsUnderTest]]:
    made: list[PredictorsUnderTest] = []

    def make(**options: Any) -> PredictorsUnderTest:
        made.append(PredictorsUnderTest(JobsDir(tmp_path), runtime, **options))
        return made[-1]

    yield make
    for one in made:
        one.predictors.pool.stop()


def test_a_loaded_model_is_used_again(predictors: Callable[..., PredictorsUnderTest]) -> None:
    one = predictors()
    first = one.request("a")
    assert one.request("a") == first
    assert one.request("b") != first
    assert one.about(first)[1:] == ["cpu", ""]


def test_a_snapshot_that_was_written_anew_is_loaded_anew(predictors: Callable[..., PredictorsUnderTest], tmp_path: Path) -> None:
    one = predictors()
    first = one.request("a")
    (tmp_path / "anew").write_bytes(b"weights")
    os.replace(tmp_path / "anew", JobsDir(tmp_path).folder(MODEL).snapshots / "a")
    second = one.request("a")
    assert second != first
    assert one.request("a") == second


def test_a_model_that_does_not_load_says_why(predictors: Callable[..., PredictorsUnderTest]) -> None:
    with pytest.raises(Unavailable, match=r"(?s)could not be loaded: it ended with exit code 1.*the weights do not fit"):
        predictors().request("broken")


@pytest.mark.parametrize("snapshot", ["", "snapshots/missing", "../../etc/passwd", "/etc/passwd"])
def test_only_snapshots_of_the_model_are_loaded(predictors: Callable[..., PredictorsUnderTest], snapshot: str) -> None:
    with pytest.raises(BadRequest, match="has no snapshot"):
        predictors().predictors.request({"model_id": MODEL, "snapshot": snapshot})


def test_the_least_used_gives_way(predictors: Callable[..., PredictorsUnderTest]) -> None:
    one = predictors(limit=2)
    first = one.request("a")
    pid = int(one.about(one.request("b"))[0])
    one.request("a")
    one.request("c")
    until(lambda: not psutil.pid_exists(pid), one.predictors.pool.tick)
    assert one.request("a") == first


def test_the_idle_are_dropped(predictors: Callable[..., PredictorsUnderTest]) -> None:
    one = predictors(idle_seconds=0.1)
    pid = int(one.about(one.request("a"))[0])
    until(lambda: not psutil.pid_exists(pid), one.predictors.pool.tick)
    assert one.predictors.pool.running == {}
    assert list(one.predictors.pool.directory.iterdir()) == []


def test_a_training_gets_the_gpu_and_the_next_request_the_cpu(predictors: Callable[..., PredictorsUnderTest]) -> None:
    one = predictors(gpus=("0",))
    answer = one.request("a")
    pid, *where = one.about(answer)
    assert where == ["cuda:0", "0"]
    one.gpus.clear()
    one.predictors.release(["0"])
    until(lambda: not psutil.pid_exists(int(pid)), one.predictors.pool.tick)
    assert one.about(one.request("a"))[1:] == ["cpu", ""]


def check(checks: NetworkChecks, text: str) -> dict[str, Any]:
    context = {"task": "classification", "input_shape": [1, 8, 8], "num_classes": 3}
    answer = checks.request({"framework": "pytorch", "text": text, "contexts": [context]})
    assert callable(answer)
    return until(answer)


GOOD = """
import torch

def build_network(context):
    channels, height, width = context.input_shape
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(channels * height * width, context.num_classes))
"""


def test_a_network_text_is_built_in_a_process_of_its_own(runtime: Path) -> None:
    checks = NetworkChecks(runtime)
    assert check(checks, GOOD)["report"]["parameters"] == 8 * 8 * 3 + 3
    assert "problem" in check(checks, "def build_network(context):\n    print('x' * 10**9)\n    import os\n    os._exit(3)\n")
    assert list(runtime.iterdir()) == []


def test_an_endless_network_text_is_ended(runtime: Path) -> None:
    checks = NetworkChecks(runtime, command=(sys.executable, "-c", "while True: pass"), seconds=0.5)
    assert "endless loop" in check(checks, GOOD)["problem"]
    assert checks.pool.running == {}
    until(lambda: not list(runtime.iterdir()), checks.pool.tick)


def test_an_essential_service_that_never_comes_up_ends_the_server(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.supervisor.child_processes.RESTART_SECONDS", (0.01, 0.01))
    service = ServiceProcess(
        ServiceSpec("web server", [sys.executable, "-c", "raise SystemExit(9)"], ready=lambda: False, essential=True), runtime
    )
    with pytest.raises(ConfigError, match="web server does not start: it ended with exit code 9"):
        until(lambda: False, service.tick)


def test_a_service_gets_the_runtime_folder(runtime: Path) -> None:
    code = "import sys, pathlib, time; pathlib.Path(sys.argv[1]).write_text('here'); time.sleep(60)"
    service = ServiceProcess(ServiceSpec("test", [sys.executable, "-c", code, "{runtime}/file"]), runtime)
    service.tick()
    until(lambda: (runtime / "file").exists() and (runtime / "file").read_text() == "here")
    first = service.child
    service.restart()
    service.tick()
    assert service.child is not first
    assert service.child is not None
    service.child.stop()


def test_a_service_that_is_killed_again_and_again_does_not_wait_longer_each_time(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("digits.supervisor.child_processes.RESTART_SECONDS", (0.0, 0.01, 600.0))
    monkeypatch.setattr("digits.supervisor.child_processes.SETTLED_SECONDS", 0.0)
    service = ServiceProcess(ServiceSpec("test", [sys.executable, "-c", "import time; time.sleep(60)"]), runtime)
    for _ in range(5):
        until(lambda: service.child is not None and service.child.is_running(), service.tick)
        service.tick()
        assert service.child is not None
        service.child.process.kill()
        service.child.process.wait()


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """Another folder for sockets."""
    with tempfile.TemporaryDirectory(prefix="dt-") as folder:
        yield Path(folder)


WRITES = "import os, sys, pathlib, time; pathlib.Path(sys.argv[1]).write_text(f'{os.getpid()}'); time.sleep(600)"


@pytest.mark.parametrize("where", ["argv", "env"])
def test_a_service_with_a_socket_in_the_folder_is_started_again_in_the_new_one(
    runtime: Path, elsewhere: Path, where: str
) -> None:
    code = WRITES.replace("sys.argv[1]", "os.environ['HERE']") if where == "env" else WRITES
    argv, env = ([], {"HERE": "{runtime}/pid"}) if where == "env" else (["{runtime}/pid"], {})
    service = ServiceProcess(ServiceSpec("test", [sys.executable, "-c", code, *argv], env, socket="{runtime}/s"), runtime)
    service.tick()
    first = int(until((runtime / "pid").exists) and until((runtime / "pid").read_text))
    service.move(elsewhere)
    assert is_gone(first)
    service.tick()
    second = int(until((elsewhere / "pid").exists) and until((elsewhere / "pid").read_text))
    assert service.child is not None
    assert second == service.child.process.pid != first
    assert service.socket == elsewhere / "s"
    service.child.stop()


def test_a_service_without_a_socket_in_the_folder_is_left_alone_when_that_moves(runtime: Path, elsewhere: Path) -> None:
    service = ServiceProcess(ServiceSpec("test", [sys.executable, "-c", "import time; time.sleep(600)"]), runtime)
    service.tick()
    first = service.child
    service.move(elsewhere)
    service.tick()
    assert first is not None
    assert service.child is first
    assert first.is_running()
    first.stop()


def test_a_model_is_loaded_again_below_the_new_folder_of_sockets(
    predictors: Callable[..., PredictorsUnderTest], runtime: Path, elsewhere: Path
) -> None:
    one = predictors()
    first = one.request("a")
    pid = int(one.about(first)[0])
    assert Path(first["socket"]).parent == runtime
    one.predictors.pool.move(elsewhere)
    second = one.request("a")
    assert Path(second["socket"]).parent == elsewhere
    until(lambda: is_gone(pid), one.predictors.pool.tick)
    assert one.request("a") == second
