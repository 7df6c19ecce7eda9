"""A jobs directory that is copied, moved or replaced while its jobs run: no worker of another one is touched."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from digits.domain.jobs import Status
from digits.errors import StorageError
from digits.ipc.supervisor_client import is_listening, read_runtime, runtime_file
from digits.service import Service
from digits.service import jobs as actions
from digits.storage.files import write_json
from digits.storage.identity import place_of
from digits.storage.jobs.ownership import other_owner
from digits.utils.processes import ProcessIdentity
from tests.faults.test_server import Servers, servers
from tests.faults.test_workers import steps_of
from tests.supervisor.conftest import World
from tests.waiting import PATIENCE_SECONDS, is_gone, wait_for

__all__ = ["servers"]


def copy_of(world: World, target: Path) -> Path:
    """A copy made by `cp -a`, which goes on past a file that is put in place of another one while it copies."""
    copied = subprocess.run(["cp", "-a", world.settings.jobs_dir, str(target)], capture_output=True, text=True)
    lines = copied.stderr.splitlines()
    assert copied.returncode == bool(lines)
    assert all("cannot stat" in line and ".tmp'" in line for line in lines), copied.stderr
    return target


@pytest.fixture
def copied(world: World, tmp_path: Path) -> Iterator[tuple[World, str, ProcessIdentity]]:
    """A directory copied under a job that runs, the job, and the original's worker."""
    job = world.job(steps=10_000, seconds=0.05)
    world.supervise()
    world.until(lambda: world.get(job).progress > 0)
    worker = world.workers()[job.id].leader
    copy = World(copy_of(world, tmp_path / "copy"))
    yield copy, job.id, worker
    copy.close()


def test_a_copy_starts_its_jobs_anew_and_leaves_the_originals_worker(
    world: World, copied: tuple[World, str, ProcessIdentity]
) -> None:
    copy, job_id, worker = copied
    copy.settings = world.settings
    copy.supervise()
    twin = copy.service.store.get(job_id)
    assert twin.status == Status.WAIT
    assert twin.message == f"Starts anew: it ran in {world.settings.jobs_dir}, of which this is a copy."
    assert twin.failures == 0
    copy.until(lambda: copy.service.store.get(job_id).status == Status.RUN and job_id in copy.workers())
    assert copy.workers()[job_id].pid != worker.pid
    actions.abort(copy.service, copy.service.store.get(job_id))
    copy.until_ended(twin)
    assert worker.is_alive()
    world.service.folder(job_id).finish_file.touch()
    (row,) = world.until_ended(world.service.store.get(job_id))
    assert (row.status, row.attempt) == (Status.DONE, 1)
    steps = steps_of(world, job_id)
    assert steps == list(range(1, len(steps) + 1))


def test_nothing_of_a_copy_reaches_the_originals_processes(world: World, copied: tuple[World, str, ProcessIdentity]) -> None:
    """Its files name a socket, a folder and processes that are not its own."""
    copy = copied[0]
    write_json(runtime_file(world.service.jobs_dir), {"socket": "/tmp/x", "place": place_of(world.service.jobs_dir)})
    runtime = runtime_file(copy.service.jobs_dir)
    runtime.write_bytes(runtime_file(world.service.jobs_dir).read_bytes())
    assert read_runtime(world.service.jobs_dir)["socket"] == "/tmp/x"
    assert read_runtime(copy.service.jobs_dir) == {}
    assert not is_listening(copy.service.jobs_dir)
    runtime_file(world.service.jobs_dir).unlink()


def test_a_worker_whose_directory_was_moved_ends_and_the_job_goes_on_at_its_new_place(world: World, tmp_path: Path) -> None:
    job = world.job(steps=300, seconds=0.05)
    first = world.supervise()
    world.until(lambda: world.get(job).progress > 0.02)
    process = world.workers()[job.id].process
    first.close()
    world.service.close()
    os.rename(world.settings.jobs_dir, tmp_path / "moved")
    moved = World(tmp_path / "moved")
    try:
        moved.supervise()
        assert moved.supervisor is not None
        assert moved.supervisor.identity.id == first.identity.id
        moved.until(lambda: moved.get(job).attempt == 2 and moved.get(job).progress > 0.02)
        assert process is not None
        assert process.wait(PATIENCE_SECONDS) == 75
        assert moved.get(job).failures == 0
        assert not Path(world.settings.jobs_dir).exists(), "nobody may write where the directory was"
    finally:
        moved.close()


def test_a_server_does_nothing_while_its_directory_is_another_one(world: World, servers: Servers, tmp_path: Path) -> None:
    """As when it was moved under the server, or a backup is put in its place."""
    job = world.job(steps=60, seconds=0.1)
    server = servers.start()
    wait_for(lambda: world.get(job).progress > 0.1)
    worker, place = world.get(job).pid, Path(world.settings.jobs_dir)
    os.rename(place, tmp_path / "away")
    place.mkdir()
    wait_for(lambda: is_gone(worker))
    assert server.stderr is not None
    for line in server.stderr:  # the worker looks by itself; the server does so at its next tick
        if b"is gone: it was moved, deleted or unmounted. Nothing is done" in line:
            break
    else:
        raise AssertionError("the server ended without a word of it")
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=PATIENCE_SECONDS)
    assert list(place.iterdir()) == []
    place.rmdir()
    os.rename(tmp_path / "away", place)
    servers.start()
    wait_for(lambda: world.get(job).status == Status.DONE)
    assert (world.get(job).attempt, world.get(job).failures) == (2, 0)
    assert steps_of(world, job.id) == list(range(1, 61))


def test_a_database_belongs_to_one_directory(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    first = World(tmp_path / "first", database_url=url)
    job = first.job(steps=1)
    second = {**vars(first.settings), "jobs_dir": str(tmp_path / "second")}
    settings = type(first.settings)(**second)
    with pytest.raises(StorageError, match=rf"belongs to the jobs directory {tmp_path / 'first'} .*digits jobs reindex"):
        Service.open(settings)
    assert first.get(job)
    identity = first.supervise().identity
    assert other_owner(first.service.store, identity) == ""
    Service.open(settings, take_over=True).close()
    assert "was given to the jobs directory" in other_owner(first.service.store, identity)
    Service.open(settings).close()
    first.close()


def test_a_database_of_an_earlier_version_is_not_taken_from_the_directory_whose_jobs_it_has(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    first = World(tmp_path / "first", database_url=url)
    first.job(steps=1)
    with first.service.store.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE directory")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0003'")
    settings = type(first.settings)(**{**vars(first.settings), "jobs_dir": str(tmp_path / "second")})
    with pytest.raises(StorageError, match="holds jobs of which none has a folder here"):
        Service.open(settings)
    Service.open(first.settings).close()
    with pytest.raises(StorageError, match="belongs to the jobs directory"):
        Service.open(settings)
    first.close()


def test_a_directory_that_moved_to_another_disk_takes_its_database_along(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    first = World(tmp_path / "first", database_url=url)
    job = first.job(steps=1)
    first.close()
    copy_of(first, tmp_path / "second")
    settings = type(first.settings)(**{**vars(first.settings), "jobs_dir": str(tmp_path / "second")})
    with pytest.raises(StorageError, match="belongs to the jobs directory"):
        Service.open(settings)
    subprocess.run(["rm", "-r", str(tmp_path / "first")], check=True)
    service = Service.open(settings)
    assert service.store.get(job.id)
    service.close()
