"""Where workers run: the contract between the supervisor and whatever starts, watches and ends them.

Holds for every executor:

* It is used by one thread, and no method waits for a worker. `digits.testing.ExecutorContract` is this contract as tests.
* A job has at most one worker. A worker outlives its executor: another one, made later on the same jobs directory, adopts it.
  One of a directory of which this one is a copy is neither adopted nor signalled (see `storage.identity`).
* What a worker reads and writes lies in the jobs directory, which it sees under the same path; its sign of life is the file
  `heartbeat` in the job's folder, its standard output and error go to what `log` gives.
* A worker is ended by a ladder: requested to stop (it may save a checkpoint), terminated with everything it started,
  killed. When it has ended, nothing that it started is left.
* Nothing is said about how a worker is named or reached. `Worker.columns` is what its row keeps of that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from digits.supervisor.scheduling import Allocation, ResourceRequest, Schedule

EXIT_BUSY = 3  # as digits.worker.runtime: another worker has the job already


@dataclass(frozen=True)
class Ladder:
    """Seconds that each step of stopping a worker may take before the next one: requested, then terminated, then killed."""

    request: float = 20.0
    terminate: float = 5.0


class Stop(StrEnum):
    """Why a worker is being ended."""

    NO = ""
    ABORT = "abort"
    DELETE = "delete"
    SILENT = "silent"  # no sign of life
    MEMORY = "memory"  # it took more than the settings allow
    SERVER = "server"  # the server ends and takes its workers with it
    SIGNAL = "signal"  # somebody else requested it to end, such as a service manager that stops everything
    COPY = "copy"  # it belongs to the jobs directory of which this one is a copy


@dataclass
class Worker:
    """A running worker, or one that has ended.

    `columns` are those of the job's row that say where it runs. `exit_code` is as `subprocess` has it (negative: a signal);
    None while it runs, and where nobody saw it end. `out_of_memory` says how much there was where it
    was ended for want of memory.
    """

    job_id: str
    attempt: int
    allocation: Allocation
    columns: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    stop_reason: Stop = Stop.NO
    out_of_memory: str = ""


class Executor(Protocol):
    """See the module for what holds."""

    @property
    def workers(self) -> Mapping[str, Worker]:
        """Those that run and that this executor started or adopted, by job id."""

    def place(self, queue: Sequence[ResourceRequest]) -> Schedule:
        """Which of the waiting jobs, in order of priority and age, may start now and with what; why each other one waits."""

    def start(self, allocation: Allocation, attempt: int) -> Worker:
        """Start the worker of a job. Raises OSError or DigitsError when it cannot be started."""

    def adopt(self, job_id: str, pool: str) -> Worker | None:
        """Take over the worker that an earlier executor started, where it still runs."""

    def is_busy(self, job_id: str) -> bool:
        """Whether a worker has the job, even one that cannot be adopted yet."""

    def describe_absence(self, job_id: str) -> str:
        """Why a job that should be running has no worker, for people: `it disappeared while …`."""

    def stop(self, worker: Worker, reason: Stop) -> None:
        """Begin (once) to end a worker: the first step of the ladder."""

    def kill(self, worker: Worker, reason: Stop) -> None:
        """The last step of the ladder at once."""

    def escalate(self) -> None:
        """The next step of the ladder for each worker that was given its time."""

    def reap(self) -> list[Worker]:
        """Workers that have ended since the last call; they are no longer in `workers`."""

    def silent(self, seconds: float) -> list[Worker]:
        """Workers that gave no sign of life for so long. A machine that slept does not count as silence."""

    def greedy(self, size: int) -> list[Worker]:
        """Workers that have, with all that they started, more than so many bytes of memory of their own."""

    def log(self, job_id: str, lines: int) -> str:
        """The last lines of what the job's workers printed; empty where there is nothing."""

    def refresh(self) -> None:
        """Look again at what there is to give: devices may have come up since."""

    def free_gpus(self) -> list[str]:
        """Devices of this machine that no job has reserved."""

    def describe(self) -> dict[str, Any]:
        """What there is to give: `cpu_slots`, and `gpus` with the `job` that has each (or an empty text)."""
