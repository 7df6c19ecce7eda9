"""How long the server takes for a list of 500 jobs that wait: move one, abort all, delete all, restore, purge, home.

python benchmarks/long_queue.py [--jobs 500] [--rounds 3]

A whole server with one slot, which a job of a plugin that sleeps holds, so that all others wait. Each request is one as the pages
send it, on a new connection; the promise is 0.5 s each. Beside it stand the seconds of processor that the web process and the
supervisor took from the request on until the supervisor had done its part. The trash is measured with all of them in it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from _server import add_module, post, serving

PROMISE_SECONDS = 0.5
SETTLE_SECONDS = 0.5  # without a change of any row
SLEEPING = """
import time

from flask_wtf import FlaskForm
from digits.extensions.data.interface import DataIngestionInterface


class Sleeping(DataIngestionInterface):
    @staticmethod
    def get_id():
        return "sleeping"

    @staticmethod
    def get_title():
        return "Sleeping"

    @staticmethod
    def get_category():
        return "Benchmarks"

    @staticmethod
    def get_dataset_form():
        return FlaskForm()

    @staticmethod
    def get_dataset_template(form):
        return "", {}

    def itemize_entries(self, stage):
        time.sleep(3600)

    def encode_entry(self, entry):
        return None
"""


class Queue:
    """A server with jobs that wait."""

    def __init__(self, url: str, processes: list[psutil.Process]) -> None:
        self.url, self.processes = url, processes
        self.taken: dict[str, list[tuple[float, float]]] = {}

    def fill(self, count: int) -> list[str]:
        for number in range(count):
            post(self.url, "/datasets/generic/create/sleeping.json", dataset_name=f"job {number}", group_name="queue")
        return self.waiting()

    def waiting(self) -> list[str]:
        rows = self.get("/jobs.json?status=IW&limit=1000&sort=created")["rows"]
        return [row["id"] for row in rows]

    def get(self, address: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{address}", timeout=120) as answer:
            body = answer.read()
        return json.loads(body) if "json" in answer.headers["Content-Type"] else body

    def send(self, method: str, address: str, job_ids: list[str], **fields: str) -> Any:
        sent = [("username", "bench"), *fields.items(), *(("job_ids[]", job_id) for job_id in job_ids)]
        request = urllib.request.Request(f"{self.url}{address}", urllib.parse.urlencode(sent).encode(), method=method)
        request.add_header("Content-Type", "application/x-www-form-urlencoded")
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.read()

    def measure(self, name: str, work: Callable[[], object]) -> None:
        """Seconds of the answer by the clock, and of the processors until nothing changes any more."""
        cpu, began = self.cpu(), time.perf_counter()
        work()
        seconds = time.perf_counter() - began
        self.settle()
        self.taken.setdefault(name, []).append((seconds, self.cpu() - cpu))

    def settle(self) -> None:
        last, since = -1, time.monotonic()
        while time.monotonic() - since < SETTLE_SECONDS:
            time.sleep(0.1)
            now = self.get("/jobs.json?limit=1")["sequence"]
            if now != last:
                last, since = now, time.monotonic()

    def cpu(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self.processes)

    def report(self) -> None:
        for name, rounds in self.taken.items():
            seconds, cpu = [one for one, _ in rounds], statistics.median(two for _, two in rounds)
            middle, late = statistics.median(seconds), max(seconds)
            ratio = f"ratio to the promise {PROMISE_SECONDS / late:5.1f}"
            print(f"{name:>32}: median {1000 * middle:6.0f} ms, slowest {1000 * late:6.0f} ms, {ratio}; {cpu:.2f} s of processor")


def one_round(queue: Queue, jobs: int) -> None:
    """Everything once, with a queue that is filled before."""
    ids = queue.fill(jobs)
    middle, last = ids[len(ids) // 2], ids[-1]
    for page in ("/", "/index.json", "/completed_jobs.json", "/jobs.json?limit=100", "/queue"):
        queue.measure(page.partition("?")[0], partial(queue.get, page))
    for name, job_id, move in (
        ("move the last to the top", last, "top"),
        ("move one of the middle up", middle, "up"),
        ("move it down", middle, "down"),
        ("move it to the bottom", middle, "bottom"),
        ("set its priority", middle, "3"),
    ):
        queue.measure(name, partial(queue.send, "POST", f"/jobs/{job_id}/priority", [], move=move))
    queue.measure("regroup all", partial(queue.send, "POST", "/group", ids, group_name="other"))
    queue.measure("delete half while they wait", partial(queue.send, "DELETE", "/jobs", ids[::2]))
    queue.measure("restore them", partial(queue.send, "POST", "/trash/restore", ids[::2]))
    queue.measure("abort the other half", partial(queue.send, "POST", "/abort_jobs", ids[1::2]))
    queue.measure("delete all", partial(queue.send, "DELETE", "/jobs", ids))
    queue.measure("the trash", partial(queue.get, "/trash"))
    queue.measure("restore all", partial(queue.send, "POST", "/trash/restore", ids))
    queue.measure("delete all that ended", partial(queue.send, "DELETE", "/jobs", ids))
    queue.measure("empty the trash", partial(queue.send, "DELETE", "/trash", []))


def main() -> None:
    """Print what each of them took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        add_module(Path(folder) / "site", "sleeping", SLEEPING, data="Sleeping")
        with serving(Path(folder), Path(folder) / "site", cpu_slots=1, data_dirs=folder, logfile_level="WARNING") as url:
            post(url, "/datasets/generic/create/sleeping.json", dataset_name="holds the slot")
            server = psutil.Process().children()[-1]
            web = [child for child in server.children(recursive=True) if "digits.web" in " ".join(child.cmdline())]
            queue = Queue(url, [server, *web])
            queue.settle()
            for _ in range(options.rounds):
                one_round(queue, options.jobs)
            queue.report()


if __name__ == "__main__":
    main()
