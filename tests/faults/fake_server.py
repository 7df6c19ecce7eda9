"""A server in a process of its own, to be killed: `python -m tests.faults.fake_server JOBS_DIR [real] [stop-jobs]`. Its one
service sleeps, its workers are fake ones unless they are to be `real`, and end with it only if it is to `stop-jobs`."""

from __future__ import annotations

import sys
from pathlib import Path

from digits.config import Settings
from digits.supervisor import ServiceSpec, run
from digits.supervisor.local_executor import WORKER_COMMAND
from tests.supervisor.conftest import WORKER

SLEEPER = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"


def serve(jobs_dir: str, options: list[str]) -> None:
    """Until a signal comes."""
    pid_file = Path(jobs_dir) / ".digits" / "service.pid"
    service = ServiceSpec(
        "sleeper", [sys.executable, "-c", SLEEPER, str(pid_file)], env={"SOCKETS": "{runtime}"}, ready=pid_file.exists
    )
    run(
        Settings(jobs_dir=jobs_dir, min_free_mb=1, cpu_slots=4),
        [service],
        address="http://127.0.0.1:1",
        stop_jobs="stop-jobs" in options,
        on_ready=lambda: print("ready", flush=True),
        worker_command=WORKER_COMMAND if "real" in options else WORKER,
    )


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:])
