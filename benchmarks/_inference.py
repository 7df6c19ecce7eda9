"""What the inference benchmarks share: a server with a trained LeNet, requests to it, and the bare model beside it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _server import WITH_PARENT
from PIL import Image

SIDE = 28
WAIT_SECONDS = 300.0


@dataclass(frozen=True)
class Server:
    """A running server and the model that it has trained."""

    address: str
    model: str
    folder: Path  # of the model
    pid: int = 0

    @property
    def snapshot(self) -> Path:
        return max((self.folder / "snapshots").glob("epoch_*.safetensors"))


def write_pictures(folder: Path, count: int, side: int = SIDE) -> list[Path]:
    """Handwritten digits (scikit-learn's, enlarged to `side` and repeated) as `<class>/<number>.png`."""
    from sklearn.datasets import load_digits

    data = load_digits()
    scaled = (data.images * (255 / 16)).astype(np.uint8)
    paths = []
    for number in range(count):
        path = folder / str(data.target[number % len(scaled)]) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scaled[number % len(scaled)]).resize((side, side), Image.Resampling.BILINEAR).save(path)
        paths.append(path)
    return paths


@contextlib.contextmanager
def serving(root: Path, network: str = "lenet", side: int = SIDE, pictures: int = 1797) -> Iterator[Server]:
    """A server on a free port with jobs below `root`, its model trained for one epoch on pictures below `root`."""
    write_pictures(root / "train", pictures, side)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    jobs, environment = root / "jobs", {**os.environ, "DIGITS_DATA_DIRS": str(root)}
    command = [sys.executable, "-m", "digits", "serve", "--no-auth", "--port", str(port), "--jobs-dir", str(jobs)]
    with (
        (root / "serve.log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log, **WITH_PARENT) as process,
    ):
        try:
            address = f"http://127.0.0.1:{port}"
            _until(lambda: _answers(address), "the server to answer")
            model = _train(address, root / "train", network, side)
            yield Server(address, model, jobs / model, process.pid)
        finally:
            process.terminate()
            process.wait(30)


def post(address: str, fields: dict[str, Any], files: dict[str, Path] | None = None) -> Any:
    """POST a form as a browser does; the JSON answer."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    for name, path in (files or {}).items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{path.name}"\r\n\r\n'
        parts += [head.encode(), path.read_bytes(), b"\r\n"]
    body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
    request = urllib.request.Request(address, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
    with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:
        return json.load(answer)


def get(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return json.load(answer)


class BareModel:
    """What a user's own script does: decode with Pillow, subtract, divide, forward."""

    def __init__(self, server: Server) -> None:
        import torch

        from digits.engines.pytorch.predictor import load_predictor

        predictor = load_predictor(server.snapshot, "cpu")
        self.torch, self.module = torch, predictor.module.to(memory_format=torch.contiguous_format)  # as PyTorch makes them
        self.mean = predictor.inputs.mean_for(predictor.preprocessing.input_shape[1:])
        self.scale = 1.0 / predictor.preprocessing.std

    def __call__(self, paths: list[Path]) -> np.ndarray:
        """Probabilities of some pictures in one batch."""
        return self.predict(np.stack([self.features(path) for path in paths]))

    def features(self, path: Path) -> np.ndarray:
        """A picture (1, H, W) as it is stored."""
        return np.asarray(Image.open(path))[None]

    def predict(self, pixels: np.ndarray) -> np.ndarray:
        """Probabilities (N, K) of pictures (N, 1, H, W)."""
        with self.torch.inference_mode():
            x = (self.torch.from_numpy(pixels).float() - self.mean) * self.scale
            return self.module(x).softmax(dim=1).numpy()


def spread(values: list[float], unit: str = "", digits: int = 2) -> str:
    """`median (smallest to largest)`."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f}{unit} ({low:.{digits}f} to {high:.{digits}f})"


def _train(address: str, pictures: Path, network: str, side: int) -> str:
    size = {"resize_width": side, "resize_height": side, "resize_channels": 1}
    form = {"dataset_name": "benchmark", "method": "folder", "folder_train": pictures, "username": "benchmark", **size}
    dataset = post(f"{address}/datasets/images/classification.json", form)["id"]
    form = {"model_name": "benchmark", "dataset": dataset, "method": "standard", "standard_networks": network}
    form |= {"train_epochs": 1, "framework": "pytorch", "username": "benchmark"}
    model = str(post(f"{address}/models/images/classification.json", form)["id"])
    _until(lambda: _is_done(f"{address}/models/{model}/status"), "the model")
    return model


def _is_done(address: str) -> bool:
    status = get(address)
    if status["status"] in ("Error", "Aborted"):
        raise SystemExit(f"{status['type']}: {status['error']}")
    return bool(status["status"] == "Done")


def _answers(address: str) -> bool:
    try:
        get(f"{address}/index.json")
    except OSError:
        return False
    return True


def _until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"Waited {WAIT_SECONDS:g} s for {what}.")
        time.sleep(0.1)
