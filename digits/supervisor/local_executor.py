"""Worker processes: started, recognised after a restart, watched, and stopped by a ladder.

Holds: a worker leads a session and a process group of its own, so it outlives the supervisor and can be ended with all its
children. When the leader has died, what is left of its group is killed before its pid is given back to the system.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import digits
from digits.errors import StorageError
from digits.storage.files import read_json
from digits.storage.folders import JobFolder, JobsDir
from digits.supervisor.scheduling import Allocation
from digits.utils.processes import boot_identity, group_members, is_alive, signal_group, signal_process, start_time

WORKER_COMMAND = (sys.executable, "-P", "-m", "digits.worker")
# Threads of OpenMP wait for each other by spinning; with more threads than processors that makes a training five times slower.
# This many turns (the default is 300,000) are as fast on an idle machine.
BRIEF_SPINS = {"GOMP_SPINCOUNT": "2000"}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ladder:
    """How long each step of stopping a worker may take, in seconds, before the next one.

    First the leader is asked (SIGTERM: it may save a checkpoint), then its whole group, then the group is killed.
    """

    ask: float = 20.0
    terminate: float = 5.0


class Stop(StrEnum):
    """Why a worker is being ended."""

    NO = ""
    ABORT = "abort"
    DELETE = "delete"
    SILENT = "silent"  # no sign of life
    SERVER = "server"  # the server ends and takes its workers with it


@dataclass
class Worker:
    """One running worker. `process` is there for those that this supervisor started itself."""

    job_id: str
    pid: int
    started: float
    attempt: int
    allocation: Allocation
    process: subprocess.Popen[bytes] | None = None
    stop_reason: Stop = Stop.NO
    stop_since: float = 0.0
    stop_step: int = 0
    beat: float = 0.0  # modification time of the heartbeat file ...
    beat_seen: float = 0.0  # ... and when (monotonic clock) it was first seen to be that

    @property
    def exit_code(self) -> int | None:
        """As `subprocess` has it (negative: a signal); None where it is not known, because the worker was adopted."""
        return self.process.returncode if self.process else None


class LocalExecutor:
    """All running workers, by job id."""

    def __init__(
        self,
        jobs_dir: JobsDir,
        command: Sequence[str] = WORKER_COMMAND,
        ladder: Ladder | None = None,
        checkpoint_seconds: int = 60,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.jobs_dir = jobs_dir
        self.command = tuple(command)
        self.ladder = ladder or Ladder()
        self.checkpoint_seconds = checkpoint_seconds
        self.environ = dict(os.environ if environ is None else environ)
        self.workers: dict[str, Worker] = {}

    def allocations(self) -> list[Allocation]:
        """What the running workers hold."""
        return [worker.allocation for worker in self.workers.values()]

    def start(self, allocation: Allocation, attempt: int) -> Worker:
        """Start a worker. Raises OSError when the system refuses."""
        folder = self.jobs_dir.folder(allocation.job_id)
        process = subprocess.Popen(
            [*self.command, *self._arguments(allocation, attempt)],
            stdin=subprocess.DEVNULL,
            stdout=(log := _open_log(folder)),
            stderr=log,
            env=self._environment(allocation),
            cwd=folder.path,
            start_new_session=True,
        )
        os.close(log)
        worker = Worker(allocation.job_id, process.pid, start_time(process.pid), attempt, allocation, process)
        worker.beat_seen = time.monotonic()
        self.workers[allocation.job_id] = worker
        return worker

    def adopt(self, job_id: str, pool: str) -> Worker | None:
        """Take over the worker that `worker.json` names, where it still runs on this machine."""
        identity = self.identity(job_id)
        pid, started = int(identity.get("pid", 0)), float(identity.get("start", 0.0))
        is_here = identity.get("host") == socket.gethostname() and not self.was_rebooted(job_id)
        if not is_here or not is_alive(pid, started):
            return None
        gpus = tuple(str(gpu) for gpu in identity.get("gpus", ()))
        allocation = Allocation(job_id, pool, int(identity.get("cpus", 1)), gpus)
        worker = Worker(job_id, pid, started, int(identity.get("attempt", 1)), allocation, beat_seen=time.monotonic())
        self.workers[job_id] = worker
        return worker

    def is_busy(self, job_id: str) -> bool:
        """Whether a worker has the job, even one that did not come to writing who it is."""
        try:
            with open(self.jobs_dir.folder(job_id).lock_file, "ab") as handle:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def identity(self, job_id: str) -> dict[str, Any]:
        """What the newest worker wrote about itself; empty where it did not come so far."""
        try:
            value = read_json(self.jobs_dir.folder(job_id).worker_file)
        except StorageError:
            return {}
        return value if isinstance(value, dict) else {}

    def was_rebooted(self, job_id: str) -> bool:
        """Whether the machine was started again since the job's newest worker began."""
        boot = self.identity(job_id).get("boot", "")
        return bool(boot) and boot != boot_identity()

    def stop(self, worker: Worker, reason: Stop) -> None:
        """Begin (once) to end a worker: the first step of the ladder."""
        if worker.stop_reason:
            return
        worker.stop_reason, worker.stop_since, worker.stop_step = reason, time.monotonic(), 0
        signal_process(worker.pid, signal.SIGTERM)

    def kill(self, worker: Worker, reason: Stop) -> None:
        """End a worker that would not listen: the last step of the ladder at once."""
        worker.stop_reason = worker.stop_reason or reason
        worker.stop_step = 2
        signal_group(worker.pid, signal.SIGKILL)

    def escalate(self) -> None:
        """The next step for each worker that was given its time."""
        now = time.monotonic()
        for worker in self.workers.values():
            if not worker.stop_reason:
                continue
            waited = now - worker.stop_since
            if worker.stop_step == 0 and waited >= self.ladder.ask:
                worker.stop_step = 1
                signal_group(worker.pid, signal.SIGTERM)
            elif worker.stop_step == 1 and waited >= self.ladder.ask + self.ladder.terminate:
                self.kill(worker, worker.stop_reason)

    def reap(self) -> list[Worker]:
        """Workers that have ended since the last call, with nobody left of their groups; they are no longer in `workers`."""
        ended = [worker for worker in self.workers.values() if self._has_ended(worker)]
        for worker in ended:
            del self.workers[worker.job_id]
        return ended

    def silent(self, seconds: float) -> list[Worker]:
        """Workers whose heartbeat file has not changed for so long. A machine that slept does not count as silence."""
        now = time.monotonic()
        return [worker for worker in self.workers.values() if now - self._last_beat(worker, now) > seconds]

    def _has_ended(self, worker: Worker) -> bool:
        if worker.process is None:
            if is_alive(worker.pid, worker.started):
                return False
            for pid in group_members(worker.pid):
                signal_process(pid, signal.SIGKILL)
            return True
        if os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return False
        signal_group(worker.pid, signal.SIGKILL)
        worker.process.wait()
        return True

    def _last_beat(self, worker: Worker, now: float) -> float:
        try:
            beat = self.jobs_dir.folder(worker.job_id).heartbeat_file.stat().st_mtime
        except OSError:
            beat = 0.0
        if beat != worker.beat:
            worker.beat, worker.beat_seen = beat, now
        return worker.beat_seen

    def _arguments(self, allocation: Allocation, attempt: int) -> list[str]:
        arguments = ["--jobs-dir", str(self.jobs_dir.path), "--attempt", str(attempt), "--cpus", str(allocation.cpus)]
        arguments += ["--checkpoint-seconds", str(self.checkpoint_seconds)]
        if allocation.gpus:
            arguments += ["--gpus", ",".join(allocation.gpus)]
        return [*arguments, allocation.job_id]

    def _environment(self, allocation: Allocation) -> dict[str, str]:
        """The server's environment with the job's devices and threads; a job without GPUs sees none."""
        threads = {name: str(allocation.cpus) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        devices = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(allocation.gpus)}
        return {
            **BRIEF_SPINS,
            **self.environ,
            **threads,
            **devices,
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": package_path(self.environ),
        }


def package_path(environ: Mapping[str, str]) -> str:
    """PYTHONPATH with which a child finds this very package, installed or not."""
    package = str(Path(digits.__file__).parents[1])
    return os.pathsep.join(path for path in (environ.get("PYTHONPATH", ""), package) if path)


def _open_log(folder: JobFolder) -> int:
    """`worker.log` for what is printed before the worker bounds its own output."""
    return os.open(folder.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
