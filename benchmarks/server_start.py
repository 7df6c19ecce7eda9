"""How long `digits serve` takes from the command to its first page, and the memory of its processes when idle.

The promise: 2 s to the first page, the web process below 150 MB (proportional set size; gunicorn's master and worker
together). The other processes are stated beside it.

python benchmarks/server_start.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil
from _server import WITH_PARENT

PROMISE_SECONDS = 2.0
PROMISE_MB = 150.0
IDLE_SECONDS = 3.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(folder: Path) -> tuple[subprocess.Popen[bytes], float]:
    """Start the server; the process and the seconds until the home page was there."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "digits",
        "serve",
        "--no-auth",
        "--stop-jobs",
        "--port",
        str(port),
        "--jobs-dir",
        str(folder),
    ]
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ, **WITH_PARENT)
    while process.poll() is None and time.perf_counter() - begin < 60:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
            page.read()
            return process, time.perf_counter() - begin
        time.sleep(0.005)
    raise SystemExit("the server did not start")


def memory(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Megabytes (10⁶ bytes) by part: web process, plugin host, supervisor."""
    parts: dict[str, float] = {}
    for member in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
        command = " ".join(member.cmdline())
        name = next((part for part in ("digits.web", "digits.plugin_host") if part in command), "supervisor")
        parts[name] = parts.get(name, 0.0) + member.memory_full_info().pss / 1e6
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    seconds = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            process, taken = start(Path(folder) / "jobs")
            try:
                seconds.append(taken)
                time.sleep(IDLE_SECONDS)
                parts = memory(process)
            finally:
                process.terminate()
                process.wait(30)
    median = statistics.median(seconds)
    verdict = "kept" if median <= PROMISE_SECONDS else "BROKEN"
    print(
        f"first page: median {median:.2f} s ({min(seconds):.2f} to {max(seconds):.2f}), promise {PROMISE_SECONDS:g} s {verdict}"
    )
    for name, amount in parts.items():
        promise = f", promise {PROMISE_MB:g} MB {'kept' if amount <= PROMISE_MB else 'BROKEN'}" if name == "digits.web" else ""
        print(f"idle memory of {name}: {amount:.0f} MB{promise}")


if __name__ == "__main__":
    main()
