"""A server in a process of its own, to be killed: `python -m tests.faults.fake_server JOBS_DIR [real]`. Its one service sleeps,
its workers are fake ones unless they are to be `real`."""

from __future__ import annotations

import sys
from pathlib import Path

from digits.config import Settings
from digits.supervisor import ServiceSpec, run
from digits.supervisor.local_executor import WORKER_COMMAND
from tests.supervisor.conftest import WORKER

SLEEPER = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"


def serve(jobs_dir: str, worker: tuple[str, ...] = WORKER) -> None:
    """Until a signal comes."""
    pid_file = Path(jobs_dir) / ".digits" / "service.pid"
    service = ServiceSpec("sleeper", [sys.executable, "-c", SLEEPER, str(pid_file)], ready=pid_file.exists)
    settings = Settings(jobs_dir=jobs_dir, min_free_mb=1, cpu_slots=4)
    run(settings, [service], address="http://127.0.0.1:1", on_ready=lambda: print("ready", flush=True), worker_command=worker)


if __name__ == "__main__":
    serve(sys.argv[1], WORKER_COMMAND if "real" in sys.argv else WORKER)
