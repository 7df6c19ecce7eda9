"""What never comes back ends its process: a request, a thread that nobody waits for, code that lets no other thread run."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from digits.ipc import watchdog
from digits.ipc.watchdog import EXIT_STUCK, GRACE_SECONDS, Watchdog
from digits.utils.time_limits import longest_left, within

HELD = """
import re
from digits.ipc import watchdog
watchdog.HELD_SECONDS = 1.5
watch = watchdog.Watchdog()
watch.start()
with watch.request(60):
    re.match(r"(a+)+$", "a" * 60 + "b")  # holds the interpreter for years
"""


class Clock:
    def __init__(self) -> None:
        self.now, self.left = 0.0, list[int]()
        self.watch = Watchdog(self.left.append, lambda: self.now)


def test_a_request_beyond_its_limit_ends_the_process_unless_others_are_in_time() -> None:
    clock = Clock()
    with clock.watch.request(10):
        clock.now = 9
        clock.watch.check()
        assert clock.left == []
        with clock.watch.request(1000):
            clock.now = 11
            clock.watch.check()
            clock.now += GRACE_SECONDS
            clock.watch.check()
            assert clock.left == []
            clock.now += 1
            clock.watch.check()
            assert clock.left == [EXIT_STUCK]
        clock.left.clear()
        clock.watch.check()
        assert clock.left == [EXIT_STUCK]
    clock.left.clear()
    clock.watch.check()
    assert clock.left == []


def test_a_thread_that_nobody_waits_for_any_more_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "LEFT_SECONDS", 0.2)
    go, clock = threading.Event(), Clock()
    with pytest.raises(TimeoutError, match="A look did not end"):
        within(0.05, go.wait, "A look")
    clock.watch.check()
    assert clock.left == []
    time.sleep(0.3)
    clock.watch.check()
    assert clock.left == [EXIT_STUCK]
    go.set()
    while longest_left():
        time.sleep(0.01)


def test_one_that_may_stay_does_not() -> None:
    go = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.01, go.wait, "An import", may_stay=True)
    time.sleep(0.05)
    assert longest_left() == 0
    go.set()


def test_code_that_lets_no_other_thread_run_is_ended() -> None:
    run = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert "Timeout" in run.stderr
