"""What another thread sees of a training: whether it moves, waits or writes, and which process holds up the others."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from digits.engines.activity import (
    COMPUTES,
    WAITS,
    WAITS_FOR_GPU,
    WRITES,
    Activity,
    AwakeClock,
    Motion,
    Watched,
    activity_of,
    held_up_by,
)
from digits.engines.network.text import compile_text
from digits.storage.files import atomic
from tests.waiting import wait_for

TEXT = "def build_network(context):\n    return context.wait()\n"


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    found = threading.Event()
    yield found
    found.set()


def test_a_thread_in_a_network_text_is_found_at_its_line(gate: threading.Event) -> None:
    found: list[Motion] = []

    def work() -> None:
        found.append(Motion())
        found[0].moved(3)
        compile_text(TEXT, "pytorch")["build_network"](gate)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    wait_for(lambda: found and "network.py" in activity_of(found[0]).place)
    assert activity_of(found[0]) == Activity(1, 3, COMPUTES, "network.py, line 2: return context.wait()")
    gate.set()
    thread.join()


def test_a_thread_that_writes_a_file_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: gate.wait(60))  # a slow disk
    found: list[Motion] = []

    def work() -> None:
        found.append(Motion())
        with atomic(tmp_path / "file") as handle:
            handle.write(b"1")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    wait_for(lambda: found and activity_of(found[0]).state == WRITES)
    gate.set()
    thread.join()


def processes(*rows: tuple[str, float]) -> list[Watched]:
    """Of state and the time since when nothing moved."""
    found = []
    for state, since in rows:
        one = Watched(0.0)
        one.see(Activity(state=state), since)
        found.append(one)
    return found


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(WAITS, 30.0), (COMPUTES, 20.0)], [1]),
        ([(COMPUTES, 20.0), (WAITS, 30.0)], [0]),
        ([(WAITS, 90.0), (COMPUTES, 20.0)], []),  # slow, but the other has not waited for so long
        ([(WAITS, 20.0), (COMPUTES, 90.0)], []),  # it moved
        ([(COMPUTES, 0.0), (COMPUTES, 0.0)], []),  # a slow step of all
        ([(WRITES, 0.0), (WAITS, 0.0)], []),  # a slow or full disk
        ([(WAITS, 30.0), (COMPUTES, 20.0), (COMPUTES, 10.0), (WAITS, 95.0)], [1, 2]),
        ([(WAITS, 30.0), (WAITS, 20.0)], [0, 1]),
        ([(WAITS, 30.0), (WAITS, 90.0)], []),
        ([(WAITS_FOR_GPU, 30.0), (COMPUTES, 20.0)], [1]),
        ([(WAITS_FOR_GPU, 30.0), (WAITS_FOR_GPU, 20.0)], []),  # long work of all GPUs
    ],
)
def test_who_holds_up_the_others_for_a_minute(rows: list[tuple[str, float]], expected: list[int]) -> None:
    assert held_up_by(processes(*rows), 100.0, 60.0) == expected


def test_of_a_process_that_said_nothing_yet_nothing_is_said() -> None:
    assert held_up_by([*processes((WAITS, 0.0)), Watched(0.0)], 100.0, 60.0) == []


def test_a_clock_that_was_not_looked_at_did_not_go_on() -> None:
    clock = AwakeClock(0.1)
    time.sleep(0.3)
    assert 0.0999 < clock.now() < 0.1001
