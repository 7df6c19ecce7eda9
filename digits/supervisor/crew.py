"""Worker processes: started, recognised after a restart, watched, and stopped by a ladder.

Holds: a worker leads a session and a process group of its own, so it outlives the supervisor and can be ended with all its
children. When the leader has died, what is left of its group is killed before its pid is given back to the system.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from digits.errors import StorageError
from digits.storage.files import read_json
from digits.storage.folders import JobFolder, JobsDir
from digits.supervisor.planning import Grant
from digits.utils.processes import group_members, is_alive, signal_group, signal_process, start_time

WORKER_COMMAND = (sys.executable, "-m", "digits.worker")
LOCKED_SECONDS = 30.0  # how long a just started worker may take to write worker.json

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ladder:
    """How long each step of stopping a worker may take, in seconds, before the next one.

    First the leader is asked (SIGTERM: it saves a checkpoint), then its whole group, then the group is killed.
    """

    ask: float = 20.0
    terminate: float = 5.0


@dataclass
class Worker:
    """One running worker. `process` is there for those that this supervisor started itself."""

    job_id: str
    pid: int
    started: float
    attempt: int
    grant: Grant
    process: subprocess.Popen[bytes] | None = None
    reason: str = ""  # why it is being stopped; empty while it is not
    stopping_since: float | None = None
    step: int = 0
    beat: tuple[float, float] = (0.0, field(default_factory=time.monotonic))  # type: ignore[assignment]

    def exit_code(self) -> int | None:
        """As `subprocess` has it (negative: a signal), None where it is not known: the worker was adopted."""
        return self.process.returncode if self.process else None


class Crew:
    """All running workers, by job id."""

    def __init__(
        self,
        jobs_dir: JobsDir,
        command: Sequence[str] = WORKER_COMMAND,
        ladder: Ladder = Ladder(),  # noqa: B008 - frozen
        checkpoint_seconds: int = 60,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.jobs_dir = jobs_dir
        self.command = tuple(command)
        self.ladder = ladder
        self.checkpoint_seconds = checkpoint_seconds
        self.environ = dict(os.environ if environ is None else environ)
        self.workers: dict[str, Worker] = {}
