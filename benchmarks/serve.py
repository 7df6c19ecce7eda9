"""What a published name costs over the bare network: one warm request over HTTP, and many clients at once.

python benchmarks/serve.py [--rounds 200] [--clients 32] [--seconds 5] [--turns 5] [--network lenet|timm/resnet18] [--side 28]
    [--beside PYTHON [--server litserve|bentoml]]

Promised: the median request takes at most 10 ms longer than the bare forward of its picture, and 32 clients together get at
least 0.8 of the pictures a second of the bare network in batches of 32. `--batch` pictures in a request by KServe's protocol with
its binary extension are measured beside single files. With `--beside`, an interpreter that has litserve and python-multipart, or
bentoml, and this one's torch, the same model behind that server is measured too. All are measured in turns, so that whatever
else the machine does falls on all of them; each ratio is one of neighbours. The processors' time is that of all processes of a
server. On a busy machine set OMP_NUM_THREADS=1, for all of them: threads of a network that wait for each other burn time.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from _inference import BareModel, Server, serving, spread, write_pictures
from _server import WITH_PARENT

PROMISE_MS = 10.0
PROMISE_SHARE = 0.8
NAME = "benchmark"
BATCH = 32
BOUNDARY = "2f0b6f4c"
OTHERS = {
    "litserve": ("LitServe", "/health"),
    "bentoml": ("BentoML", "/livez"),
}  # title, and an address that answers once it is up
Ask = Callable[["Client", int], int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--network", default="lenet")
    parser.add_argument("--side", type=int, default=28)
    parser.add_argument("--pictures", type=int, default=1797, help="to train on")
    parser.add_argument("--beside", default="", help="a Python with another server")
    parser.add_argument("--server", default="litserve", choices=list(OTHERS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        with serving(root, options.network, options.side, options.pictures) as server, beside(server, options) as other:
            pictures = [path.read_bytes() for path in write_pictures(root / "new", 20, options.side)]
            paths = sorted((root / "new").rglob("*.png"))
            print(f"{options.network}, {options.side}×{options.side}, {os.cpu_count()} cores")
            bare, token = BareModel(server), publish(server)
            one_by_one(bare, Client(server.address, token), other, paths, options)
            many_at_once(bare, server, token, other, pictures, options)


def one_by_one(bare: BareModel, client: Client, other: Other | None, paths: list[Path], options: argparse.Namespace) -> None:
    """Print the latency of one client beside the bare forward."""
    times: dict[str, list[float]] = {
        "bare forward": [],
        "digits over HTTP": [],
        **({f"{other.title} over HTTP": []} if other else {}),
    }
    for number in range(-10, options.rounds):
        path = paths[number % len(paths)]
        data = path.read_bytes()
        found = {"bare forward": milliseconds(bare, [path]), "digits over HTTP": milliseconds(client.file, data)}
        if other is not None:
            found[f"{other.title} over HTTP"] = milliseconds(other.client.form, "/predict", "request", data)
        for name, value in found.items() if number >= 0 else ():
            times[name].append(value)
    for name, values in times.items():
        print(f"{name:20} {spread(values, ' ms')}")
    extra = statistics.median(times["digits over HTTP"]) - statistics.median(times["bare forward"])
    print(f"difference of the medians {extra:.2f} ms, promised at most {PROMISE_MS:g} ms: {kept(extra <= PROMISE_MS)}")


def many_at_once(
    bare: BareModel, server: Server, token: str, other: Other | None, pictures: list[bytes], options: argparse.Namespace
) -> None:
    """Print what many clients get beside bare batches, and the processors' time of a picture."""
    sample = [np.asarray(picture_array(data)) for data in pictures]
    batch = np.stack([sample[number % len(sample)] for number in range(BATCH)])
    sent = tensors(batch[: options.batch])
    count = len(pictures)

    def connect() -> Client:
        return Client(server.address, token)

    ways: dict[str, tuple[Callable[[], Client], Ask, int, int]] = {
        "digits, a file each": (connect, lambda c, n: c.file(pictures[n % count]), 1, server.pid),
        "digits, a form each": (
            connect,
            lambda c, n: c.form(f"/serve/{NAME}/infer.json", "image_file", pictures[n % count]),
            1,
            server.pid,
        ),
        f"digits, {options.batch} prepared each (V2)": (connect, lambda c, n: c.tensors(sent), options.batch, server.pid),
    }
    if other is not None:
        form: Ask = lambda c, n: c.form("/predict", "request", pictures[n % count])  # noqa: E731
        ways[f"{other.title}, a form each"] = (other.connect, form, 1, other.process.pid)
    rates: dict[str, list[float]] = {name: [] for name in ("bare", *ways)}
    ratios: dict[str, list[float]] = {name: [] for name in ways}
    costs: dict[str, list[float]] = {name: [] for name in ("bare", *ways)}
    codes: Counter[int] = Counter()
    for _ in range(options.turns):
        for name, (make, ask, of_request, pid) in ways.items():
            rate, cost = bare_rate(bare, batch, options.seconds / 2)
            before = processor_seconds(pid)
            found, answered = crowd(make, ask, options.clients, options.seconds, of_request)
            costs[name].append((processor_seconds(pid) - before) / max(answered[200] * of_request, 1) * 1000)
            rates["bare"].append(rate)
            costs["bare"].append(cost)
            rates[name].append(found)
            ratios[name].append(found / rate)
            codes += answered
    print(f"{options.clients} clients, {options.turns} turns of {options.seconds:g} s; answers by code: {dict(codes)}")
    print(f"bare network, batches of {BATCH}: {spread(rates['bare'], digits=0)} pictures/s")
    print(f"    {spread(costs['bare'], ' ms')} of the processors a picture")
    for name in ways:
        said = kept(statistics.median(ratios[name]) >= PROMISE_SHARE) if name.startswith("digits") else ""
        print(f"{name}: {spread(rates[name], digits=0)} pictures/s, {spread(ratios[name])} of bare {said}")
        print(f"    {spread(costs[name], ' ms')} of the processors a picture")
    if other is not None:
        pairs = zip(rates["digits, a form each"], rates[f"{other.title}, a form each"], strict=True)
        print(f"digits / {other.title}, a form each: {spread([ours / theirs for ours, theirs in pairs])}")


class Client:
    """A connection that is kept, as programs keep theirs."""

    def __init__(self, address: str, token: str = "") -> None:
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def file(self, data: bytes) -> int:
        return self._post(f"/serve/{NAME}/infer.json", data, {"Content-Type": "image/png"})

    def form(self, path: str, field: str, data: bytes) -> int:
        place = f'Content-Disposition: form-data; name="{field}"; filename="a.png"'
        head = f"--{BOUNDARY}\r\n{place}\r\nContent-Type: image/png\r\n\r\n"
        body = b"".join([head.encode(), data, f"\r\n--{BOUNDARY}--\r\n".encode()])
        return self._post(path, body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})

    def tensors(self, sent: tuple[bytes, int]) -> int:
        body, length = sent
        headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(length)}
        return self._post(f"/v2/models/{NAME}/infer", body, headers)

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        self.connection.request("POST", path, body, {**self.headers, **headers})
        answer = self.connection.getresponse()
        answer.read()
        return answer.status


class Other:
    """The same model behind another server."""

    def __init__(self, title: str, address: str, process: subprocess.Popen[bytes]) -> None:
        self.title, self.address, self.process = title, address, process
        self.client = self.connect()

    def connect(self) -> Client:
        return Client(self.address)


@contextlib.contextmanager
def beside(server: Server, options: argparse.Namespace) -> Iterator[Other | None]:
    """The other server on a free port, where there is one to measure."""
    if not options.beside:
        yield None
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    here = Path(__file__).resolve().parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), str(here)])}
    command = [options.beside, str(here / f"_{options.server}.py"), str(server.folder), str(port)]
    with subprocess.Popen(command, env=environment, **WITH_PARENT) as process:
        try:
            title, health = OTHERS[options.server]
            other = Other(title, f"http://127.0.0.1:{port}", process)
            _until_it_answers(other, health)
            yield other
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                for one in (*psutil.Process(process.pid).children(recursive=True), process):
                    one.terminate()


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


def picture_array(data: bytes) -> np.ndarray:
    """A picture (1, H, W) as it is stored."""
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(data)))[None]


def bare_rate(bare: BareModel, batch: np.ndarray, seconds: float) -> tuple[float, float]:
    """Pictures a second of the bare network, features (N, C, H, W) in memory, and milliseconds of the processors for each."""
    bare.predict(batch)
    count, began, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        bare.predict(batch)
        count += len(batch)
    return count / (time.perf_counter() - began), (time.process_time() - used) / count * 1000


def crowd(connect: Callable[[], Client], ask: Ask, clients: int, seconds: float, of_request: int) -> tuple[float, Counter[int]]:
    """Pictures a second that all clients get together, and the codes of their answers."""
    codes: Counter[int] = Counter()
    began = time.perf_counter()
    end = began + seconds

    def work(number: int) -> None:
        client = connect()
        while time.perf_counter() < end:
            codes[ask(client, number)] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return codes[200] * of_request / (time.perf_counter() - began), codes


def processor_seconds(pid: int) -> float:
    """Of a process and all below it, so far."""
    found = 0.0
    top = psutil.Process(pid)
    for process in (top, *top.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            found += times.user + times.system
    return found


def kept(is_kept: bool) -> str:
    return "kept" if is_kept else "BROKEN"


def milliseconds(work: Any, *arguments: Any) -> float:
    started = time.perf_counter()
    work(*arguments)
    return (time.perf_counter() - started) * 1000


def _until_it_answers(other: Other, health: str) -> None:
    while other.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{other.address}{health}", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"{other.title} did not start; LitServe needs python-multipart too.")


if __name__ == "__main__":
    main()
