"""A real worker process with a tiny job: counts steps, keeps a checkpoint, and fails in the ways its spec asks for.

spec: steps, seconds (a step), checkpoint_every, die_at {attempt: step}, signal, raises, exit, child, deaf, print_mb, memory_mb,
fill
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from digits.domain.events import MetricEvent, ProgressEvent
from digits.errors import JobStopped, TrainingError
from digits.storage.files import write_json
from digits.worker.runtime import WorkerContext, main

CHILD = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
ERRORS = {
    "memory": MemoryError(),
    "import": ImportError("No module named 'nonsense'", name="nonsense"),
    "digits": TrainingError("The loss is not a number.", advice="Lower the learning rate."),
    "bug": ZeroDivisionError("division by zero"),
}


def resume_point(context: WorkerContext) -> tuple[int, int] | None:
    """The step and event offset of the checkpoint."""
    state = _checkpoint(context)
    return (state["step"], state["offset"]) if state else None


def run(context: WorkerContext) -> None:
    """Count."""
    spec = context.request.spec
    _prepare(context, spec)
    kept = b"x" * (spec.get("memory_mb", 0) << 20)
    state = _checkpoint(context) or {"step": 0}
    for step in range(state["step"], spec.get("steps", 5)):
        if context.folder.finish_file.exists() and context.attempt >= spec.get("finishes_in", 1):
            return
        if context.should_stop() and not spec.get("deaf"):
            raise JobStopped("Stopped at a step.")
        if str(context.attempt) in spec.get("die_at", {}) and step == spec["die_at"][str(context.attempt)]:
            os.kill(os.getpid(), spec.get("signal", signal.SIGKILL))
        _step(context, spec, step)
    del kept


def _prepare(context: WorkerContext, spec: dict) -> None:
    if spec.get("child"):
        child = subprocess.Popen([sys.executable, "-c", CHILD])
        (context.folder.path / "child.pid").write_text(str(child.pid))
    if spec.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for _ in range(spec.get("print_mb", 0)):
        print("x" * 2**20)
    if spec.get("raises"):
        raise ERRORS[spec["raises"]]
    if "exit" in spec:
        print("the last words", flush=True)
        os._exit(spec["exit"])


def _step(context: WorkerContext, spec: dict, step: int) -> None:
    total = spec.get("steps", 5)
    time.sleep(spec.get("seconds", 0.0))
    epoch = (step + 1) / total
    value = {"loss": 1.0 / (step + 1), "accuracy": epoch * 100}
    kinds = {"loss": "loss", "accuracy": "accuracy"}
    context.emit(MetricEvent(step=step + 1, epoch=epoch, phase="train", values={"loss": value["loss"]}, kinds=kinds))
    context.emit(MetricEvent(step=step + 1, epoch=epoch, phase="val", values=value, kinds=kinds))
    offset = context.emit(ProgressEvent(fraction=epoch, step=step + 1, epoch=epoch, eta=1.0))
    if spec.get("fill"):
        context.retry_when_disk_full(lambda: _fill(context.folder.path / f"part-{step}", spec["fill"]))
    if (step + 1) % spec.get("checkpoint_every", 1) == 0:
        context.retry_when_disk_full(lambda: _save(context, step + 1, offset))


def _save(context: WorkerContext, step: int, offset: int) -> None:
    context.folder.checkpoint.mkdir(exist_ok=True)
    write_json(context.folder.checkpoint / "state.json", {"step": step, "offset": offset})


def _fill(path: Path, size: int) -> None:
    from digits.storage.files import atomic

    with atomic(path) as handle:
        handle.write(b"x" * size)


def _checkpoint(context: WorkerContext) -> dict | None:
    file = context.folder.checkpoint / "state.json"
    return json.loads(file.read_text()) if file.exists() else None


if __name__ == "__main__":
    name = "tests.supervisor.fake_worker"
    sys.exit(main(runners={"dataset": name, "model": name, "evaluation": name}))
