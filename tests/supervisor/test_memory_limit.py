"""What a process takes beyond its limit ends it, and who waited for it learns which setting says so."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from digits.config import Settings
from digits.domain.jobs import Status
from digits.errors import ConfigError, LimitExceeded
from digits.ipc import messages
from digits.supervisor.child_processes import ServiceProcess, ServiceSpec
from digits.supervisor.memory_limit import MemoryLimit, end_greedy, job_limit, process_limit
from digits.utils.memory_use import MIB, limit_in_bytes, machine_memory, memory_of_groups
from tests.supervisor.conftest import World
from tests.supervisor.test_child_processes import runtime, until  # noqa: F401 - a fixture

GREEDY = """
import sys, time
from pathlib import Path
from digits.ipc.message_server import MessageServer
from digits.ipc.messages import Message

def answer(request):
    kept = b"x" * (request.header["mb"] << 20)
    time.sleep(request.header["seconds"])
    return Message({"taken": len(kept)})

MessageServer(Path(sys.argv[1]), answer).serve(lambda: False)
"""


def test_limits_of_settings_and_of_the_machine() -> None:
    assert limit_in_bytes(700, 0.5) == 700 * MIB
    assert 0 < limit_in_bytes(0, 0.5) <= machine_memory() // 2
    assert process_limit(Settings()).size < job_limit(Settings()).size <= machine_memory()
    assert job_limit(Settings(job_memory_mb=600)) == MemoryLimit(600 * MIB, "job_memory_mb")


def test_a_limit_in_which_nothing_could_run_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from digits.config import load

    for name in ("process_memory_mb", "job_memory_mb"):
        with pytest.raises(ConfigError, match=f"{name} is 100, expected 0 or at least 512"):
            load({name: 100}, {})
    for name in ("request_seconds", "entry_seconds"):
        with pytest.raises(ConfigError, match=name):
            load({name: 0}, {})


def test_the_memory_of_a_group_is_that_of_all_its_processes() -> None:
    code = "import subprocess, sys\nkept = b'x' * (60 << 20)\nprint('there', flush=True)\nsys.stdin.read()"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {code!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"there\n"
        found = memory_of_groups({process.pid, os.getpgrp()})
        assert 60 * MIB < found[process.pid] < 160 * MIB
        assert found[os.getpgrp()] > 10 * MIB
        process.communicate()
    assert memory_of_groups({process.pid}) == {}


def test_who_waits_for_a_greedy_process_is_told_the_setting_and_the_next_one_answers(runtime: Path) -> None:  # noqa: F811
    spec = ServiceSpec("plugin host", [sys.executable, "-c", GREEDY, "{runtime}/s"], socket="{runtime}/s")
    service, socket = ServiceProcess(spec, runtime), runtime / "s"
    limit = MemoryLimit(200 * MIB, "process_memory_mb")
    failures: list[LimitExceeded] = []

    def ask() -> None:
        with pytest.raises(LimitExceeded) as caught:
            messages.call(socket, messages.Message({"mb": 400, "seconds": 3600}), 3600)
        failures.append(caught.value)

    def tick() -> None:
        service.tick()
        end_greedy([service], limit)

    until(socket.exists, tick)
    assert messages.call(socket, messages.Message({"mb": 10, "seconds": 0}), 60).header == {"taken": 10 * MIB}
    first = service.child
    thread = threading.Thread(target=ask)
    thread.start()
    until(lambda: not thread.is_alive(), tick)
    assert "plugin host took more than 200 MiB of memory and was ended" in failures[0].message
    assert "process_memory_mb (DIGITS_PROCESS_MEMORY_MB)" in failures[0].advice
    until(lambda: service.child is not None and service.child is not first and socket.exists(), tick)
    until(lambda: not (runtime / "ended-s.json").exists(), tick)
    assert messages.call(socket, messages.Message({"mb": 1, "seconds": 0}), 60).header == {"taken": MIB}
    assert service.child is not None
    service.child.stop()
    socket.unlink(missing_ok=True)


def test_a_job_beyond_its_limit_ends_with_what_to_lower(tmp_path: Path) -> None:
    world = World(tmp_path / "jobs", job_memory_mb=512)
    try:
        world.supervise()
        greedy, modest = world.job(memory_mb=700, seconds=60.0), world.job(memory_mb=20)
        ended, done = world.until_ended(greedy, modest, seconds=60)
    finally:
        world.close()
    assert (ended.status, done.status) == (Status.ERROR, Status.DONE)
    assert "took more than 512 MiB of memory and was ended" in ended.error
    assert "batch size" in ended.error
    assert "job_memory_mb (DIGITS_JOB_MEMORY_MB)" in ended.error
