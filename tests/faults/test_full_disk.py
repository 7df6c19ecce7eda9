"""A full disk pauses work and says so; it goes on by itself when there is room."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from digits.domain.events import WarningEvent
from digits.domain.jobs import Status
from digits.service import jobs as actions
from digits.storage.events import valid_events
from digits.supervisor.loop import DISK_FULL
from tests.supervisor.conftest import World

MIB = 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 96 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(folder)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def small_world(small_disk: Path) -> Iterator[World]:
    world = World(small_disk / "jobs")
    yield world
    world.close()


def fill(folder: Path) -> Path:
    """Take all room that is left."""
    ballast = folder / "ballast"
    with open(ballast, "wb", buffering=0) as handle:
        try:
            while handle.write(b"x" * MIB):
                pass
        except OSError:
            pass
    return ballast


def test_a_job_pauses_while_the_disk_is_full_and_goes_on(small_world: World, small_disk: Path) -> None:
    job = small_world.job(steps=20, seconds=0.1, fill=MIB)
    small_world.supervise()
    small_world.until(lambda: small_world.get(job).progress > 0.1)
    ballast = fill(small_disk)
    small_world.until(lambda: small_world.get(job).message == DISK_FULL)
    assert small_world.get(job).status == Status.RUN
    ballast.unlink()
    (row,) = small_world.until_ended(job)
    assert (row.status, row.attempt, row.message) == (Status.DONE, 1, "")
    events = [event for _, event in valid_events(small_world.service.folder(job.id).events_file)]
    paused = [event for event in events if isinstance(event, WarningEvent)]
    assert paused
    assert paused[0].code == "disk-full"


def test_a_paused_job_can_be_aborted(small_world: World, small_disk: Path) -> None:
    job = small_world.job(steps=200, seconds=0.1, fill=MIB)
    small_world.supervise()
    small_world.until(lambda: small_world.get(job).progress > 0.02)
    ballast = fill(small_disk)
    small_world.until(lambda: small_world.get(job).message == DISK_FULL)
    actions.abort(small_world.service, small_world.get(job))
    (row,) = small_world.until_ended(job)
    assert row.status == Status.ABORT
    ballast.unlink()
    small_world.until(lambda: not small_world.supervisor.rows.unsaved)
    assert small_world.service.folder(job.id).state()["status"] == "A"
