"""Beside TensorBoard and MLflow on the same runs: time to the first page, memory at rest, time until the runs are on the page.

    python benchmarks/beside_others.py [--runs 1000] [--rounds 3] [--folder KEPT] [--chromium /usr/bin/chromium]

Makes the runs (50 epochs of 6 metrics each) in the form of each tool: a jobs directory, event files, an SQLite tracking store.
The other two are installed with pip into an environment of their own in the folder. Each server is started, its first page asked
for, left alone for some seconds, opened in Chromium and left alone again. Memory is the proportional set size of all of its
processes, in 10^6 bytes; the processor's seconds stand beside those of the clock, which other work on the machine stretches. What
counts as shown: of digits and MLflow the first page of the table, of TensorBoard the list of runs beside its charts; each as that
tool opens, so the three do not show the same. Needs Playwright.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from _server import WITH_PARENT
from playwright.sync_api import Browser, sync_playwright

from digits.config import Settings
from digits.service import Service

METRICS = ("loss", "accuracy", "accuracy_top5")
EPOCHS = 50
REST_SECONDS = 10.0
PATIENCE_MS = 240_000
TENSORBOARD = f"""
import math, sys
from pathlib import Path
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

for number in range(int(sys.argv[2])):
    writer = EventFileWriter(str(Path(sys.argv[1], f"run {{number:04d}}")))
    for epoch in range({EPOCHS}):
        values = [Summary.Value(tag=f"{{phase}}/{{name}}", simple_value=math.exp(-epoch / 20) + number / 1e4)
                  for phase in ("train", "val") for name in {METRICS}]
        writer.add_event(Event(wall_time=1.7e9 + epoch, step=epoch, summary=Summary(value=values)))
    writer.close()
"""
MLFLOW = f"""
import math, sys
import mlflow
from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

mlflow.set_tracking_uri("sqlite:///" + sys.argv[1] + "/mlflow.db")
client = MlflowClient()
experiment = client.create_experiment("runs", artifact_location="file://" + sys.argv[1] + "/artifacts")
for number in range(int(sys.argv[2])):
    run = client.create_run(experiment, run_name=f"run {{number:04d}}")
    metrics = [Metric(f"{{phase}}_{{name}}", math.exp(-epoch / 20) + number / 1e4, 1_700_000_000_000 + epoch, epoch)
               for epoch in range({EPOCHS}) for phase in ("train", "val") for name in {METRICS}]
    client.log_batch(run.info.run_id, metrics=metrics, params=[Param("learning_rate", str(0.001 * (number % 7 + 1)))])
    client.set_terminated(run.info.run_id)
print(experiment)
"""


@dataclass(frozen=True)
class Tool:
    """How a server is started on `{port}`, where its runs are, and what of its page (a function) says that they are there."""

    name: str
    command: tuple[str, ...]
    page: str
    shown: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where everything is made, and used again by the next call")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary).resolve()
        tools = prepare(folder, options.runs)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox", "--disable-gpu"])
            for round_number in range(options.rounds):
                for tool in tools if round_number % 2 == 0 else reversed(tools):
                    print(f"{tool.name:<12} {measured(tool, browser, folder)}", flush=True)
            browser.close()


def prepare(folder: Path, runs: int) -> list[Tool]:
    """The runs in all three forms, and the tools."""
    environment = folder / "others"
    python = environment / "bin" / "python"
    if not python.exists():
        venv.create(environment, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "tensorboard", "mlflow"], check=True)
    versions = subprocess.run([python, "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True, text=True)
    print(*[line for line in versions.stdout.split() if line.startswith(("tensorboard==", "mlflow=="))], f"{runs} runs")
    jobs, events, tracking = (folder / name for name in ("jobs", "events", "tracking"))
    if not jobs.exists():
        make_jobs(jobs, runs)
    if not events.exists():
        subprocess.run([python, "-c", TENSORBOARD, events, str(runs)], check=True)
    if not tracking.exists():
        tracking.mkdir()
        made = subprocess.run([python, "-c", MLFLOW, tracking, str(runs)], check=True, capture_output=True, text=True)
        (tracking / "experiment").write_text(made.stdout.split()[-1])
    experiment = (tracking / "experiment").read_text().strip()
    digits = (sys.executable, "-m", "digits", "serve", "--no-auth", "--stop-jobs", "--port", "{port}", "--jobs-dir", str(jobs))
    board = (str(python), "-m", "tensorboard.main", "--logdir", str(events), "--port", "{port}", "--host", "127.0.0.1")
    store = f"sqlite:///{tracking}/mlflow.db"
    flow = (str(python), "-m", "mlflow", "server", "--backend-store-uri", store, "--host", "127.0.0.1", "--port", "{port}")
    return [
        Tool("digits", digits, "/models", "() => document.querySelectorAll('tbody tr[data-id]').length >= 50"),
        Tool("TensorBoard", board, "/", "() => document.body.innerText.includes('run 0000')"),
        Tool("MLflow", flow, f"/#/experiments/{experiment}/runs", "() => /run \\d{4}/.test(document.body.innerText)"),
    ]


def make_jobs(jobs: Path, runs: int) -> None:
    """Finished models with their rows and logs."""
    from queries import fill, unsynced

    service = Service.open(Settings(jobs_dir=str(jobs), auth=False))
    with unsynced():
        fill(service, runs)
    service.close()


def measured(tool: Tool, browser: Browser, folder: Path) -> str:
    """One start of a server, in words."""
    with started(tool, folder) as (process, url, first):
        began_with = processor(process)
        time.sleep(REST_SECONDS)
        idle, count = memory(process)
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        times, used_before = [], processor(process)
        for _ in range(2):
            page.goto("about:blank")
            began = time.perf_counter()
            page.goto(url + tool.page, wait_until="commit")
            page.wait_for_function(tool.shown, timeout=PATIENCE_MS)
            times.append(time.perf_counter() - began)
        context.close()
        worked = (processor(process) - used_before) / len(times)
        time.sleep(REST_SECONDS)
        used, _ = memory(process)
    return (
        f"first page {first:5.2f} s (processor {began_with:4.1f}); runs on the page {times[0]:5.2f} s, again {times[1]:5.2f} s "
        f"(processor of the server {worked:4.2f} each); "
        f"at rest {idle:4.0f} MB in {count} processes, {used:4.0f} MB after they were looked at"
    )


@contextlib.contextmanager
def started(tool: Tool, folder: Path) -> Iterator[tuple[psutil.Process, str, float]]:
    """The server's process, its address, and the seconds from the command to the first whole page."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [word.format(port=port) if word == "{port}" else word for word in tool.command]
    began = time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=folder, env={**os.environ, "DO_NOT_TRACK": "1"}, **quiet, **WITH_PARENT) as process:  # type: ignore[call-overload]
        try:
            while process.poll() is None:
                with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=60) as answer:
                    answer.read()
                    break
                time.sleep(0.02)
            if process.poll() is not None:
                raise SystemExit(f"{tool.name} did not start.")
            yield psutil.Process(process.pid), url, time.perf_counter() - began
        finally:
            members = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.terminate()
            _, left = psutil.wait_procs(members, timeout=20)
            for member in left:
                member.kill()


def processor(process: psutil.Process) -> float:
    """Seconds that all processes were at work so far."""
    total = 0.0
    for member in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            times = member.cpu_times()
            total += times.user + times.system
    return total


def memory(process: psutil.Process) -> tuple[float, int]:
    """Megabytes (10^6 bytes) of all processes together, and how many there are."""
    sizes = []
    for member in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            sizes.append(member.memory_full_info().pss / 1e6)
    return sum(sizes), len(sizes)


if __name__ == "__main__":
    main()
