"""A worker that the system ended for want of memory is named as such, with what to lower."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from digits.domain.jobs import Status
from digits.utils import control_groups, memory
from tests.supervisor.conftest import World


def test_the_counts_of_the_system_are_read() -> None:
    assert memory.oom_kills() >= 0
    assert memory.memory_limit() >= 0
    assert "MiB" in memory.memory_words()


def test_a_rank_that_the_system_ended_for_memory_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "VMSTAT", tmp_path / "vmstat")
    (tmp_path / "vmstat").write_text("pgfault 7\noom_kill 3\n")
    before = memory.oom_kills()
    assert memory.end_words(-signal.SIGKILL, "rank 1 of 2", before).startswith("rank 1 of 2 was killed by signal 9")
    (tmp_path / "vmstat").write_text("pgfault 7\noom_kill 4\n")
    said = memory.end_words(-signal.SIGKILL, "rank 1 of 2", before)
    assert said.startswith("the system ended rank 1 of 2 because the memory ran out (")
    assert said.endswith("lower the batch size, the size of its pictures or the number of its processes")
    assert memory.end_words(-signal.SIGSEGV, "rank 1 of 2", before).startswith("rank 1 of 2 was killed by signal 11")


def test_a_worker_that_the_system_ended_for_memory_says_so_and_what_to_lower(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count of a control group of version 2, in a file of the same form; the kill is a real one."""
    group = tmp_path / "cgroup" / "digits.service"
    group.mkdir(parents=True)
    (group / "memory.max").write_text(f"{512 * 2**20}\n")
    (group.parent / "memory.max").write_text("max\n")
    events = "low 0\nhigh 0\nmax 7\noom {0}\noom_kill {0}\n"
    (group / "memory.events").write_text(events.format(0))
    (tmp_path / "own").write_text("0::/digits.service\n")
    monkeypatch.setattr(control_groups, "GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(control_groups, "OWN_GROUPS", tmp_path / "own")
    job = world.job(steps=10, seconds=0.1)
    world.supervise()
    world.until(lambda: world.get(job).progress > 0.2)
    (group / "memory.events").write_text(events.format(1))
    os.kill(world.get(job).pid, signal.SIGKILL)
    (row,) = world.until_ended(job)
    assert (row.status, row.attempt) == (Status.DONE, 2)
    assert row.summary["interrupted"] == (
        "the system ended it because the memory ran out (the memory limit of its control group is 512 MiB);"
        " lower the batch size, the size of its pictures or the number of its processes"
    )
