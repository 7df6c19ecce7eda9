"""The clock of the machine is set in the middle of a run: durations, the log, charts by time and the trash go on evenly."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from digits.domain.events import AttemptEvent, LogEvent, MetricEvent
from digits.domain.jobs import Action, Status
from digits.service.models.history import RunHistory
from digits.service.models.page import log_lines
from digits.service.models.run_curves import seconds_since
from digits.storage.events import EventWriter, read_events
from digits.storage.jobs.store import JobQuery
from digits.supervisor.trash import DAY
from tests.supervisor.conftest import World

HOUR = 3600.0


def set_clock(monkeypatch: pytest.MonkeyPatch, by: float) -> None:
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + by)


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_a_run_lasts_as_long_as_it_lasts(world: World, monkeypatch: pytest.MonkeyPatch, by: float) -> None:
    done, job = world.job(steps=1), world.job(steps=10_000, seconds=0.02)
    world.supervise()
    world.until_ended(done)
    before = world.get(done)
    world.until(lambda: world.get(job).status == Status.RUN)
    began = world.get(job).started
    assert began is not None
    set_clock(monkeypatch, by)
    world.until(lambda: world.get(job).started != began)
    assert 0 < world.get(job).elapsed < 60
    world.service.store.request_action(job.id, Action.ABORT)
    (row,) = world.until_ended(job)
    assert 0 < row.elapsed < 60
    times = [at for _, at in row.history]
    assert times == sorted(times)
    assert times[-1] - times[0] < 60
    assert world.service.folder(job.id).state()["started"] == row.started
    assert (world.get(done).started, world.get(done).finished) == (before.started, before.finished)
    found = world.service.store.query(JobQuery(sort="elapsed")).jobs
    assert [one.id for one in found] == [job.id, done.id]


def test_the_time_in_which_no_server_ran_is_no_work(world: World) -> None:
    """A worker was killed, with the server, an hour ago: what came after is not counted."""
    job = world.job(steps=10_000, seconds=0.02)
    first = world.supervise()
    world.until(lambda: world.get(job).progress > 0)
    process = world.workers()[job.id].process
    first.close()
    assert process is not None
    process.kill()
    process.wait()
    row, folder = world.get(job), world.service.folder(job.id)
    assert row.running_since is not None
    world.service.store.update(job.id, running_since=row.running_since - HOUR, history=[["R", row.running_since - HOUR]])
    for file in (folder.heartbeat_file, folder.events_file):
        os.utime(file, (time.time() - HOUR,) * 2)
    world.supervise()
    world.until(lambda: world.get(job).attempt == 2)
    assert world.get(job).elapsed < 60
    world.service.store.request_action(job.id, Action.ABORT)
    (row,) = world.until_ended(job)
    assert 0 < row.elapsed < 60


def deleted(world: World, days: float) -> str:
    job = world.job()
    world.service.store.update(job.id, status="D", deleted=time.time() - days * DAY)
    return job.id


@pytest.mark.parametrize(("by", "age"), [(31 * DAY, 10.0), (-5 * DAY, 5.0), (-31 * DAY, 10.0)])
def test_nothing_leaves_the_trash_early(world: World, monkeypatch: pytest.MonkeyPatch, by: float, age: float) -> None:
    """What was deleted ten days ago: a clock that ran ahead makes it no older, one that was wrong when the server was started and
    is put right keeps it for longer rather than shorter."""
    job_id = deleted(world, days=10)
    supervisor = world.supervise()
    set_clock(monkeypatch, by)
    supervisor.tick()
    supervisor.trash.purge_old()
    (row,) = world.service.store.trash()
    assert row.id == job_id
    assert row.deleted is not None
    assert (time.time() - row.deleted) / DAY == pytest.approx(age, abs=0.01)


def test_the_log_of_an_attempt_goes_on_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventWriter(tmp_path / "events.jsonl", attempt=1)
    log.emit(AttemptEvent())
    for by in (-HOUR, 2 * HOUR):
        set_clock(monkeypatch, by)
        log.emit(LogEvent(message="on", t=time.time()))
    log.close()
    times = [event.t for _, event in read_events(log.path)]
    assert max(times) - min(times) < 60


def test_attempts_stay_in_their_order_and_curves_do_not_go_back() -> None:
    """The clock was set back between two attempts."""
    history = RunHistory(
        attempts=[AttemptEvent(attempt=1, t=5000.0), AttemptEvent(attempt=2, t=1410.0, resumed_step=3)],
        log=[LogEvent(attempt=1, t=5001.0, message="one"), LogEvent(attempt=2, t=1411.0, message="two")],
    )
    said = [line["message"] for line in log_lines(history)]
    assert said.index("one") < said.index("two") == 3
    points = [MetricEvent(step=n, epoch=n, phase="val", values={}, t=t) for n, t in enumerate((5002.0, 5004.0, 1412.0, 1415.0))]
    assert seconds_since(5000.0, points) == [2.0, 4.0, 4.0, 7.0]
    assert seconds_since(None, points) == [0.0, 2.0, 2.0, 5.0]
    assert seconds_since(None, []) == []
