"""How long pages take while others are at work: during the ingest of a plugin, and while view plugins sleep.

    python benchmarks/page_latency.py [--seconds 15]

A whole server is started on a free port with a plugin whose encode_entry costs CPU time and with views that sleep 30 s, one over
its options, one in process_data while a model is tested. A few pages are asked for one after the other: with the server idle,
while each of the views sleeps, and during ingest. Promised: under 100 ms.
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

from _server import add_module, post, serving, wait

SLEEP_SECONDS = 30
NETWORK = """
from torch import nn

def build_network(context):
    channels, height, width = context.input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, 2))
"""
SETTLE_SECONDS = 5.0  # until the processes that encode have started
TEST = "/models/images/generic/infer_one?job_id={}&record=train:0&view_extension_id=sleeping"
PAGES = ("/", "/completed_jobs.json", "/queue", "/plugins", "/health")
COSTLY = (
    f"""
import time

SECONDS = {SLEEP_SECONDS}
"""
    + """
import numpy as np
from flask_wtf import FlaskForm
from wtforms import IntegerField

from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.view.interface import VisualizationInterface


class Form(FlaskForm):
    entries = IntegerField(default=1_000_000)


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
        return Form()

    @staticmethod
    def get_dataset_template(form):
        return "", {}

    def itemize_entries(self, stage):
        return list(range(self.entries)) if stage == "train_db" else []

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
        time.sleep(SECONDS)
        return "", {}

    def get_view_template(self, data):
        return "", {}

    def process_data(self, input_id, input_data, inference_data):
        time.sleep(SECONDS)
"""
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=15.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        add_module(folder / "site", "costly", COSTLY, data="Costly", view="Sleeping")
        with serving(folder, folder / "site", data_dirs=folder, cpu_slots=1) as url:
            report("idle", url, seconds, lambda: None)
            report("a view's options", url, seconds, lambda: meanwhile(url, "/models/view-config/sleeping"))
            model = train(url)
            report("process_data", url, seconds, lambda: meanwhile(url, TEST.format(model)))
            report("ingest", url, seconds, lambda: start_ingest(url))


def report(name: str, url: str, seconds: float, start: Callable[[], None]) -> None:
    start()
    taken: dict[str, list[float]] = {page: [] for page in PAGES}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for page in PAGES:
            began = time.perf_counter()
            get(url + page)
            taken[page].append(1000 * (time.perf_counter() - began))
            time.sleep(0.05)
    for page, values in taken.items():
        ordered = sorted(values)
        late = ordered[int(0.95 * (len(ordered) - 1))]
        print(f"{name:<16} {page:<22} median {statistics.median(values):6.1f} ms   95 % {late:6.1f} ms   ({len(values)} times)")


def meanwhile(url: str, address: str) -> None:
    """Ask for what takes half a minute in a plugin, without waiting; views are all asked in the same process."""

    def run() -> None:
        with contextlib.suppress(OSError):
            began = time.monotonic()
            get(url + address)
            print(f"({address.partition('?')[0]} itself answered after {time.monotonic() - began:.0f} s)")

    threading.Thread(target=run, daemon=True).start()
    time.sleep(SETTLE_SECONDS)


def train(url: str) -> str:
    """A model of a small data set of the plugin, with its predictor loaded; its id."""
    dataset = post(url, "/datasets/generic/create/costly.json", dataset_name="small", entries=64)["id"]
    wait(url, dataset)
    values = {"method": "custom", "custom_network": NETWORK, "train_epochs": 1, "use_mean": "none"}
    model = post(url, "/models/images/generic.json", model_name="small", dataset=dataset, **values)["id"]
    wait(url, model)
    post(url, "/models/images/generic/infer_one.json", job_id=model, record="train:0")
    return str(model)


def start_ingest(url: str) -> None:
    job = post(url, "/datasets/generic/create/costly.json", dataset_name="x", dsopts_num_threads=1)
    while b"Running" not in get(f"{url}/jobs/{job['id']}/status"):
        time.sleep(0.2)
    time.sleep(SETTLE_SECONDS)


def get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return bytes(answer.read())


if __name__ == "__main__":
    main()
