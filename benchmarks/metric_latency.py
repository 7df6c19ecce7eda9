"""How long a metric takes from the worker's file to those who watch; the promise is half a second.

Measured against a real web process: one reader and 200 readers of the job's stream, and a real browser (time until the page
code has the event). The median and the 95th percentile are over all readers and all metrics.

python benchmarks/metric_latency.py [--metrics 40] [--watchers 200] [--no-browser]
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from _server import WITH_PARENT

from digits.config import Settings
from digits.domain.events import MetricEvent
from digits.domain.jobs import Kind, Resources, Status
from digits.service import Service
from digits.service.jobs import create_job
from digits.storage.events import EventWriter
from digits.storage.jobs.store import Job

PROMISE_MS = 500.0
PAUSE = 0.25
CHROMIUM = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync"]  # fmt: skip
FOLLOW = """async ([root, id]) => {
  const { jobStream } = await import(`${root}/static/js/live/live.js`);
  window.seen = [];
  jobStream(id, { onEvent: (event) => event.type === "metric" && window.seen.push([event.step, Date.now() / 1000 - event.t]) });
}"""


@contextlib.contextmanager
def web_process(folder: Path) -> Iterator[tuple[str, int, Service]]:
    """A web process on a free port: host, port, and a service on its jobs directory."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    values = {"DIGITS_JOBS_DIR": str(folder), "DIGITS_PORT": str(port), "DIGITS_AUTH": "false", "DIGITS_LOGFILE_LEVEL": "ERROR"}
    process = subprocess.Popen([sys.executable, "-m", "digits.web"], env={**os.environ, **values}, **WITH_PARENT)
    service = Service.open(Settings(jobs_dir=str(folder), auth=False))
    try:
        wait_until_it_answers(port)
        yield "127.0.0.1", port, service
    finally:
        process.terminate()
        process.wait(20)
        service.close()


def wait_until_it_answers(port: int) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health"):
            return
        time.sleep(0.05)
    raise SystemExit("the web process did not start")


def running_job(service: Service) -> Job:
    job = create_job(
        service, kind=Kind.MODEL, task="classification", type_name="Image Classification Model", name="watched", form={},
        spec={}, resources=Resources("train"),
    )  # fmt: skip
    return service.store.transition(job.id, Status.RUN)


def write_metrics(service: Service, job: Job, count: int) -> None:
    """What a worker does: one line per metric, each with the time at which it was written."""
    writer = EventWriter(service.folder(job.id).events_file, 1)
    for step in range(count):
        writer.emit(MetricEvent(step=step, epoch=step / count, phase="train", values={"loss": 1 / (step + 1)}))
        time.sleep(PAUSE)
    writer.close()


def read_stream(host: str, port: int, job: Job, count: int, ready: threading.Barrier, times: list[float]) -> None:
    """Append the seconds between writing and receiving of each metric."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    connection.request("GET", f"/jobs/{job.id}/events")
    answer = connection.getresponse()
    ready.wait()
    while len(times) < count and (line := answer.readline()):
        if line.startswith(b"data:") and b'"metric"' in line:
            times.append(time.time() - json.loads(line[5:])["t"])
    connection.close()


def with_readers(host: str, port: int, service: Service, readers: int, count: int) -> list[float]:
    """Milliseconds from writing to receiving, over all readers."""
    job = running_job(service)
    ready = threading.Barrier(readers + 1)
    times: list[list[float]] = [[] for _ in range(readers)]
    threads = [threading.Thread(target=read_stream, args=(host, port, job, count, ready, mine)) for mine in times]
    for thread in threads:
        thread.start()
    ready.wait()
    write_metrics(service, job, count)
    for thread in threads:
        thread.join(60)
    return [1000 * seconds for mine in times for seconds in mine]


def in_browser(host: str, port: int, service: Service, count: int) -> list[float]:
    """Milliseconds from writing until the code of a page has the metric."""
    from playwright.sync_api import sync_playwright

    job = running_job(service)
    root = f"http://{host}:{port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        page = browser.new_page()
        page.goto(root)
        page.evaluate(FOLLOW, ["", job.id])
        write_metrics(service, job, count)
        page.wait_for_function("(count) => window.seen.length >= count", arg=count)
        times = [1000 * seconds for _, seconds in page.evaluate("window.seen")]
        browser.close()
    return times


def report(name: str, times: list[float]) -> None:
    median, late = statistics.median(times), statistics.quantiles(times, n=20)[-1]
    verdict = "kept" if median <= PROMISE_MS else "BROKEN"
    print(f"{name:<24} median {median:6.0f} ms   95 % {late:6.0f} ms   {len(times):>6} received   promise {verdict}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metrics", type=int, default=40)
    parser.add_argument("--watchers", type=int, default=200)
    parser.add_argument("--no-browser", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, web_process(Path(folder) / "jobs") as (host, port, service):
        for readers in (1, options.watchers):
            report(f"{readers} watching", with_readers(host, port, service, readers, options.metrics))
        if options.no_browser or shutil.which("chromium") is None:
            print("browser: left out")
        else:
            report("in the browser", in_browser(host, port, service, options.metrics))


if __name__ == "__main__":
    main()
