"""A process stays the same process whatever happens to the clock."""

from __future__ import annotations

import os

import psutil
import pytest

from digits.utils.processes import boot_identity, is_alive, start_time


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
