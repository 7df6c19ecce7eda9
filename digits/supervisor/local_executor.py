"""Workers as processes of this machine: started, recognised after a restart, watched, and stopped by a ladder.

Holds: a worker leads a session and a process group of its own, so it outlives the supervisor and can be ended with all its
children. When the leader has died, what is left of its group is killed before its pid is given back to the system. A worker
belongs to a jobs directory, a run of the machine and a start time, and holds the lock of its job in that directory: only one of
which all this is true is adopted or, later, signalled.
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import digits
from digits.domain.training import CHECKPOINT_SECONDS
from digits.errors import StorageError, Unavailable
from digits.storage.files import is_read_only, read_json
from digits.storage.folders import JobFolder, JobsDir
from digits.storage.identity import settle
from digits.storage.modes import umask_of
from digits.supervisor.executor import Ladder, Stop, Worker
from digits.supervisor.gpus import Gpu, list_gpus
from digits.supervisor.scheduling import Allocation, Machine, ResourceRequest, Schedule, schedule
from digits.utils.cores import usable_cores
from digits.utils.memory import memory_words, oom_kills
from digits.utils.memory_use import memory_of_groups
from digits.utils.processes import (
    ProcessIdentity,
    boot_identity,
    pid_namespace,
    session_members,
    signal_group,
    signal_process,
)

logger = logging.getLogger(__name__)

WORKER_COMMAND = (sys.executable, "-P", "-m", "digits.worker")
# Threads of OpenMP wait for each other by spinning; with more threads than processors that makes a training five times slower.
# This many turns (the default is 300,000) are as fast on an idle machine.
BRIEF_SPINS = {"GOMP_SPINCOUNT": "2000"}
OUTPUT_SECONDS = 1.0
TAIL_BYTES = 16 * 2**10
DISAPPEARED = "it disappeared while no server was watching"


@dataclass
class LocalWorker(Worker):
    """The process group that `leader` leads. `process` is there for those that this supervisor started itself."""

    leader: ProcessIdentity = field(default_factory=lambda: ProcessIdentity(0, 0.0, ""))
    process: subprocess.Popen[bytes] | None = None
    oom_kills: int = 0  # of the system before it started
    stop_since: float = 0.0
    stop_step: int = 0
    beat: float = 0.0  # modification time of the heartbeat file ...
    beat_seen: float = 0.0  # ... and when (monotonic clock) it was first seen to be that

    def __post_init__(self) -> None:
        self.columns = {"pid": self.pid, "pid_start": self.leader.started}
        self.beat_seen = time.monotonic()

    @property
    def pid(self) -> int:
        return self.leader.pid


class LocalExecutor:
    """All running workers, by job id. `cpu_slots` 0 means one for each processor."""

    def __init__(
        self,
        jobs_dir: JobsDir,
        command: Sequence[str] = WORKER_COMMAND,
        ladder: Ladder | None = None,
        checkpoint_seconds: int = CHECKPOINT_SECONDS,
        environ: Mapping[str, str] | None = None,
        cpu_slots: int = 0,
        gpus: Callable[[], list[Gpu]] = list_gpus,
    ) -> None:
        self.jobs_dir = jobs_dir
        self.command = tuple(command)
        self.ladder = ladder or Ladder()
        self.checkpoint_seconds = checkpoint_seconds
        self.environ = dict(os.environ if environ is None else environ)
        self.cpu_slots = cpu_slots or usable_cores()
        self.workers: dict[str, LocalWorker] = {}
        self.gpus: list[Gpu] = []
        self.gpu_problem = ""  # why the list may not be what there is
        self._list_gpus = gpus
        self.refresh()

    @cached_property
    def directory(self) -> str:
        """The id of the jobs directory."""
        return settle(self.jobs_dir).id

    # -- places -------------------------------------------------------------------------------------------------------

    def place(self, queue: Sequence[ResourceRequest]) -> Schedule:
        """The rule of `scheduling`, over the processors and GPUs of this machine."""
        machine = Machine(self.cpu_slots, tuple(gpu.id for gpu in self.gpus), gpu_problem=self.gpu_problem)
        return schedule(queue, [worker.allocation for worker in self.workers.values()], machine)

    def refresh(self) -> None:
        """Query the driver again: it may have come up after the server did. One that was there and does not answer keeps its
        devices, and jobs wait for it."""
        try:
            found, problem = self._list_gpus(), ""
        except Unavailable as error:
            found, problem = self.gpus, error.message
        if self.gpus and not found:
            found, problem = self.gpus, "The NVIDIA driver is gone."
        if problem and problem != self.gpu_problem:
            logger.warning("%s Jobs that need a GPU wait until it does.", problem)
        self.gpus, self.gpu_problem = found, problem

    def free_gpus(self) -> list[str]:
        """Devices that no job has reserved."""
        reserved = self._reserved()
        return [] if self.gpu_problem else [gpu.id for gpu in self.gpus if gpu.id not in reserved]

    def describe(self) -> dict[str, Any]:
        """`cpu_slots`, and `gpus` with the `job` that has each."""
        jobs = self._reserved()
        return {"cpu_slots": self.cpu_slots, "gpus": [{**asdict(gpu), "job": jobs.get(gpu.id, "")} for gpu in self.gpus]}

    def _reserved(self) -> dict[str, str]:
        return {gpu: worker.job_id for worker in self.workers.values() for gpu in worker.allocation.gpus}

    # -- start and adopt ----------------------------------------------------------------------------------------------

    def start(self, allocation: Allocation, attempt: int) -> LocalWorker:
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
            umask=umask_of(self.jobs_dir.mode),
        )
        os.close(log)
        worker = LocalWorker(
            allocation.job_id,
            attempt,
            allocation,
            leader=ProcessIdentity.of(process.pid),
            process=process,
            oom_kills=oom_kills(),
        )
        self.workers[allocation.job_id] = worker
        return worker

    def adopt(self, job_id: str, pool: str) -> LocalWorker | None:
        """Take over the worker that `worker.json` names, where it still runs on this machine and for this directory."""
        identity, here = self._identity(job_id), boot_identity()
        pid, started = int(identity.get("pid", 0)), float(identity.get("start", 0.0))
        leader = ProcessIdentity(pid, started, str(identity.get("boot") or here))
        if not self._belongs_here(identity) or not leader.is_alive() or not self.is_busy(job_id):
            return None
        gpus = tuple(str(gpu) for gpu in identity.get("gpus", ()))
        allocation = Allocation(job_id, pool, int(identity.get("cpus", 1)), gpus)
        attempt = int(identity.get("attempt", 1))
        worker = LocalWorker(job_id, attempt, allocation, leader=leader, oom_kills=oom_kills())
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

    def describe_absence(self, job_id: str) -> str:
        """Whether the machine was started again since the job's newest worker began, or this is not known."""
        return "the machine was started again" if self._was_rebooted(self._identity(job_id)) else DISAPPEARED

    def _identity(self, job_id: str) -> dict[str, Any]:
        """What the newest worker wrote about itself; empty where it did not come so far."""
        try:
            value = read_json(self.jobs_dir.folder(job_id).worker_file)
        except StorageError:
            return {}
        return value if isinstance(value, dict) else {}

    def _belongs_here(self, identity: Mapping[str, Any]) -> bool:
        """Whether a worker was started for this directory (those of earlier versions do not say: their lock does) and by this
        machine's pids."""
        here = {"directory": self.directory, "host": socket.gethostname(), "namespace": pid_namespace()}
        return all(identity.get(name, value) == value for name, value in here.items())

    def _was_rebooted(self, identity: Mapping[str, Any]) -> bool:
        boot = identity.get("boot", "")
        return bool(boot) and boot != boot_identity()

    # -- the ladder ---------------------------------------------------------------------------------------------------

    def stop(self, worker: Worker, reason: Stop) -> None:
        """Request the leader to stop (SIGTERM), once: it may save a checkpoint."""
        if worker.stop_reason:
            return
        local = self.workers[worker.job_id]
        local.stop_reason, local.stop_since, local.stop_step = reason, time.monotonic(), 0
        self._signal(local, signal.SIGTERM, whole_group=False)

    def kill(self, worker: Worker, reason: Stop) -> None:
        """Kill the whole group."""
        local = self.workers[worker.job_id]
        local.stop_reason = local.stop_reason or reason
        local.stop_step = 2
        self._signal(local, signal.SIGKILL)

    def escalate(self) -> None:
        """After the leader the whole group (SIGTERM), after that SIGKILL."""
        now = time.monotonic()
        for worker in self.workers.values():
            if not worker.stop_reason:
                continue
            waited = now - worker.stop_since
            if worker.stop_step == 0 and waited >= self.ladder.request:
                worker.stop_step = 1
                self._signal(worker, signal.SIGTERM)
            elif worker.stop_step == 1 and waited >= self.ladder.request + self.ladder.terminate:
                self.kill(worker, worker.stop_reason)

    def _signal(self, worker: LocalWorker, number: signal.Signals, whole_group: bool = True) -> None:
        """A worker that was adopted is signalled for as long as it has its job in this directory: what lies at its path may have
        been replaced meanwhile."""
        if worker.process is None and worker.leader.is_alive() and not self.is_busy(worker.job_id):
            logger.warning("pid %d is no worker of this directory any more.", worker.pid, extra={"job_id": worker.job_id})
            return
        (signal_group if whole_group else signal_process)(worker.leader, number)

    # -- watch --------------------------------------------------------------------------------------------------------

    def reap(self) -> list[Worker]:
        """Workers that have ended, with nobody left of their groups."""
        ended = [worker for worker in self.workers.values() if self._has_ended(worker)]
        for worker in ended:
            del self.workers[worker.job_id]
        return list(ended)

    def silent(self, seconds: float) -> list[Worker]:
        """Workers whose heartbeat file has not changed for so long."""
        now = time.monotonic()
        return [worker for worker in self.workers.values() if now - self._last_beat(worker, now) > seconds]

    def greedy(self, size: int) -> list[Worker]:
        """Workers whose process groups have more memory of their own than so many bytes."""
        taken = memory_of_groups({worker.pid for worker in self.workers.values()})
        return [worker for worker in self.workers.values() if taken.get(worker.pid, 0) > size]

    def log(self, job_id: str, lines: int) -> str:
        """The end of `worker.log`."""
        try:
            with open(self.jobs_dir.folder(job_id).log_file, "rb") as handle:
                handle.seek(max(0, handle.seek(0, os.SEEK_END) - TAIL_BYTES))
                text = handle.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.rstrip().splitlines()[-lines:])

    def _has_ended(self, worker: LocalWorker) -> bool:
        if not self._is_over(worker):
            return False
        killed = worker.exit_code in (None, -signal.SIGKILL) and not worker.stop_reason
        worker.out_of_memory = memory_words() if killed and oom_kills() > worker.oom_kills else ""
        return True

    def _is_over(self, worker: LocalWorker) -> bool:
        if worker.process is None:
            if worker.leader.is_alive():
                return False
            signal_group(worker.leader, signal.SIGKILL)
            _await_output(worker.pid)
            return True
        if os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return False
        signal_group(worker.leader, signal.SIGKILL)
        _await_output(worker.pid)
        worker.exit_code = worker.process.wait()
        return True

    def _last_beat(self, worker: LocalWorker, now: float) -> float:
        try:
            beat = self.jobs_dir.folder(worker.job_id).heartbeat_file.stat().st_mtime
        except OSError:
            beat = 0.0
        if beat != worker.beat or is_read_only(self.jobs_dir.folder(worker.job_id).path):  # then nobody can show a sign
            worker.beat, worker.beat_seen = beat, now
        return worker.beat_seen

    # -- the command --------------------------------------------------------------------------------------------------

    def _arguments(self, allocation: Allocation, attempt: int) -> list[str]:
        arguments = ["--jobs-dir", str(self.jobs_dir.path), "--attempt", str(attempt), "--cpus", str(allocation.cpus)]
        arguments += ["--checkpoint-seconds", str(self.checkpoint_seconds), "--directory", self.directory]
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


def _await_output(leader: int) -> None:
    """Give the process that writes a worker's last words to its log (see `worker.runtime`) the moment that it needs."""
    ends = time.monotonic() + OUTPUT_SECONDS
    while any(pid != leader for pid in session_members(leader)) and time.monotonic() < ends:
        time.sleep(0.02)


def _open_log(folder: JobFolder) -> int:
    """`worker.log` for what is printed before the worker bounds its own output."""
    return os.open(folder.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
