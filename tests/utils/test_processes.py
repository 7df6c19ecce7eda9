"""A process stays the same process whatever happens to the clock."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

import digits
from digits.utils.processes import (
    ProcessIdentity,
    boot_identity,
    is_alive,
    signal_group,
    signal_process,
    start_time,
)
from tests.waiting import wait_for


def test_a_clock_that_is_set_makes_no_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    me, boot = os.getpid(), boot_identity()
    started = start_time(me)
    assert is_alive(me, started)
    created, booted = psutil.Process.create_time, psutil.boot_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: created(process) + 3600)
    monkeypatch.setattr(psutil, "boot_time", lambda: booted() + 3600)
    assert is_alive(me, started)
    assert not is_alive(me, started + 1)
    assert boot_identity() == boot


def test_nobody_has_no_start() -> None:
    assert start_time(2**22 + 1) == 0.0
    assert not is_alive(0, 0.0)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0)
    yield process
    process.kill()
    process.wait()


def test_a_signal_goes_to_the_process_that_is_meant_and_to_no_other(sleeper: subprocess.Popen[bytes]) -> None:
    """Whoever has a pid that was given away, or that a file of another run of the machine names, gets none."""
    me = ProcessIdentity.of(sleeper.pid)
    for stranger in (replace(me, started=me.started - 5), replace(me, boot="another"), replace(me, pid=2**22 + 1)):
        assert not signal_process(stranger, signal.SIGKILL)
        assert not signal_group(stranger, signal.SIGKILL)
    assert me.is_alive()
    assert signal_process(me, signal.SIGTERM)
    assert sleeper.wait(60) == -signal.SIGTERM
    assert not me.is_there()
    assert not signal_process(me, signal.SIGKILL)
    assert not signal_group(me, signal.SIGKILL)


def test_what_a_leader_left_of_its_group_is_ended(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "open(sys.argv[1], 'w').write(str(child.pid)); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "child")], process_group=0, stdin=subprocess.PIPE)
    leader = ProcessIdentity.of(process.pid)
    process.communicate(b"")
    child = ProcessIdentity.of(int((tmp_path / "child").read_text()))
    assert child.is_alive()
    assert signal_group(leader, signal.SIGKILL)
    wait_for(lambda: not child.is_alive())


def test_a_process_that_was_started_to_outlive_its_terminal_does() -> None:
    """As by `nohup`: SIGHUP stays ignored, all others are heard."""
    code = (
        "import signal; from digits.utils.processes import STOP_SIGNALS, on_stop;"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN); on_stop(print);"
        "print([int(number) for number in STOP_SIGNALS if signal.getsignal(number) == signal.SIG_IGN])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == f"[{int(signal.SIGHUP)}]"


def test_every_signal_is_sent_by_this_module() -> None:
    """Handles of processes that one started and did not wait for are safe, but the rule is kept in one place."""
    package = Path(digits.__file__).parent
    sending = re.compile(r"os\.kill|killpg|\.send_signal\(|\.terminate\(\)|pidfd_send|\.kill\(\)")
    found = [
        f"{path.relative_to(package)}: {line.strip()}"
        for path in package.rglob("*.py")
        if path.name != "processes.py"
        for line in path.read_text().splitlines()
        if sending.search(line)
    ]
    assert found == []
