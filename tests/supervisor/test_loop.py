"""What becomes of jobs: from new to done, in order, with everything their events say in their rows."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy.exc import OperationalError

from digits.config import Settings
from digits.domain.jobs import Action, Kind, Resources, Status
from digits.errors import NotFound, Unavailable
from digits.service import jobs as actions
from digits.service import trash
from digits.storage.files import read_json
from digits.storage.folders import JobsDir
from digits.storage.jobs.store import Job
from digits.supervisor import loop
from digits.supervisor.gpus import Gpu
from digits.supervisor.local_executor import LocalExecutor
from digits.supervisor.server import executor_for
from digits.utils.values import TRUE_TEXTS
from tests.supervisor.conftest import World


def test_a_job_runs_and_its_row_tells_what_its_events_said(world: World) -> None:
    job = world.job(steps=4)
    world.supervise()
    (row,) = world.until_ended(job)
    assert row.status == Status.DONE
    assert [status for status, _ in row.history] == ["I", "R", "D"]
    assert row.progress == 1.0
    assert row.eta is None
    assert row.attempt == 1
    assert (row.best_name, row.best_value, row.best_epoch) == ("accuracy", 100.0, 1.0)
    assert row.sparkline == pytest.approx([1.0, 1 / 2, 1 / 3, 1 / 4], rel=1e-3)
    outputs = {(o.name, o.phase): o for o in world.service.store.outputs([job.id])[job.id]}
    loss = outputs["loss", "val"]
    assert (loss.last, loss.min, loss.max, loss.min_epoch, loss.max_epoch, loss.kind) == (0.25, 0.25, 1.0, 1.0, 0.25, "loss")


def test_a_model_waits_for_its_data_set(world: World) -> None:
    dataset = world.job(Kind.DATASET, steps=3, seconds=0.3)
    model = world.job(parents=(dataset.id,), steps=1)
    world.supervise()
    world.until(lambda: world.get(dataset).status == Status.RUN)
    world.until(lambda: world.get(model).message)
    assert world.get(model).message == "Waits until dataset is done."
    assert world.get(model).status == Status.WAIT
    dataset, model = world.until_ended(dataset, model)
    assert model.status == Status.DONE
    assert model.started >= dataset.finished


def test_a_model_is_aborted_when_its_data_set_failed(world: World) -> None:
    dataset = world.job(Kind.DATASET, raises="digits")
    model = world.job(parents=(dataset.id,))
    world.supervise()
    dataset, model = world.until_ended(dataset, model)
    assert dataset.status == Status.ERROR
    assert dataset.error == "The loss is not a number. Lower the learning rate."
    assert model.status == Status.ABORT
    assert model.message == f"Aborted, because dataset ({dataset.id}) failed."
    assert model.attempt == 0


def test_a_model_is_aborted_when_its_data_set_is_gone(world: World) -> None:
    model = world.job(parents=("20200101-000000-aaaa",))
    world.supervise()
    (row,) = world.until_ended(model)
    assert row.status == Status.ABORT
    assert "was deleted" in row.message


@pytest.mark.parametrize(
    ("raises", "words"),
    [
        ("memory", "There is not enough memory"),
        ("import", "nonsense cannot be imported"),
        ("bug", "ZeroDivisionError: division by zero"),
    ],
)
def test_what_a_runner_throws_is_told_with_a_next_step(world: World, raises: str, words: str) -> None:
    job = world.job(raises=raises)
    world.supervise()
    (row,) = world.until_ended(job)
    assert row.status == Status.ERROR
    assert row.error.startswith(words)
    assert len(row.error) > len(words) + 20, "advice is missing"


def test_abort_before_the_start_needs_no_worker(world: World) -> None:
    job = world.job()
    actions.abort(world.service, job)
    world.supervise()
    (row,) = world.until_ended(job)
    assert row.status == Status.ABORT
    assert row.attempt == 0
    world.until(lambda: world.get(job).requested_action == "")


def test_an_aborted_job_goes_on_from_its_checkpoint_when_asked(world: World) -> None:
    job = world.job(steps=40, seconds=0.1)
    world.supervise()
    world.until(lambda: world.get(job).progress > 0.1)
    actions.abort(world.service, world.get(job))
    (row,) = world.until_ended(job)
    assert row.status == Status.ABORT
    assert row.requested_action == ""
    actions.resume(world.service, row)
    world.until(lambda: world.get(job).status == Status.DONE)
    assert "after: it was aborted and resumed by the user." in world.get(job).message
    assert world.get(job).attempt == 2


def test_a_request_for_a_gpu_that_is_not_there_is_an_error_that_says_so(world: World) -> None:
    job = world.job(needs=Resources("train", gpus=1))
    world.supervise()
    (row,) = world.until_ended(job)
    assert row.status == Status.ERROR
    assert row.error.startswith("The job requests 1 GPU; this machine has none.")


def test_a_driver_that_does_not_answer_for_a_while_costs_no_job(world: World) -> None:
    gpu, fails = Gpu("0", "Test GPU", "GPU-test", 2**30), [True]

    def gpus() -> list[Gpu]:
        if fails[0]:
            raise Unavailable("The NVIDIA driver does not answer (Unknown Error).")
        return [gpu]

    job = world.job(needs=Resources("train", gpus=1))
    supervisor = world.supervise(gpus=gpus)
    world.until(lambda: world.get(job).message)
    assert world.get(job).message.endswith(
        "waits for a GPU: The NVIDIA driver does not answer (Unknown Error). It is queried again."
    )
    fails[0] = False
    supervisor.executor.refresh()
    fails[0] = True
    supervisor.executor.refresh()
    assert supervisor.executor.describe()["gpus"][0]["id"] == "0"
    assert supervisor.executor.free_gpus() == []
    fails[0] = False
    supervisor.executor.refresh()
    assert world.until_ended(job)[0].status == Status.DONE


def test_a_gpu_is_given_to_one_job_at_a_time(world: World) -> None:
    gpu = Gpu("0", "Test GPU", "GPU-test", 2**30)
    jobs = [world.job(needs=Resources("train", gpus=1), steps=2, seconds=0.2) for _ in range(2)]
    world.supervise(gpus=[gpu])
    world.until(lambda: world.get(jobs[1]).message)
    assert world.get(jobs[1]).message == "Position 1 of 1 in the queue; waits for a GPU: 0 of 1 are free."
    first, second = world.until_ended(*jobs)
    assert first.used_gpus == second.used_gpus == ["0"]
    assert second.started >= first.finished
    assert read_json(world.service.folder(first.id).worker_file)["gpus"] == ["0"]


def test_priority_goes_before_age(world: World) -> None:
    jobs = [world.job(needs=Resources("train", cpus=0), steps=1) for _ in range(3)]
    world.service.store.update(jobs[2].id, priority=5)
    world.supervise()
    rows = world.until_ended(*jobs)
    assert sorted(rows, key=lambda row: row.started) == [rows[2], rows[0], rows[1]]


def test_the_queue_pauses_while_the_disk_has_too_little_room(world: World) -> None:
    import dataclasses

    world.settings = dataclasses.replace(world.settings, min_free_mb=2**40)
    job = world.job()
    world.supervise()
    world.until(lambda: world.get(job).message)
    assert "the queue is paused" in world.get(job).message
    assert world.get(job).status == Status.WAIT


def test_a_purged_job_leaves_neither_row_nor_folder(world: World) -> None:
    running, done = world.job(steps=1000, seconds=0.05, child=True), world.job(steps=1)
    world.supervise()
    world.until_ended(done)
    world.until(lambda: (world.service.folder(running.id).path / "child.pid").exists())
    for job in (running, done):
        assert trash.purge(world.service, [world.get(job)]) == ([job.id], [])
    world.until(lambda: not world.service.store.ids())
    assert not world.service.folder(running.id).path.exists()
    assert not world.service.folder(done.id).path.exists()
    world.supervisor.close()
    assert list(world.service.jobs_dir.going.iterdir()) == []


def test_a_folder_that_comes_back_as_it_was_while_its_job_ran_goes_on(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SCAN_SECONDS", 0.1)
    job = world.job(steps=30, seconds=0.05, checkpoint_every=2)
    world.supervise()
    world.until(lambda: world.get(job).progress > 0.2)
    folder, backup = world.service.folder(job.id).path, tmp_path / "backup"
    shutil.copytree(folder, backup)
    trash.purge(world.service, [world.get(job)])
    world.until(lambda: not world.service.store.ids() and not folder.exists())
    backup.rename(folder)
    os.utime(folder / "job.json", (1e9, 1e9))
    world.until(world.service.store.ids)
    busy = iter([OperationalError("", {}, Exception("database is locked"))])
    transition = world.service.store.transition

    def transition_later(*values: Any, **columns: Any) -> Job:
        for error in busy:
            raise error
        return transition(*values, **columns)

    monkeypatch.setattr(world.service.store, "transition", transition_later)
    (row,) = world.until_ended(job)
    assert (row.status, row.attempt) == (Status.DONE, 2)
    assert "Resumed from checkpoint" in row.message


def test_who_deletes_and_aborts_at_once_has_deleted(world: World) -> None:
    job, orphan = world.job(duration=0.1), world.job(duration=0.1)
    world.service.store.request_action(job.id, Action.DELETE)
    with pytest.raises(NotFound):
        world.service.store.request_action(job.id, Action.ABORT)
    world.service.store.update(orphan.id, deleted=1.0)  # long ago
    world.supervise()
    world.until(lambda: world.service.store.ids() == [job.id])
    assert not world.service.folder(orphan.id).path.exists()
    assert (world.get(job).status, world.get(job).requested_action) == (Status.ABORT, "")


def test_disk_usage_is_counted_in_the_background(world: World) -> None:
    job = world.job(steps=1)
    world.supervise()
    world.until_ended(job)
    world.until(lambda: world.get(job).disk_bytes)
    assert world.get(job).disk_bytes > 100


def test_what_a_job_prints_is_bounded_and_keeps_its_end(world: World) -> None:
    job = world.job(steps=1, print_mb=40)
    world.supervise()
    world.until_ended(job)
    log = world.service.folder(job.id).log_file
    world.until(lambda: log.read_bytes().rstrip().endswith(b"The job ended: Done."))
    assert log.stat().st_size < 18 * 2**20
    assert b"bytes are left out here" in log.read_bytes()


def test_workers_know_whether_addresses_may_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIGITS_ALLOW_URLS", raising=False)
    for allowed in (False, True):  # as a configuration file may say it
        executor = executor_for(Settings(jobs_dir=str(tmp_path), allow_urls=allowed), JobsDir(tmp_path))
        assert isinstance(executor, LocalExecutor)
        assert (executor.environ["DIGITS_ALLOW_URLS"].lower() in TRUE_TEXTS) == allowed


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_is_set_disturbs_no_job(world: World, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    """Of the supervisor and of what it knows about processes; one that was adopted is compared with its start time."""
    job = world.job(steps=30, seconds=0.1)
    first = world.supervise()
    world.until(lambda: world.get(job).progress > 0.1)
    process = world.workers()[job.id].process
    first.close()
    world.supervise()
    now, booted = time.time, psutil.boot_time
    monkeypatch.setattr(time, "time", lambda: now() + 3600 * hours)
    monkeypatch.setattr(psutil, "boot_time", lambda: booted() + 3600 * hours)
    (row,) = world.until_ended(job)
    assert process is not None
    process.wait()
    assert (row.status, row.attempt, row.failures) == (Status.DONE, 1, 0)
    assert row.elapsed >= 0
