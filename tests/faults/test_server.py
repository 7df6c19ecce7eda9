"""The server killed, stopped and started again; two of them on one jobs directory."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from digits.domain.jobs import Status
from digits.errors import BadRequest
from digits.ipc.supervisor_client import ControlError, call, read_runtime
from digits.service import jobs as actions
from digits.service import trash
from digits.storage.folders import JobsDir
from digits.storage.jobs.store import Job
from digits.storage.lock import Locked, ServerLock, holder
from digits.supervisor import follow, run_until
from digits.utils.processes import ProcessIdentity, is_alive, signal_group, start_time
from tests.faults.test_workers import steps_of
from tests.supervisor.conftest import WORKER, World
from tests.waiting import PATIENCE_SECONDS, is_gone, wait_for


class Servers:
    """Servers in processes of their own."""

    def __init__(self, jobs_dir: str, *options: str) -> None:
        self.jobs_dir, self.options = jobs_dir, options
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *options: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.faults.fake_server", self.jobs_dir, *self.options, *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=stdin)
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
            process.communicate(timeout=PATIENCE_SECONDS)
        left = read_runtime(JobsDir(Path(self.jobs_dir))).get("directory")
        if left:  # the last server was killed
            shutil.rmtree(left, ignore_errors=True)


@pytest.fixture
def servers(world: World) -> Iterator[Servers]:
    servers = Servers(world.settings.jobs_dir)
    yield servers
    servers.close()


def service_pid(world: World) -> int:
    return int((world.service.jobs_dir.hidden / "service.pid").read_text())


def test_a_server_killed_while_a_job_trains_is_followed_by_one_that_adopts_it(world: World, servers: Servers) -> None:
    job = world.job(steps=120, seconds=0.1)
    first = servers.start()
    wait_for(lambda: world.get(job).progress > 0.1)
    worker, service = world.get(job).pid, service_pid(world)
    first.kill()
    first.wait()
    wait_for(lambda: is_gone(service))
    assert is_alive(worker, start_time(worker)), "the worker must live on"
    servers.start()
    wait_for(lambda: world.get(job).progress > 0.5)
    assert world.get(job).pid == worker
    wait_for(lambda: world.get(job).status == Status.DONE)
    assert world.get(job).attempt == 1
    assert steps_of(world, job.id) == list(range(1, 121))
    assert [status for status, _ in world.get(job).history] == ["I", "R", "D"]


def test_a_job_that_ended_while_no_server_ran_is_done_when_one_runs(world: World, servers: Servers) -> None:
    job = world.job(steps=40, seconds=0.1)
    first = servers.start()
    wait_for(lambda: world.get(job).progress > 0.1)
    worker = world.get(job).pid
    first.kill()
    first.wait()
    wait_for(lambda: is_gone(worker))
    assert world.get(job).status == Status.RUN
    servers.start()
    wait_for(lambda: world.get(job).status == Status.DONE)
    assert world.get(job).progress == 1.0


def test_a_worker_that_died_while_no_server_ran_is_resumed(world: World, servers: Servers) -> None:
    job = world.job(steps=30, seconds=0.1)
    first = servers.start()
    wait_for(lambda: world.get(job).progress > 0.1)
    worker = world.get(job).pid
    first.kill()
    first.wait()
    os.killpg(worker, signal.SIGKILL)
    wait_for(lambda: is_gone(worker))
    servers.start()
    wait_for(lambda: world.get(job).status == Status.DONE)
    assert world.get(job).attempt == 2
    assert steps_of(world, job.id) == list(range(1, 31))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_server_ends_its_services_and_leaves_its_workers(
    world: World, servers: Servers, number: signal.Signals
) -> None:
    job = world.job(steps=1000, seconds=0.05)
    server = servers.start()
    wait_for(lambda: world.get(job).progress > 0)
    worker, service = world.get(job).pid, service_pid(world)
    server.send_signal(number)
    _, err = server.communicate(timeout=PATIENCE_SECONDS)
    assert server.returncode == 0
    assert b"1 job goes on and is adopted at the next start" in err
    wait_for(lambda: is_gone(service))
    assert not is_gone(worker)
    assert holder(world.service.jobs_dir) is None
    os.killpg(worker, signal.SIGKILL)


@pytest.fixture
def terminal() -> Iterator[int]:
    """A terminal, as the input of a server."""
    ours, its = os.openpty()
    yield its
    os.close(its)
    os.close(ours)


def read_until(server: subprocess.Popen[bytes], words: bytes) -> None:
    """What it says, up to a line with these words."""
    assert server.stderr is not None
    assert any(words in line for line in server.stderr), "it ended without them"


def assert_stopped_and_going_on(world: World, servers: Servers, job: Job, worker: int) -> None:
    """Its worker went before the server did; the next server goes on from the checkpoint."""
    assert is_gone(worker)
    row = world.get(job)
    assert (row.status, row.failures, row.error) == (Status.WAIT, 0, "")
    assert row.message == "The server was stopped; the job goes on when it runs again."
    servers.start()
    wait_for(lambda: world.get(job).status == Status.DONE)
    row = world.get(job)
    assert (row.attempt, row.failures) == (2, 0)
    assert re.match(r"Resumed from checkpoint \(step \d+\) after: the server was stopped\.$", row.message)
    assert steps_of(world, job.id) == list(range(1, 61))


def running(
    world: World, servers: Servers, *options: str, steps: int = 60, stdin: int = subprocess.DEVNULL
) -> tuple[Job, subprocess.Popen[bytes], int]:
    """A job, the server that began it, and the pid of its worker, which is at it."""
    job = world.job(steps=steps, seconds=0.05)
    server = servers.start(*options, stdin=stdin)
    wait_for(lambda: world.get(job).progress > 0)
    return job, server, world.get(job).pid


def test_a_server_that_stops_its_jobs_too_leaves_them_to_go_on_from_their_checkpoints(world: World, servers: Servers) -> None:
    job, server, worker = running(world, servers, "stop-jobs")
    server.send_signal(signal.SIGTERM)
    _, said = server.communicate(timeout=PATIENCE_SECONDS)
    assert server.returncode == 0
    assert b"Stops what runs; 1 job goes on when the server runs again." in said
    assert_stopped_and_going_on(world, servers, job, worker)


def test_a_second_ctrl_c_on_a_terminal_stops_the_workers_too(world: World, servers: Servers, terminal: int) -> None:
    job, server, worker = running(world, servers, stdin=terminal)
    server.send_signal(signal.SIGINT)
    read_until(server, b"1 job goes on. Press Ctrl-C again to stop what runs.")
    assert not is_gone(worker)
    server.send_signal(signal.SIGINT)
    read_until(server, b"Stops what runs; 1 job goes on when the server runs again.")
    assert server.wait(PATIENCE_SECONDS) == 0
    assert_stopped_and_going_on(world, servers, job, worker)


def test_one_ctrl_c_on_a_terminal_leaves_the_workers(world: World, servers: Servers, terminal: int) -> None:
    job, server, worker = running(world, servers, steps=1000, stdin=terminal)
    server.send_signal(signal.SIGINT)
    read_until(server, b"Press Ctrl-C again to stop what runs.")
    read_until(server, b"The server ends; 1 job goes on and is adopted at the next start.")
    assert server.wait(PATIENCE_SECONDS) == 0
    assert not is_gone(worker)
    assert world.get(job).status == Status.RUN
    os.killpg(worker, signal.SIGKILL)


def test_a_stop_of_server_and_workers_together_is_no_crash(world: World, servers: Servers) -> None:
    """As systemd stops a service: SIGTERM to each of its processes. Whoever does that four times finds no job in Error."""
    job = world.job(steps=400, seconds=0.05, checkpoint_every=1000)
    for attempt in range(1, 5):
        server = servers.start()
        wait_for(lambda: (row := world.get(job)).attempt == attempt and row.status == Status.RUN and row.pid)  # noqa: B023
        worker = ProcessIdentity.of(world.get(job).pid)
        signal_group(worker, signal.SIGTERM)
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=PATIENCE_SECONDS)
        wait_for(lambda: not worker.is_alive())  # noqa: B023
    servers.start()
    wait_for(lambda: world.get(job).attempt == 5 and world.get(job).progress > 0)
    assert (world.get(job).failures, world.get(job).error) == (0, "")
    actions.abort(world.service, world.get(job))
    wait_for(lambda: world.get(job).status == Status.ABORT)


def test_workers_that_were_killed_after_the_server_was_requested_to_stop_did_not_crash(world: World, servers: Servers) -> None:
    """As systemd does with who is not gone in time, before it could say a word."""
    job = world.job(steps=400, seconds=0.05, checkpoint_every=1000)
    server = servers.start()
    wait_for(lambda: world.get(job).pid)
    worker = ProcessIdentity.of(world.get(job).pid)
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=PATIENCE_SECONDS)
    signal_group(worker, signal.SIGKILL)
    wait_for(lambda: not worker.is_alive())
    servers.start()
    wait_for(lambda: world.get(job).attempt == 2 and world.get(job).progress > 0)
    row = world.get(job)
    assert (row.failures, row.summary["interrupted"]) == (0, "the server was stopped")
    actions.abort(world.service, world.get(job))
    wait_for(lambda: world.get(job).status == Status.ABORT)


def test_the_end_of_the_terminal_stops_the_server_and_it_says_so(world: World, servers: Servers) -> None:
    job = world.job(steps=60, seconds=0.1)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # where the tests run under nohup, the server would not hear of it
    try:
        server = servers.start()
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_for(lambda: world.get(job).progress > 0)
    server.send_signal(signal.SIGHUP)
    _, err = server.communicate(timeout=PATIENCE_SECONDS)
    assert server.returncode == 0
    assert b"SIGHUP was sent: the server ends, as by SIGTERM" in err
    servers.start()
    wait_for(lambda: world.get(job).status == Status.DONE)
    assert world.get(job).attempt == 1


def test_a_folder_of_sockets_that_vanishes_is_made_again(world: World, servers: Servers) -> None:
    """As a run-time directory does when its user logs out. Who had a socket in it is started again."""
    servers.start()
    jobs_dir, service = world.service.jobs_dir, service_pid(world)
    wait_for(lambda: read_runtime(jobs_dir))
    shutil.rmtree(read_runtime(jobs_dir)["directory"])
    with pytest.raises(ControlError):
        call(jobs_dir, {"op": "ping"})
    wait_for(lambda: Path(read_runtime(jobs_dir)["socket"]).exists())
    assert call(jobs_dir, {"op": "ping"}) == {"ok": True}
    wait_for(lambda: service_pid(world) != service)
    assert is_gone(service)


def test_a_service_that_dies_is_started_again(world: World, servers: Servers) -> None:
    servers.start()
    first = service_pid(world)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: service_pid(world) != first)


def test_a_second_server_is_refused_and_told_who_has_the_directory(world: World, servers: Servers) -> None:
    server = servers.start()
    with pytest.raises(Locked, match=rf"in use by process {server.pid} .* at http://127.0.0.1:1\. .*--jobs-dir"):
        run_until(world.settings, [])


def test_the_control_socket_answers_and_is_gone_with_its_server(world: World, servers: Servers) -> None:
    server = servers.start()
    jobs_dir: JobsDir = world.service.jobs_dir
    wait_for(lambda: call(jobs_dir, {"op": "ping"}) == {"ok": True})
    assert call(jobs_dir, {"op": "queue"})["waiting"] == []
    with pytest.raises(BadRequest, match="no operation 'nonsense'"):
        call(jobs_dir, {"op": "nonsense"})
    server.kill()
    server.wait()
    with pytest.raises(ControlError, match="No supervisor answers"):
        call(jobs_dir, {"op": "ping"})


def test_commands_run_jobs_themselves_where_no_server_does(world: World) -> None:
    dataset, other = world.job(steps=2), world.job(steps=2)
    model = world.job(parents=(dataset.id,), steps=2)
    seen: list[float] = []
    (row,) = run_until(world.settings, [model.id], on_change=lambda job: seen.append(job.progress), worker_command=WORKER)
    assert row.status == Status.DONE
    assert seen[-1] == 1.0
    assert world.get(dataset).status == Status.DONE
    assert world.get(other).status == Status.INIT
    assert [job.status for job in follow(world.settings, [model.id])] == [Status.DONE]


def test_the_lock_is_free_again_after_its_holder(world: World) -> None:
    with ServerLock(world.service.jobs_dir, "http://here"):
        assert holder(world.service.jobs_dir)["address"] == "http://here"
    assert holder(world.service.jobs_dir) is None


def test_ctrl_c_stops_the_jobs_of_a_command_and_they_go_on_later(world: World) -> None:
    job = world.job(steps=30, seconds=0.1)

    def interrupt(row: Job) -> None:
        if row.progress > 0.1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_until(world.settings, [job.id], on_change=interrupt, worker_command=WORKER)
    stopped = world.get(job)
    assert (stopped.status, stopped.failures) == (Status.WAIT, 0)
    assert stopped.message == "The server was stopped; the job goes on when it runs again."
    (row,) = run_until(world.settings, [job.id], worker_command=WORKER)
    assert (row.status, row.attempt) == (Status.DONE, 2)
    assert steps_of(world, job.id) == list(range(1, 31))


def test_a_command_that_deletes_waits_until_the_job_is_gone(world: World) -> None:
    job = world.job(steps=1)
    actions.delete(world.service, job)
    (row,) = run_until(world.settings, [job.id], worker_command=WORKER)
    assert (row.status, row.requested_action, row.id in world.service.store.ids()) == (Status.ABORT, "", True)
    trash.purge(world.service, [row])
    assert run_until(world.settings, [job.id], worker_command=WORKER) == []
    assert not world.service.folder(job.id).path.exists()
