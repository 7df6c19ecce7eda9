"""What testing a model through plugins costs the web process: time, and memory beyond what it had before.

    python benchmarks/plugin_inference.py [--side 2000] [--samples 1] [--rounds 5]

A whole server is started on a free port with a data plugin and a view. A network of one layer is trained on pictures of
`side`×`side` pixels with two classes; then the data plugin's own form is sent (`infer_extension`): the plugin encodes
`samples` pictures with their masks, the predictor gives the probabilities of both classes for each pixel, the view counts
pixels. Printed are the median time of a request and the greatest memory of the web process above its idle one.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil
from _server import add_module, post, serving, wait

NETWORK = """
from torch import nn

def build_network(context):
    return nn.Conv2d(context.input_shape[0], 2, 1)
"""
PLUGIN = """
import numpy as np
from flask_wtf import FlaskForm
from wtforms import IntegerField

from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.view.interface import VisualizationInterface

SIDE = {side}


class Form(FlaskForm):
    samples = IntegerField(default=1)


class Big(DataIngestionInterface):
    def __init__(self, is_inference_db=False, **kwargs):
        super().__init__(**kwargs)
        self.userdata["is_inference_db"] = is_inference_db
        self.userdata["class_labels"] = ["dark", "bright"]
        self.samples = int(kwargs.get("samples", 1))

    @staticmethod
    def get_id():
        return "big"

    @staticmethod
    def get_title():
        return "Big"

    @staticmethod
    def get_category():
        return "Benchmarks"

    @staticmethod
    def get_dataset_form():
        return Form()

    @staticmethod
    def get_dataset_template(form):
        return "", {{}}

    def get_inference_form(self):
        return Form()

    @staticmethod
    def get_inference_template(form):
        return "{{{{ form.samples }}}}", {{"form": form}}

    def itemize_entries(self, stage):
        if self.userdata["is_inference_db"]:
            return list(range(self.samples)) if stage == "test_db" else []
        return [0, 1] if stage == "train_db" else []

    def encode_entry(self, entry):
        feature = np.random.default_rng(entry).integers(0, 256, (1, SIDE, SIDE), np.uint8)
        return feature, (feature > 127).astype(np.uint8)


class Counting(VisualizationInterface):
    def __init__(self, dataset, **kwargs):
        pass

    @staticmethod
    def get_id():
        return "counting"

    @staticmethod
    def get_title():
        return "Counting"

    @staticmethod
    def get_config_form():
        return FlaskForm()

    @staticmethod
    def get_config_template(form):
        return "", {{}}

    def get_view_template(self, data):
        return "{{{{ data }}}}", {{"data": data}}

    def process_data(self, input_id, input_data, inference_data, ground_truth=None):
        bright = int((inference_data["output"][1] > 0.5).sum())
        return f"{{input_data.shape}} {{bright}} {{int(ground_truth.sum())}} COUNTED"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("side", 2000), ("samples", 1), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        add_module(folder / "site", "big", PLUGIN.format(side=chosen.side), data="Big", view="Counting")
        with serving(folder, folder / "site") as url:
            measure(url, chosen)


def measure(url: str, chosen: argparse.Namespace) -> None:
    dataset = post(url, "/datasets/generic/create/big.json", dataset_name="big")["id"]
    wait(url, dataset)
    training = {"method": "custom", "custom_network": NETWORK, "train_epochs": 1, "batch_size": 1, "use_mean": "none"}
    model = post(url, "/models/images/generic.json", dataset=dataset, model_name="big", **training)["id"]
    wait(url, model)
    request = f"{url}/models/images/generic/infer_extension?job_id={model}&view_extension_id=counting&samples={chosen.samples}"
    web = web_process(url)
    test(request, chosen.samples)  # loads the model
    before, seconds, peak = web.memory_info().rss, [], 0
    for _ in range(chosen.rounds):
        Path(f"/proc/{web.pid}/clear_refs").write_text("5")  # start the high-water mark again
        began = time.perf_counter()
        test(request, chosen.samples)
        seconds.append(time.perf_counter() - began)
        peak = max(peak, high_water(web.pid))
    print(f"{chosen.samples} × {chosen.side}×{chosen.side}: {statistics.median(seconds):.2f} s a request, ", end="")
    print(f"{(peak - before) / 2**20:.0f} MiB more in the web process than the {before / 2**20:.0f} MiB before")


def test(request: str, samples: int) -> None:
    with urllib.request.urlopen(request, timeout=600) as answer:
        text = answer.read().decode()
    assert text.count("COUNTED") == samples, text[-3000:]


def web_process(url: str) -> psutil.Process:
    """The process that answers; the one that listens may be its parent."""
    port = int(url.rpartition(":")[2])
    listening = [c.pid for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == port and c.status == "LISTEN"]
    processes = [psutil.Process(pid) for pid in listening if pid]
    return max(processes, key=lambda process: process.memory_info().rss)


def high_water(pid: int) -> int:
    """The greatest resident memory of a process in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
