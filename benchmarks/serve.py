"""What a published name costs over the bare network: one warm request over HTTP, and many clients at once.

python benchmarks/serve.py [--rounds 200] [--clients 32] [--seconds 10] [--network lenet|timm/resnet18] [--side 28]

Promised: the median request takes at most 10 ms longer than the bare forward of its picture, and 32 clients together get at
least 0.8 of the pictures a second of the bare network in batches of 32. `--batch` pictures in a request by KServe's protocol with
its binary extension are measured beside single files.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from _inference import BareModel, Server, serving, spread, write_pictures

PROMISE_MS = 10.0
PROMISE_SHARE = 0.8
NAME = "benchmark"
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--network", default="lenet")
    parser.add_argument("--side", type=int, default=28)
    parser.add_argument("--pictures", type=int, default=1797, help="to train on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        with serving(root, options.network, options.side, options.pictures) as server:
            compare(server, write_pictures(root / "new", 20, options.side), options)


def compare(server: Server, pictures: list[Path], options: argparse.Namespace) -> None:
    """Print the latency of one client beside the bare forward, then what many clients get beside bare batches."""
    bare, token = BareModel(server), publish(server)
    client = Client(server.address, token)
    client.file(pictures[0].read_bytes())
    ours, theirs = [], []
    for number in range(options.rounds):
        picture = pictures[number % len(pictures)]
        theirs.append(milliseconds(bare, [picture]))
        ours.append(milliseconds(client.file, picture.read_bytes()))
    extra = statistics.median(ours) - statistics.median(theirs)
    print(f"{options.network}, {options.side}×{options.side}")
    print(f"over HTTP    {spread(ours, ' ms')}")
    print(f"bare forward {spread(theirs, ' ms')}")
    print(f"difference of the medians {extra:.2f} ms, promised at most {PROMISE_MS:g} ms: {kept(extra <= PROMISE_MS)}")

    batch = np.stack([bare.features(pictures[number % len(pictures)]) for number in range(BATCH)])
    rate = bare_rate(bare, batch, options.seconds / 2)
    print(f"bare network, batches of {BATCH}: {rate:.0f} pictures/s")
    files = [picture.read_bytes() for picture in pictures]
    report(
        f"{options.clients} clients, a file each", crowd(server, token, options, lambda c, n: c.file(files[n % len(files)])), rate
    )
    sent = tensors(batch[: options.batch])
    found = crowd(server, token, options, lambda c, n: c.tensors(sent), options.batch)
    report(f"{options.clients} clients, {options.batch} prepared pictures each (V2, binary)", found, rate)


class Client:
    """A connection that is kept, as programs keep theirs."""

    def __init__(self, address: str, token: str) -> None:
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc)
        self.headers = {"Authorization": f"Bearer {token}"}

    def file(self, data: bytes) -> int:
        return self._post(f"/serve/{NAME}/infer.json", data, {"Content-Type": "image/png"})

    def tensors(self, sent: tuple[bytes, int]) -> int:
        body, length = sent
        headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(length)}
        return self._post(f"/v2/models/{NAME}/infer", body, headers)

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        self.connection.request("POST", path, body, {**self.headers, **headers})
        answer = self.connection.getresponse()
        answer.read()
        return answer.status


def publish(server: Server) -> str:
    """The token of the name under which the server's model is published."""
    body = urllib.parse.urlencode({"model_id": server.model, "username": "benchmark"}).encode()
    request = urllib.request.Request(f"{server.address}/serve/{NAME}.json", body, method="PUT")
    with urllib.request.urlopen(request, timeout=120) as answer:
        return str(json.load(answer)["token"])


def tensors(batch: np.ndarray) -> tuple[bytes, int]:
    """A request of the Open Inference Protocol with prepared pictures (N, C, H, W) behind its JSON, and the length of that."""
    data = batch.astype("<f4").tobytes()
    tensor = {"name": "features", "datatype": "FP32", "shape": list(batch.shape), "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return head + data, len(head)


def bare_rate(bare: BareModel, batch: np.ndarray, seconds: float) -> float:
    """Pictures a second of the bare network, features (N, C, H, W) in memory."""
    bare.predict(batch)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        bare.predict(batch)
        count += len(batch)
    return count / (time.perf_counter() - began)


def crowd(server: Server, token: str, options: argparse.Namespace, ask: Any, pictures: int = 1) -> tuple[float, Counter[int]]:
    """Pictures a second that all clients get together, and the codes of their answers."""
    codes: Counter[int] = Counter()
    end = time.perf_counter() + options.seconds

    def work(number: int) -> None:
        client = Client(server.address, token)
        while time.perf_counter() < end:
            codes[ask(client, number)] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(options.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return codes[200] * pictures / options.seconds, codes


def report(what: str, found: tuple[float, Counter[int]], rate: float) -> None:
    share = found[0] / rate
    print(f"{what}: {found[0]:.0f} pictures/s, {share:.2f} of the bare network: {kept(share >= PROMISE_SHARE)} {dict(found[1])}")


def kept(is_kept: bool) -> str:
    return "kept" if is_kept else "BROKEN"


def milliseconds(work: Any, *arguments: Any) -> float:
    started = time.perf_counter()
    work(*arguments)
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
