"""Workers that die, hang, do not listen or leave children behind."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from pathlib import Path

import pytest

from digits.domain.events import MetricEvent
from digits.domain.jobs import Kind, Status
from digits.service import jobs as actions
from digits.storage.events import valid_events
from digits.supervisor.executor import Ladder
from tests.supervisor.conftest import World
from tests.waiting import PATIENCE_SECONDS, is_gone

REQUESTS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # to stop


def steps_of(world: World, job_id: str) -> list[int]:
    """Steps of the training metrics that count."""
    events = valid_events(world.service.folder(job_id).events_file)
    return [event.step for _, event in events if isinstance(event, MetricEvent) and event.phase == "train"]


def child_of(world: World, job_id: str) -> int:
    file = world.service.folder(job_id).path / "child.pid"
    world.until(lambda: file.exists() and file.read_text())
    return int(file.read_text())


def test_a_killed_worker_is_resumed_from_its_checkpoint_and_nothing_counts_twice(world: World) -> None:
    job = world.job(steps=10, checkpoint_every=3, die_at={"1": 5})
    world.supervise()
    (row,) = world.until_ended(job)
    assert row.status == Status.DONE
    assert row.message.startswith("Resumed from checkpoint (step 3) after: it was killed by signal 9 (SIGKILL")
    assert row.attempt == 2
    assert [status for status, _ in row.history][-1] == "D"
    assert steps_of(world, job.id) == list(range(1, 11))
    assert row.sparkline == pytest.approx([1 / step for step in range(1, 11)], rel=1e-3)


def test_a_worker_killed_from_outside_is_resumed(world: World) -> None:
    job = world.job(steps=30, seconds=0.1)
    world.supervise()
    world.until(lambda: world.get(job).progress > 0.2)
    os.kill(world.get(job).pid, signal.SIGKILL)
    (row,) = world.until_ended(job)
    assert (row.status, row.attempt) == (Status.DONE, 2)
    assert steps_of(world, job.id) == list(range(1, 31))


def test_a_worker_alone_that_is_requested_to_stop_did_not_crash_and_starts_again_after_a_while(world: World) -> None:
    """By each signal, and before it could listen to one: whoever sends it may be about to stop the server too."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # where the tests run under nohup, no worker would hear of it
    try:
        jobs = [world.job(steps=60, seconds=0.05) for _ in (*REQUESTS, "early")]
        world.supervise()
        world.until(lambda: all(world.get(job).pid for job in jobs))
    finally:
        signal.signal(signal.SIGHUP, before)
    *listening, early = jobs
    os.kill(world.get(early).pid, signal.SIGTERM)
    world.until(lambda: all(world.get(job).progress > 0 for job in listening))
    for job, number in zip(listening, REQUESTS, strict=True):
        os.kill(world.get(job).pid, number)
    said: dict[str, str] = {}

    def each_waited() -> bool:
        said.update({job.id: row.message for job in jobs if (row := world.get(job)).status == Status.WAIT and row.attempt == 1})
        return len(said) == len(jobs)

    world.until(each_waited)
    assert set(said.values()) == {"The job was requested to stop from outside; it goes on in a moment."}
    for row in world.until_ended(*jobs):
        assert (row.status, row.attempt, row.failures) == (Status.DONE, 2, 0)
        assert row.message.endswith(" after: it was requested to stop from outside.")
        stopped, again = (max(at for status, at in row.history if status == wanted) for wanted in "WR")
        assert again - stopped > 4.9, "it waits for five seconds"
        assert steps_of(world, row.id) == list(range(1, 61))


def test_after_three_failed_resumes_the_job_ends_with_the_reason_and_its_last_words(world: World) -> None:
    job = world.job(exit=7)
    world.supervise()
    (row,) = world.until_ended(job)
    assert row.status == Status.ERROR
    assert row.attempt == 4
    assert "started again 3 times in a row and got no further" in row.error
    assert "exit code 7" in row.error
    assert "the last words" in row.error


def test_a_job_that_gets_further_each_time_is_not_given_up(world: World) -> None:
    job = world.job(steps=8, die_at={str(attempt): attempt for attempt in range(1, 7)})
    world.supervise()
    (row,) = world.until_ended(job)
    assert (row.status, row.attempt) == (Status.DONE, 7)


def test_a_user_may_resume_what_was_given_up(world: World) -> None:
    job = world.job(steps=2, die_at={str(attempt): 0 for attempt in range(1, 5)})
    world.supervise()
    (row,) = world.until_ended(job)
    assert row.status == Status.ERROR
    actions.resume(world.service, row)
    world.until(lambda: world.get(job).status == Status.DONE)
    assert world.get(job).error == ""


def test_a_crash_is_told_in_words(world: World) -> None:
    job = world.job(steps=2, die_at={str(attempt): 0 for attempt in range(1, 5)}, signal=int(signal.SIGSEGV))
    world.supervise()
    (row,) = world.until_ended(job)
    assert "signal 11 (SIGSEGV: a crash inside a compiled library)" in row.error


def test_abort_asks_first(world: World) -> None:
    job = world.job(steps=1000, seconds=0.05)
    world.supervise(Ladder(request=60.0, terminate=60.0))
    world.until(lambda: world.get(job).progress > 0)
    actions.abort(world.service, world.get(job))
    (row,) = world.until_ended(job)
    assert row.status == Status.ABORT
    assert row.message == "Aborted by the user."


def test_abort_ends_a_worker_that_does_not_listen_with_all_its_children(world: World) -> None:
    job = world.job(steps=10_000, seconds=0.05, deaf=True, child=True)
    world.supervise(Ladder(request=0.3, terminate=0.3))
    child = child_of(world, job.id)
    world.until(lambda: world.get(job).progress > 0)
    pid = world.get(job).pid
    actions.abort(world.service, world.get(job))
    (row,) = world.until_ended(job)
    assert row.status == Status.ABORT
    world.until(lambda: is_gone(child))
    world.until(lambda: is_gone(pid))


def test_children_that_a_dead_worker_left_are_ended(world: World) -> None:
    job = world.job(steps=10_000, seconds=0.05, child=True, die_at={str(attempt): 0 for attempt in range(1, 5)})
    world.supervise()
    child = child_of(world, job.id)
    (row,) = world.until_ended(job)
    assert row.status == Status.ERROR
    world.until(lambda: is_gone(child))


def test_a_frozen_worker_is_ended_and_the_job_goes_on(world: World) -> None:
    world.settings = dataclasses.replace(world.settings, heartbeat_seconds=10)
    job = world.job(steps=40, seconds=0.1)
    world.supervise()
    world.until(lambda: world.get(job).progress > 0)
    os.kill(world.get(job).pid, signal.SIGSTOP)
    (row,) = world.until_ended(job, seconds=60)
    assert (row.status, row.attempt) == (Status.DONE, 2)
    assert row.summary["interrupted"].startswith("it showed no sign of life for 10 s")


def test_a_second_worker_on_the_same_job_writes_nothing(world: World) -> None:
    import subprocess

    from tests.supervisor.conftest import WORKER

    job = world.job(steps=1000, seconds=0.05)
    world.supervise()
    world.until(lambda: world.get(job).progress > 0)
    command = [*WORKER, "--jobs-dir", world.settings.jobs_dir, "--attempt", "2", job.id]
    second = subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS, start_new_session=True)
    assert second.returncode == 3
    assert b"Another worker is busy" in second.stderr
    attempts = {event.attempt for _, event in valid_events(world.service.folder(job.id).events_file)}
    assert attempts == {1}


def test_a_worker_that_did_not_say_yet_who_it_is_is_waited_for(world: World) -> None:
    job = world.job(steps=40, seconds=0.1)
    first = world.supervise()
    world.until(lambda: world.get(job).progress > 0.1)
    process = world.workers()[job.id].process
    file = world.service.folder(job.id).worker_file
    identity = file.read_text()
    file.unlink()
    first.close()
    second = world.supervise()
    for _ in range(5):
        second.tick()
    assert second.executor.workers == {}
    assert (world.get(job).status, world.get(job).attempt) == (Status.RUN, 1)
    file.write_text(identity)
    (row,) = world.until_ended(job)
    assert process is not None
    process.wait()
    assert (row.status, row.attempt, row.message) == (Status.DONE, 1, "")
    assert steps_of(world, job.id) == list(range(1, 41))


def test_the_data_set_of_a_killed_worker_starts_again_and_its_model_waits(world: World) -> None:
    dataset = world.job(Kind.DATASET, steps=3, die_at={"1": 1})
    model = world.job(parents=(dataset.id,), steps=1)
    world.supervise()
    dataset, model = world.until_ended(dataset, model)
    assert (dataset.status, model.status) == (Status.DONE, Status.DONE)
    assert Path(world.service.folder(dataset.id).path / "state.json").exists()


def test_after_a_restart_of_the_machine_jobs_go_on(world: World) -> None:
    job = world.job(steps=30, seconds=0.1)
    first = world.supervise()
    world.until(lambda: world.get(job).progress > 0.2)
    worker = world.workers()[job.id]
    os.killpg(worker.pid, signal.SIGKILL)
    assert worker.process is not None
    worker.process.wait()
    file = world.service.folder(job.id).worker_file
    identity = json.loads(file.read_text())
    file.write_text(json.dumps({**identity, "boot": "an earlier one"}))
    first.close()
    world.supervise()
    (row,) = world.until_ended(job)
    assert (row.status, row.attempt) == (Status.DONE, 2)
    assert row.message.endswith("after: the machine was started again.")
    assert steps_of(world, job.id) == list(range(1, 31))


def test_a_job_deleted_while_no_server_ran_is_ended_when_one_runs(world: World) -> None:
    job = world.job(steps=1000, seconds=0.05)
    first = world.supervise()
    world.until(lambda: world.get(job).progress > 0)
    worker = world.workers()[job.id]
    actions.delete(world.service, world.get(job))
    first.close()
    world.supervise()
    assert world.supervisor is not None
    assert job.id in world.supervisor.executor.workers, "it must be adopted to be ended"
    world.until(lambda: is_gone(worker.pid) and not world.get(job).requested_action)
    assert worker.process is not None
    worker.process.wait()
    assert world.service.store.trash()[0].status == Status.ABORT
