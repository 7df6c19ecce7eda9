"""The worker that `ExecutorContract` lets executors start: does what its job's spec says (`do`: `end`, `fail` or `wait`)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from digits.errors import JobStopped
from digits.worker.runtime import WorkerContext, main

FAILURE = 7
LAST_WORDS = "these are the last words"
CHILD = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


def run(context: WorkerContext) -> None:
    """`fail` ends with exit code 7; `wait` waits for the stop, for ever and with a child where it is `deaf`."""
    spec = context.request.spec
    if spec["do"] == "fail":
        print(LAST_WORDS, flush=True)
        os._exit(FAILURE)
    if spec.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", CHILD])
        (context.folder.path / "child").write_text(str(child.pid))
    (context.folder.path / "begun").touch()
    while spec["do"] == "wait":
        time.sleep(0.02)
        if context.should_stop() and not spec.get("deaf"):
            raise JobStopped("Stopped.")


if __name__ == "__main__":
    name = "digits.testing.executor_worker"
    sys.exit(main(runners={"dataset": name, "model": name, "evaluation": name}))
