"""The contract of executors, kept by the local one and by one that knows no process: it hands orders to an agent as files."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from digits.storage.files import write_json
from digits.storage.folders import JobsDir
from digits.supervisor.executor import Ladder, Stop, Worker
from digits.supervisor.local_executor import LocalExecutor
from digits.supervisor.scheduling import Allocation, Machine, ResourceRequest, Schedule, schedule
from digits.testing import ExecutorContract

SLOTS = 4


class TestLocalExecutor(ExecutorContract):
    """Workers as processes of this machine."""

    def make_executor(self, jobs_dir: JobsDir, command: Sequence[str], ladder: Ladder) -> LocalExecutor:
        return LocalExecutor(jobs_dir, command, ladder, cpu_slots=SLOTS, gpus=list)


class Agent(threading.Thread):
    """Elsewhere: does the orders it finds in a folder and writes beside each what came of it."""

    def __init__(self, orders: Path) -> None:
        super().__init__(daemon=True)
        self.orders = orders
        self.over = threading.Event()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def run(self) -> None:
        while not self.over.wait(0.01):
            for order in self.orders.glob("*.start"):
                self._start(order)
            for name, process in list(self._processes.items()):
                self._look_after(name, process)

    def _start(self, order: Path) -> None:
        value = json.loads(order.read_text())
        with open(self.orders / f"{value['job']}.log", "ab") as log:
            self._processes[order.stem] = subprocess.Popen(value["command"], stdout=log, stderr=log, start_new_session=True)
        order.rename(order.with_suffix(".running"))

    def _look_after(self, name: str, process: subprocess.Popen[bytes]) -> None:
        for signal_file in self.orders.glob(f"{name}.signal-*"):
            number = signal_file.name.rpartition("-")[2]
            subprocess.run(["kill", f"-{number}", "--", f"-{process.pid}"], stderr=subprocess.DEVNULL)
            signal_file.unlink()
        if process.poll() is not None:
            subprocess.run(["kill", "-9", "--", f"-{process.pid}"], stderr=subprocess.DEVNULL)
            del self._processes[name]
            (self.orders / f"{name}.running").unlink()
            write_json(self.orders / f"{name}.exit", process.returncode)


class MailExecutor:
    """All it knows of its workers are the files in the folder of an agent."""

    def __init__(self, jobs_dir: JobsDir, orders: Path, command: Sequence[str], ladder: Ladder) -> None:
        self.jobs_dir, self.orders, self.command, self.ladder = jobs_dir, orders, tuple(command), ladder
        self.workers: dict[str, Worker] = {}
        self._names: dict[str, str] = {}
        self._asked: dict[str, tuple[float, int]] = {}

    def place(self, queue: Sequence[ResourceRequest]) -> Schedule:
        return schedule(queue, [worker.allocation for worker in self.workers.values()], Machine(SLOTS))

    def start(self, allocation: Allocation, attempt: int) -> Worker:
        job_id = allocation.job_id
        name = f"{job_id}.{attempt}.{allocation.cpus}"
        arguments = ["--foreground", "--jobs-dir", str(self.jobs_dir.path), "--attempt", str(attempt)]
        arguments += ["--cpus", str(allocation.cpus), job_id]
        write_json(self.orders / f"{name}.start", {"job": job_id, "command": [*self.command, *arguments]})
        return self._take(name, allocation, attempt)

    def adopt(self, job_id: str, pool: str) -> Worker | None:
        for file in self.orders.glob(f"{job_id}.*.running"):
            _, attempt, cpus = file.stem.split(".")
            return self._take(file.stem, Allocation(job_id, pool, int(cpus)), int(attempt))
        return None

    def is_busy(self, job_id: str) -> bool:
        return any(any(self.orders.glob(f"{job_id}.*.{state}")) for state in ("start", "running"))

    def describe_absence(self, job_id: str) -> str:
        return "the agent knows nothing of it"

    def stop(self, worker: Worker, reason: Stop) -> None:
        if not worker.stop_reason:
            worker.stop_reason = reason
            self._send(worker, 15)
            self._asked[worker.job_id] = (time.monotonic(), 0)

    def kill(self, worker: Worker, reason: Stop) -> None:
        worker.stop_reason = worker.stop_reason or reason
        self._asked.pop(worker.job_id, None)
        self._send(worker, 9)

    def escalate(self) -> None:
        for job_id, (since, _) in list(self._asked.items()):
            if time.monotonic() - since > self.ladder.request + self.ladder.terminate:
                self.kill(self.workers[job_id], self.workers[job_id].stop_reason)

    def reap(self) -> list[Worker]:
        ended = []
        for job_id, worker in list(self.workers.items()):
            file = self.orders / f"{self._names[job_id]}.exit"
            if file.exists():
                worker.exit_code = int(file.read_text())
                ended.append(self.workers.pop(job_id))
                self._asked.pop(job_id, None)
        return ended

    def silent(self, seconds: float) -> list[Worker]:
        def age(worker: Worker) -> float:
            return time.time() - self.jobs_dir.folder(worker.job_id).heartbeat_file.stat().st_mtime

        return [worker for worker in self.workers.values() if age(worker) > seconds]

    def greedy(self, size: int) -> list[Worker]:
        return []  # whoever runs them limits them

    def log(self, job_id: str, lines: int) -> str:
        file = self.orders / f"{job_id}.log"
        return "\n".join(file.read_text().splitlines()[-lines:]) if file.exists() else ""

    def refresh(self) -> None:
        return None

    def free_gpus(self) -> list[str]:
        return []

    def describe(self) -> dict[str, Any]:
        return {"cpu_slots": SLOTS, "gpus": []}

    def _take(self, name: str, allocation: Allocation, attempt: int) -> Worker:
        worker = self.workers[allocation.job_id] = Worker(allocation.job_id, attempt, allocation)
        self._names[allocation.job_id] = name
        return worker

    def _send(self, worker: Worker, number: int) -> None:
        (self.orders / f"{self._names[worker.job_id]}.signal-{number}").touch()


class TestMailExecutor(ExecutorContract):
    """Nothing in the contract needs a process of this machine."""

    @pytest.fixture(autouse=True)
    def orders(self, tmp_path: Path) -> Iterator[Path]:
        self.folder = tmp_path / "elsewhere"
        self.folder.mkdir()
        agent = Agent(self.folder)
        agent.start()
        yield self.folder
        agent.over.set()
        agent.join()

    def make_executor(self, jobs_dir: JobsDir, command: Sequence[str], ladder: Ladder) -> MailExecutor:
        return MailExecutor(jobs_dir, self.folder, command, ladder)
