"""A jobs directory, jobs whose workers do next to nothing, and a supervisor that is ticked by hand."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from digits.config import Settings
from digits.domain.jobs import Kind, Resources
from digits.service import Service
from digits.service.jobs import create_job
from digits.storage.jobs.store import Job
from digits.supervisor.executor import Ladder
from digits.supervisor.local_executor import LocalExecutor, LocalWorker
from digits.supervisor.loop import Supervisor
from digits.utils.processes import ProcessIdentity, signal_group
from tests.waiting import PATIENCE_SECONDS

WORKER = (sys.executable, "-m", "tests.supervisor.fake_worker")


class World:
    """A service and the supervisors that a test starts one after the other on its jobs directory."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        values: dict[str, Any] = {"jobs_dir": str(folder), "auth": False, "min_free_mb": 1, "cpu_slots": 4, **settings}
        self.settings = Settings(**values)
        self.service = Service.open(self.settings)
        self.supervisor: Supervisor | None = None
        self._leaders: set[ProcessIdentity] = set()

    def job(
        self,
        kind: Kind = Kind.MODEL,
        parents: tuple[str, ...] = (),
        needs: Resources | None = None,
        form: dict[str, Any] | None = None,
        **spec: Any,
    ) -> Job:
        """A new job of the fake worker."""
        return create_job(
            self.service,
            kind=kind,
            task="classification",
            type_name="Test",
            name=str(kind),
            form=form or {},
            spec=spec,
            resources=needs or Resources("train" if kind == Kind.MODEL else "create_db"),
            parents=parents,
            dataset_id=parents[0] if parents else "",
        )

    def supervise(
        self, ladder: Ladder | None = None, gpus: Any = (), command: tuple[str, ...] = WORKER, **options: Any
    ) -> Supervisor:
        """A supervisor as after a start of the server; one before it is forgotten as after kill -9."""
        executor = LocalExecutor(
            self.service.jobs_dir,
            command,
            ladder or Ladder(request=2.0, terminate=1.0),
            checkpoint_seconds=1,
            cpu_slots=self.settings.cpu_slots,
            gpus=gpus if callable(gpus) else lambda: list(gpus),
        )
        store = self.service.store
        self.supervisor = Supervisor(self.settings, self.service.jobs_dir, store, executor=executor, **options)
        self.supervisor.open()
        return self.supervisor

    def workers(self) -> dict[str, LocalWorker]:
        """The processes of the newest supervisor, by job id."""
        assert self.supervisor is not None
        assert isinstance(self.supervisor.executor, LocalExecutor)
        return self.supervisor.executor.workers

    def get(self, job: Job) -> Job:
        """The row as it is now."""
        found = self.service.store.find(job.id, with_deleted=True)
        assert found is not None
        return found

    def until(self, condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> None:
        """Tick until the condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, [(j.id, j.status, j.message, j.error) for j in self.jobs()]
            if self.supervisor is not None:
                self.supervisor.tick()
                self._leaders |= {worker.leader for worker in self.workers().values()}
            time.sleep(0.02)

    def until_ended(self, *jobs: Job, seconds: float = PATIENCE_SECONDS) -> list[Job]:
        """Tick until the jobs have ended; their rows."""
        self.until(lambda: all(not self.get(job).status.is_running for job in jobs), seconds)
        return [self.get(job) for job in jobs]

    def jobs(self) -> list[Job]:
        """All rows."""
        from digits.storage.jobs.store import JobQuery

        return self.service.store.query(JobQuery()).jobs

    def close(self) -> None:
        """End whatever still runs."""
        if self.supervisor is not None:
            for worker in self.workers().values():
                self._leaders.add(worker.leader)
                if worker.process is not None:
                    signal_group(worker.leader, signal.SIGKILL)
                    worker.process.wait()
            self.supervisor.close()
        for leader in self._leaders:
            signal_group(leader, signal.SIGKILL)
        self.service.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world on a temporary directory."""
    world = World(tmp_path / "jobs")
    yield world
    world.close()
