"""How long the first picture of a layer, the list of all layers and a Grad-CAM of a ResNet-50 take over HTTP, once it is loaded.

    python benchmarks/look_inside.py [--network timm/resnet50] [--repeats 5]

Trains nothing worth the name: a few made-up pictures of 224×224 for one epoch, so that there is a snapshot.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _inference import get, post, spread
from _server import serving
from PIL import Image

SIDE = 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="timm/resnet50")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _pictures(root / "pictures")
        with serving(root, root / "site", data_dirs=root) as address:
            model = f"{address}/models/{_model(address, root / 'pictures', options.network)}"
            started = time.perf_counter()
            get(f"{model}/inside/layer.json")
            print(f"first request, which loads the model: {time.perf_counter() - started:.1f} s")
            measured: dict[str, Callable[[], Any]] = {
                "first picture (weights of the first layer)": lambda: get(f"{model}/inside/layer.json"),
                "first picture of activations": lambda: get(f"{model}/inside/layer.json?of=activations&record=val:0"),
                "all layers with statistics": lambda: get(f"{model}/inside.json?record=val:0"),
                "Grad-CAM": lambda: get(f"{model}/explain.json?record=val:0&method=grad_cam"),
            }
            for name, work in measured.items():
                print(f"{name}: {spread([_seconds(work) for _ in range(options.repeats)], ' s')}")


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _pictures(folder: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(8):
        path = folder / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)


def _model(address: str, pictures: Path, network: str) -> str:
    form: dict[str, Any] = {"dataset_name": "made up", "method": "folder", "folder_train": pictures, "username": "benchmark"}
    form |= {"resize_width": SIDE, "resize_height": SIDE, "resize_channels": 3, "folder_pct_val": 50}
    dataset = post(f"{address}/datasets/images/classification.json", form)["id"]
    form = {"model_name": "made up", "dataset": dataset, "method": "standard", "standard_networks": network, "batch_size": 4}
    form |= {"train_epochs": 1, "val_interval": 0, "username": "benchmark"}
    model = str(post(f"{address}/models/images/classification.json", form)["id"])
    while (status := get(f"{address}/models/{model}/status"))["status"] != "Done":
        if status["status"] in ("Error", "Aborted"):
            raise SystemExit(status["error"])
        time.sleep(0.5)
    return model


if __name__ == "__main__":
    main()
