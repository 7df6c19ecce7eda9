"""The frame of every worker: first and last events, stopping, what an exception means, bounded output."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from digits.domain.events import AttemptEvent, Event, HardwareEvent, StatusEvent
from digits.domain.jobs import Kind
from digits.errors import LoadImageError, NetworkError, TrainingError
from digits.storage.events import read_events
from digits.utils.processes import OOM_SCORE, is_alive, start_time
from digits.worker import failures
from digits.worker.failures import error_event
from digits.worker.hardware import HardwareMonitor
from digits.worker.output import BoundedLog
from tests.supervisor.conftest import WORKER, World
from tests.waiting import PATIENCE_SECONDS, wait_for


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "jobs")
    yield world
    world.close()


def start(world: World, job_id: str, attempt: int = 1) -> subprocess.Popen[bytes]:
    command = [*WORKER, "--jobs-dir", world.settings.jobs_dir, "--attempt", str(attempt), job_id]
    return subprocess.Popen(command, start_new_session=True)


def events_of(world: World, job_id: str) -> list[Event]:
    return [event for _, event in read_events(world.service.folder(job_id).events_file)]


def test_a_job_begins_with_its_attempt_and_ends_with_its_status(world: World) -> None:
    job = world.job(steps=2)
    process = start(world, job.id)
    assert process.wait(PATIENCE_SECONDS) == 0
    events = events_of(world, job.id)
    assert isinstance(events[0], AttemptEvent)
    assert events[0].pid == process.pid
    assert (events[0].resumed_step, events[0].resumed_offset) == (-1, 0)
    assert isinstance(events[-1], StatusEvent)
    assert events[-1].status == "D"
    identity = json.loads(world.service.folder(job.id).worker_file.read_text())
    assert (identity["pid"], identity["attempt"]) == (process.pid, 1)
    assert world.service.folder(job.id).heartbeat_file.exists()


def test_sigterm_is_a_request(world: World) -> None:
    job = world.job(steps=1000, seconds=0.05)
    process = start(world, job.id)
    wait_for(lambda: len(events_of(world, job.id)) >= 5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 4
    last = events_of(world, job.id)[-1]
    assert isinstance(last, StatusEvent)
    assert last.status == "A"


def test_the_next_attempt_names_its_checkpoint(world: World) -> None:
    job = world.job(steps=6, checkpoint_every=2, die_at={"1": 5})
    assert start(world, job.id).wait(PATIENCE_SECONDS) == -signal.SIGKILL
    assert start(world, job.id, attempt=2).wait(PATIENCE_SECONDS) == 0
    attempts = [event for event in events_of(world, job.id) if isinstance(event, AttemptEvent)]
    assert [event.attempt for event in attempts] == [1, 2]
    assert attempts[1].resumed_step == 4
    assert attempts[1].resumed_offset > 0


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (TrainingError("Loss is NaN.", advice="Lower the rate."), "training", "Loss is NaN."),
        (NetworkError("Line 3 is wrong."), "network", "Line 3 is wrong."),
        (LoadImageError("x.png is text."), "load-image", "x.png is text."),
        (MemoryError(), "out-of-memory", "There is not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out-of-memory", "Tried to allocate 2 GiB"),
        (ModuleNotFoundError("No module named 'x'", name="x"), "import", "x cannot be imported"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/a"), "permission", "/data/a"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/data/b"), "missing-file", "/data/b does not exist"),
        (KeyError("a"), "exception", "KeyError: 'a'"),
    ],
)
def test_every_exception_has_a_code_and_words(error: Exception, code: str, words: str) -> None:
    event = error_event(error)
    assert event.code == code
    assert words in event.message
    assert type(error).__name__ in event.trace


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere shared memory is no folder")
def test_shared_memory_that_nobody_may_use_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container or a chroot without it: the system names no file then."""
    refused = PermissionError(errno.EACCES, "Permission denied")
    assert "Shared memory" not in error_event(refused).message
    monkeypatch.setattr(failures, "SHARED_MEMORY", str(tmp_path / "shm"))
    event = error_event(refused)
    assert (event.code, event.message) == ("permission", f"Shared memory ({tmp_path}/shm) cannot be used: Permission denied.")
    assert "mode 1777" in event.advice


def test_a_log_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "log", limit=1000, share=100)
    for number in range(100_000):
        log.write(b"line %d\n" % number)
    log.close()
    text = (tmp_path / "log").read_bytes()
    assert text.startswith(b"line 0\n")
    assert text.endswith(b"line 99999\n")
    assert len(text) < 1000 + 70_000
    assert b"bytes are left out here" in text


def test_the_last_words_outlive_a_kill_of_the_group(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from digits.worker.output import capture_output
capture_output(Path(sys.argv[1]))
print("x" * (24 << 20))
print("the last words")
"""
    command = [sys.executable, "-c", program, str(tmp_path / "log")]
    process = subprocess.Popen(command, start_new_session=True)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: (tmp_path / "log").read_bytes().endswith(b"the last words\n"))


def test_a_later_attempt_still_gets_its_share_of_a_long_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"x" * 5000)
    log = BoundedLog(tmp_path / "log", limit=1000, share=100)
    log.write(b"second attempt\n")
    log.close()
    assert (tmp_path / "log").read_bytes().endswith(b"second attempt\n")


def test_hardware_is_measured_for_the_process_group() -> None:
    seen: list[Event] = []
    with HardwareMonitor(lambda event: seen.append(event) or 0, (), seconds=0.05):
        deadline = time.monotonic() + 60
        while len(seen) < 2:
            assert time.monotonic() < deadline
            sum(range(10_000))
    event = seen[-1]
    assert isinstance(event, HardwareEvent)
    assert event.memory > 2**20
    assert event.memory_total > event.memory
    assert event.cpu_percent >= 0.0
    assert event.gpus == []


def test_a_pid_alone_is_not_a_process() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = start_time(process.pid)
    assert is_alive(process.pid, started)
    assert not is_alive(process.pid, started - 100)
    process.communicate(b"\n")
    assert not is_alive(process.pid, started)


def test_workers_load_neither_database_nor_web() -> None:
    text = (
        "import sys, digits.worker.runtime; print([m for m in ('flask', 'sqlalchemy', 'pydantic', 'torch') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_kinds_have_runners() -> None:
    from digits.worker.runtime import RUNNERS

    assert set(RUNNERS) == set(Kind)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux chooses what it ends when memory runs out")
def test_when_memory_runs_out_a_worker_goes_before_the_server(world: World) -> None:
    job = world.job(steps=1000, seconds=0.05)
    process = start(world, job.id)
    try:
        wait_for(lambda: events_of(world, job.id))
        assert int(Path(f"/proc/{process.pid}/oom_score_adj").read_text()) == OOM_SCORE
    finally:
        process.kill()
        process.wait()
