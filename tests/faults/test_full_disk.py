"""A full disk pauses work and says so; it goes on by itself when there is room."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.domain.datasets import DatasetSpec
from digits.domain.events import Event, WarningEvent
from digits.domain.jobs import Status
from digits.errors import DiskFull
from digits.ingest.pipeline import IngestContext, ingest
from digits.service import jobs as actions
from digits.service.files import uploads
from digits.storage import reserve
from digits.storage.events import valid_events
from digits.storage.exports import writing
from digits.storage.files import free_bytes, retry_when_disk_full
from digits.storage.folders import JobFolder
from digits.storage.records.open import open_split
from digits.supervisor.loop import DISK_FULL, NOT_WRITABLE
from tests.ingest.making import FOLDER, make, make_job
from tests.service.finished_dataset import class_folder
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


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder in which nothing can be written, whoever asks, from one moment on: a read-only mount of itself over it."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a folder over itself")
    with tempfile.TemporaryDirectory() as aside:
        mounted = subprocess.run(["mount", "--bind", str(folder), aside], capture_output=True, text=True)
        if mounted.returncode:
            pytest.skip(f"a folder cannot be mounted elsewhere here: {mounted.stderr.strip()}")
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", aside], check=True)
            subprocess.run(["mount", "--bind", aside, str(folder)], check=True)  # which is read-only as its source is
        finally:
            subprocess.run(["umount", "-l", aside], check=True)
    try:
        assert not os.access(folder, os.W_OK)
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_job_whose_folder_becomes_read_only_waits_and_goes_on(world: World) -> None:
    """Longer than a worker may show no sign of life, of which it can give none; it gives one every five seconds."""
    world.settings = dataclasses.replace(world.settings, heartbeat_seconds=10)
    job = world.job(steps=20, seconds=0.1)
    world.supervise()
    world.until(lambda: world.get(job).progress > 0.1)
    with read_only(world.service.folder(job.id).path):
        world.until(lambda: world.get(job).message == NOT_WRITABLE)
        began = time.monotonic()
        world.until(lambda: time.monotonic() - began > 11)
        assert world.get(job).status == Status.RUN
    (row,) = world.until_ended(job)
    assert (row.status, row.attempt, row.message) == (Status.DONE, 1, "")
    events = [event for _, event in valid_events(world.service.folder(job.id).events_file)]
    assert [event.code for event in events if isinstance(event, WarningEvent)] == ["read-only"]


def test_a_disk_that_is_full_in_the_middle_of_reading_loses_and_doubles_nothing(small_disk: Path, tmp_path: Path) -> None:
    """Twice, wherever the writing is then; each time somebody makes space."""
    pictures = class_folder(tmp_path / "in", per_class=40, side=128)
    size = {"folder_train": str(pictures), "resize_width": 128, "resize_height": 128}
    expected = make(tmp_path, spec={"feature_encoding": "none"}, **size)
    folder = make_job(small_disk / "jobs", FOLDER, {"resize_channels": 3, **size}, feature_encoding="none")
    free = free_bytes(small_disk)
    ballast = [small_disk / "first", small_disk / "second"]
    ballast[0].write_bytes(b"x" * (free - 3 * MIB))
    pauses: list[str] = []

    def make_space(work: Callable[[], Any]) -> Any:
        try:
            return work()
        except DiskFull as error:
            pauses.append(error.message)
            ballast[0].write_bytes(b"x" * (free - 5 * MIB) if len(pauses) == 1 else b"")
            raise

    events: list[Event] = []

    def retry(work: Callable[[], Any]) -> Any:
        options = {"emit": events.append, "should_stop": lambda: False, "min_free": 0, "poll": 0.01}
        return retry_when_disk_full(lambda: make_space(work), folder.path, **options)

    info = ingest(
        folder, DatasetSpec.from_json(folder.spec()), IngestContext(events.append, lambda: False, retry, 1, events.append)
    )
    assert len(pauses) >= 2
    assert any(isinstance(event, WarningEvent) and event.code == "disk-full" for event in events)
    assert info.splits["train_db"].entries == expected.info.splits["train_db"].entries
    for split in info.splits:
        found, wanted = open_split(folder, split, info), open_split(expected.folder, split, expected.info)
        rows = np.arange(len(wanted))
        assert found.column("key", rows) == wanted.column("key", rows)
        assert all(np.array_equal(found.feature(i), wanted.feature(i)) for i in rows)
        np.testing.assert_array_equal(found.labels(rows), wanted.labels(rows))


def test_a_library_that_says_in_its_own_words_that_the_disk_is_full_is_understood(small_disk: Path) -> None:
    """As PyTorch does, which names no error of the system; where there is room, its words stay."""
    model = JobFolder(small_disk / "20260101-000000-aaaa")
    words = "[enforce fail at inline_container.cc:815] . PytorchStreamWriter failed writing file data/1"

    def export(is_full: bool) -> None:
        with writing(model, "20260101-000000-bbbb"):
            ballast = fill(small_disk)
            if not is_full:
                ballast.unlink()
            raise RuntimeError(words)

    with pytest.raises(RuntimeError, match="PytorchStreamWriter"):
        export(is_full=False)
    with pytest.raises(DiskFull, match="No space left"):
        export(is_full=True)
    assert list(model.exports.iterdir()) == []


def test_jobs_and_uploads_are_deleted_on_a_disk_that_is_full_to_the_last_byte(small_world: World, small_disk: Path) -> None:
    jobs = [small_world.job(steps=1) for _ in range(3)]
    small_world.supervise()
    small_world.until_ended(*jobs)
    service = small_world.service
    for name in ("one", "two"):
        token = uploads.begin(service, name, "anna")
        uploads.add_file(service, token, "a.bin", io.BytesIO(bytes(MIB)), "anna")
    uploads.finish(service, token, "anna")
    small_world.close()
    fill(small_disk)
    again = World(small_disk / "jobs")  # a new start: nothing of the database was open
    again.supervise()
    (partial,) = uploads.list_partial(again.service)
    uploads.cancel(again.service, partial.token, "anna")
    fill(small_disk)
    uploads.remove(again.service, "two", "anna")
    fill(small_disk)
    for job in jobs:
        actions.delete(again.service, again.get(job))
    again.until(lambda: not again.service.store.ids())  # so full that nothing stays in the trash
    assert not any(again.service.folder(job.id).path.exists() for job in jobs)
    again.close()


def test_the_kept_room_comes_back_when_there_is_room(small_world: World, small_disk: Path) -> None:
    hidden = small_world.service.jobs_dir.hidden
    reserve.keep(hidden)
    assert (hidden / reserve.NAME).stat().st_size == reserve.SIZE
    ballast = fill(small_disk)
    assert reserve.give_up(hidden)
    assert not reserve.give_up(hidden)
    ballast.unlink()
    reserve.keep(hidden)
    assert (hidden / reserve.NAME).exists()
