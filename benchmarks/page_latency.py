"""How long pages take while others are at work: during the ingest of a plugin, and while a view plugin sleeps.

    python benchmarks/page_latency.py [--seconds 15]

A whole server is started on a free port with a plugin whose encode_entry costs CPU time and a view that sleeps 30 s.
A few pages are asked for one after the other: with the server idle, during ingest, and while a view sleeps.
Promised: under 100 ms.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from _server import add_module, post, serving

SETTLE_SECONDS = 5.0  # until the processes that encode have started
PAGES = ("/", "/completed_jobs.json", "/queue", "/plugins", "/health")
COSTLY = """
import numpy as np
from flask_wtf import FlaskForm

from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.view.interface import VisualizationInterface


class Costly(DataIngestionInterface):
    @staticmethod
    def get_id():
        return "costly"

    @staticmethod
    def get_title():
        return "Costly"

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
        return list(range(1_000_000)) if stage == "train_db" else []

    def encode_entry(self, entry):
        return np.full((1, 28, 28), sum(range(20_000)) % 256, np.uint8), entry % 2


class Sleeping(VisualizationInterface):
    @staticmethod
    def get_id():
        return "sleeping"

    @staticmethod
    def get_title():
        return "Sleeping"

    @staticmethod
    def get_config_form():
        return FlaskForm()

    @staticmethod
    def get_config_template(form):
        import time

        time.sleep(30)
        return "", {}

    def get_view_template(self, data):
        return "", {}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=15.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        add_module(folder / "site", "costly", COSTLY, data="Costly", view="Sleeping")
        with serving(folder, folder / "site", data_dirs=folder, cpu_slots=1) as url:
            tell("idle", url, seconds, lambda: None)
            tell("a view sleeps", url, seconds, lambda: threading.Thread(target=sleep, args=(url,), daemon=True).start())
            tell("ingest", url, seconds, lambda: start_ingest(url))


def tell(name: str, url: str, seconds: float, start: Callable[[], None]) -> None:
    start()
    taken: dict[str, list[float]] = {page: [] for page in PAGES}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for page in PAGES:
            began = time.perf_counter()
            ask(url + page)
            taken[page].append(1000 * (time.perf_counter() - began))
            time.sleep(0.05)
    for page, values in taken.items():
        ordered = sorted(values)
        late = ordered[int(0.95 * (len(ordered) - 1))]
        print(f"{name:<14} {page:<22} median {statistics.median(values):6.1f} ms   95 % {late:6.1f} ms   ({len(values)} times)")


def sleep(url: str) -> None:
    """Ask for the options of a view that takes half a minute over them; views are all asked in the same process."""
    with contextlib.suppress(OSError):
        ask(f"{url}/models/view-config/sleeping")


def start_ingest(url: str) -> None:
    job = post(url, "/datasets/generic/create/costly.json", dataset_name="x", dsopts_num_threads=1)
    while b"Running" not in ask(f"{url}/jobs/{job['id']}/status"):
        time.sleep(0.2)
    time.sleep(SETTLE_SECONDS)


def ask(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return bytes(answer.read())


if __name__ == "__main__":
    main()
