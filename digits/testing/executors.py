"""The contract of an executor as tests: inherit `ExecutorContract`, make an executor, run it with pytest."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from digits.domain.jobs import JobRequest, Kind, Resources, UserColumns, new_job_id
from digits.storage.folders import JobsDir
from digits.supervisor.executor import EXIT_BUSY, Executor, Ladder, Stop, Worker
from digits.supervisor.scheduling import Allocation, ResourceRequest
from digits.testing.executor_worker import FAILURE, LAST_WORDS

DEADLINE = 60.0
LADDER = Ladder(request=1.0, terminate=0.5)
PATIENT = Ladder(request=600.0, terminate=600.0)


class ExecutorContract:
    """What every executor keeps.

    `make_executor` gives a new one over a jobs directory; it runs `command` with the arguments of `python -m digits.worker`.
    One made later over the same directory is what a supervisor has after it was started again.
    """

    command: Sequence[str] = (sys.executable, "-m", "digits.testing.executor_worker")

    def make_executor(self, jobs_dir: JobsDir, command: Sequence[str], ladder: Ladder) -> Executor:
        raise NotImplementedError

    @pytest.fixture
    def jobs_dir(self, tmp_path: Path) -> JobsDir:
        jobs_dir = JobsDir(tmp_path / "jobs")
        jobs_dir.prepare()
        return jobs_dir

    @pytest.fixture
    def make(self, jobs_dir: JobsDir) -> Iterator[Callable[..., Executor]]:
        """Makes executors; what still runs on the last of them is killed at the end."""
        made: list[Executor] = []

        def make(ladder: Ladder = LADDER) -> Executor:
            made.append(self.make_executor(jobs_dir, self.command, ladder))
            return made[-1]

        yield make
        for executor in made:
            for worker in list(executor.workers.values()):
                executor.kill(worker, Stop.SERVER)
            self.until(lambda executor=executor: executor.reap() == [] and not executor.workers)  # type: ignore[misc]

    def job(self, jobs_dir: JobsDir, **spec: Any) -> str:
        """The id of a new job of the worker in `digits.testing.executor_worker`."""
        needs = Resources("train")
        request = JobRequest(new_job_id(), Kind.MODEL, "Test", "generic", time.time(), {}, spec, resources=needs)
        jobs_dir.folder(request.id).create(request, UserColumns("test"))
        return request.id

    def start(self, executor: Executor, jobs_dir: JobsDir, **spec: Any) -> Worker:
        """Place and start a new job."""
        job_id = self.job(jobs_dir, **spec)
        schedule = executor.place([ResourceRequest(job_id, "train", cpus=1)])
        assert schedule.reasons == schedule.impossible == {}
        return executor.start(schedule.starts[0], attempt=1)

    def until(self, condition: Callable[[], Any], seconds: float = DEADLINE) -> Any:
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return value

    def until_begun(self, jobs_dir: JobsDir, worker: Worker) -> None:
        self.until((jobs_dir.folder(worker.job_id).path / "begun").exists)

    def ended(self, executor: Executor) -> Worker:
        """The one worker that ends next, while its ladder is climbed."""

        def look() -> list[Worker]:
            executor.escalate()
            return executor.reap()

        (worker,) = self.until(look)
        return worker

    def test_a_worker_runs_once_and_is_told_about_once(self, make: Callable[..., Executor], jobs_dir: JobsDir) -> None:
        executor = make()
        worker = self.start(executor, jobs_dir, do="end")
        assert dict(executor.workers) == {worker.job_id: worker}
        assert (worker.attempt, worker.exit_code, worker.stop_reason) == (1, None, Stop.NO)
        ended = self.ended(executor)
        assert (ended.job_id, ended.exit_code) == (worker.job_id, 0)
        assert executor.reap() == []
        assert dict(executor.workers) == {}
        assert not executor.is_busy(worker.job_id)

    def test_a_failure_leaves_its_exit_code_and_its_last_words(self, make: Callable[..., Executor], jobs_dir: JobsDir) -> None:
        executor = make()
        self.start(executor, jobs_dir, do="fail")
        ended = self.ended(executor)
        assert ended.exit_code == FAILURE
        self.until(lambda: LAST_WORDS in executor.log(ended.job_id, 5))
        assert len(executor.log(ended.job_id, 1).splitlines()) <= 1
        assert executor.log(new_job_id(), 5) == ""

    def test_a_worker_that_listens_is_asked_to_stop_and_no_more(self, make: Callable[..., Executor], jobs_dir: JobsDir) -> None:
        executor = make(PATIENT)
        worker = self.start(executor, jobs_dir, do="wait")
        self.until_begun(jobs_dir, worker)
        executor.stop(worker, Stop.ABORT)
        executor.stop(worker, Stop.DELETE)  # the first reason stays
        ended = self.ended(executor)
        assert ended.stop_reason == Stop.ABORT
        assert ended.exit_code is not None
        assert ended.exit_code > 0

    def test_a_worker_that_does_not_listen_ends_with_all_it_started(
        self, make: Callable[..., Executor], jobs_dir: JobsDir
    ) -> None:
        executor = make()
        worker = self.start(executor, jobs_dir, do="wait", deaf=True)
        self.until_begun(jobs_dir, worker)
        executor.stop(worker, Stop.ABORT)
        ended = self.ended(executor)
        assert ended.exit_code != 0
        child = int((jobs_dir.folder(worker.job_id).path / "child").read_text())
        self.until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)

    def test_kill_does_not_ask(self, make: Callable[..., Executor], jobs_dir: JobsDir) -> None:
        executor = make(PATIENT)
        worker = self.start(executor, jobs_dir, do="wait", deaf=True)
        self.until_begun(jobs_dir, worker)
        executor.kill(worker, Stop.SILENT)
        assert self.ended(executor).stop_reason == Stop.SILENT

    def test_a_worker_outlives_its_executor_and_is_adopted(self, make: Callable[..., Executor], jobs_dir: JobsDir) -> None:
        worker = self.start(make(), jobs_dir, do="wait")
        self.until_begun(jobs_dir, worker)
        second = make()
        assert dict(second.workers) == {}
        assert second.is_busy(worker.job_id)
        adopted = second.adopt(worker.job_id, "train")
        assert adopted is not None
        assert (adopted.job_id, adopted.attempt, adopted.allocation.cpus) == (worker.job_id, 1, worker.allocation.cpus)
        assert second.reap() == []
        second.stop(adopted, Stop.ABORT)
        assert self.ended(second).stop_reason == Stop.ABORT
        assert second.adopt(worker.job_id, "train") is None
        assert not second.is_busy(worker.job_id)
        assert second.describe_absence(worker.job_id)

    def test_a_second_worker_of_a_job_is_refused(self, make: Callable[..., Executor], jobs_dir: JobsDir) -> None:
        first, second = make(), make()
        worker = self.start(first, jobs_dir, do="wait")
        self.until_begun(jobs_dir, worker)
        second.start(replace(worker.allocation), attempt=2)
        assert self.ended(second).exit_code == EXIT_BUSY
        assert first.reap() == []

    def test_silence_is_noticed(self, make: Callable[..., Executor], jobs_dir: JobsDir) -> None:
        executor = make()
        worker = self.start(executor, jobs_dir, do="wait")
        self.until_begun(jobs_dir, worker)
        assert executor.silent(DEADLINE) == []
        time.sleep(0.1)
        assert executor.silent(0.0) == [worker]

    def test_who_cannot_start_now_is_told_why(self, make: Callable[..., Executor], jobs_dir: JobsDir) -> None:
        executor = make()
        executor.refresh()
        slots = executor.describe()["cpu_slots"]
        assert slots >= 1
        queue = [ResourceRequest(new_job_id(), "train", cpus=slots) for _ in range(2)]
        schedule = executor.place(queue)
        answered = [*(start.job_id for start in schedule.starts), *schedule.reasons, *schedule.impossible]
        assert sorted(answered) == sorted(request.job_id for request in queue)
        assert all(isinstance(start, Allocation) and start.cpus >= 1 for start in schedule.starts)
        assert all(schedule.reasons.values())
        assert set(executor.free_gpus()) <= {gpu["id"] for gpu in executor.describe()["gpus"]}
