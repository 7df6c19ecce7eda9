"""How long honest requests take while 340 connections without log-in send or read as slowly as they can.

Three attacks, each from as many connections at once, which come back when they are cut: heads that never end (a line every two
seconds), bodies that never end (a byte every two seconds), answers that nobody reads. Meanwhile somebody asks for the log-in page
and, logged in, for the home page; 200 live pages are open and are counted at the end. The same attacks on Jupyter server, which
pip puts into a temporary environment; where it cannot, that part is left out.

python benchmarks/slow_connections.py [--connections 340] [--seconds 30] [--watchers 200] [--no-jupyter]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from _server import WITH_PARENT

from digits.config import Settings
from digits.service import Service, accounts

STEP_SECONDS = 2.0
GIVE_UP_SECONDS = 10.0
SETTLE_SECONDS = 3.0
PASSWORD = "correct horse"


@dataclass
class Target:
    """A server: the path of its log-in page, of a page for those who are in, of a large file for all; headers of who is in."""

    name: str
    port: int
    login: str
    page: str
    file: str
    headers: dict[str, str]


ATTACKS = {
    "heads": ("GET {login} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n", "X-Slow: 1\r\n"),
    "bodies": ("POST {login} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
               "Content-Length: 10000000\r\n\r\npassword=", "x"),
    "readers": ("GET {file} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", ""),
}  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def digits(folder: Path) -> Iterator[Target]:
    """A whole server with one account and the default limits."""
    port = free_port()
    values = {"DIGITS_JOBS_DIR": str(folder), "DIGITS_PORT": str(port), "DIGITS_LOGFILE_LEVEL": "ERROR"}
    service = Service.open(Settings(jobs_dir=str(folder)))
    accounts.add_user(service, "ada", PASSWORD)
    service.close()
    with running([sys.executable, "-m", "digits", "serve", "--stop-jobs"], values, f"http://127.0.0.1:{port}/health"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=GIVE_UP_SECONDS)
        form = urllib.parse.urlencode({"username": "ada", "password": PASSWORD})
        connection.request("POST", "/login", form, {"Content-Type": "application/x-www-form-urlencoded"})
        cookie = (connection.getresponse().headers["Set-Cookie"] or "").partition(";")[0]
        connection.close()
        yield Target("digits", port, "/login", "/", "/vendor/plotly.min.js", {"Cookie": cookie})


@contextlib.contextmanager
def jupyter(folder: Path) -> Iterator[Target | None]:
    """Jupyter server with a token; None where pip cannot install it."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    done = subprocess.run([python, "-m", "pip", "install", "-qqq", "--disable-pip-version-check", "jupyter_server"])
    if done.returncode:
        yield None
        return
    port, token = free_port(), "benchmark"
    command = [str(python), "-m", "jupyter_server", "--no-browser", "--allow-root", "--log-level=CRITICAL", f"--port={port}",
               f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]  # fmt: skip
    values = {"JUPYTER_CONFIG_DIR": str(folder / "config"), "JUPYTER_DATA_DIR": str(folder / "data")}
    with running(command, values, f"http://127.0.0.1:{port}/login"):
        static = next(folder.glob("lib/python*/site-packages/jupyter_server/static"))
        largest = max((file for file in static.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
        headers = {"Authorization": f"token {token}"}
        yield Target("Jupyter server", port, "/login", "/api/contents", f"/static/{largest.relative_to(static)}", headers)


@contextlib.contextmanager
def running(command: list[str], values: dict[str, str], address: str) -> Iterator[None]:
    process = subprocess.Popen(command, env={**os.environ, **values}, stdout=subprocess.DEVNULL, **WITH_PARENT)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(address):
                break
            time.sleep(0.1)
        else:
            raise SystemExit(f"{command[2]} did not start")
        yield
    finally:
        process.terminate()
        process.wait(30)


def attack(kind: str, target: Target, count: int, cut: multiprocessing.sharedctypes.Synchronized[int]) -> None:
    """In a process of its own, until it is ended: `count` slow connections."""
    opening, piece = (text.format(login=target.login, file=target.file, port=target.port).encode() for text in ATTACKS[kind])

    async def slow() -> None:
        loop = asyncio.get_running_loop()
        while True:
            with socket.socket() as sock:
                sock.setblocking(False)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                with contextlib.suppress(OSError):
                    await loop.sock_connect(sock, ("127.0.0.1", target.port))
                    await loop.sock_sendall(sock, opening)
                    while True:
                        await asyncio.sleep(STEP_SECONDS)
                        with contextlib.suppress(BlockingIOError):
                            if not sock.recv(1):
                                break
                        await loop.sock_sendall(sock, piece)
            cut.value += 1

    async def all_of_them() -> None:
        await asyncio.gather(*(slow() for _ in range(count)))

    asyncio.run(all_of_them())


def watch(target: Target, count: int) -> list[http.client.HTTPResponse]:
    """Open live pages, and wait until all are."""
    connections = [http.client.HTTPConnection("127.0.0.1", target.port, timeout=15) for _ in range(count)]
    for connection in connections:
        connection.request("GET", "/events", headers=target.headers)
    return [connection.getresponse() for connection in connections]


def still_held(answers: list[http.client.HTTPResponse]) -> int:
    """How many live pages still get what the server sends them, at least every ten seconds."""
    held = 0
    for answer in answers:
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer.read1(1 << 16)  # what came until now
            held += bool(answer.read1(1 << 16))
    return held


def ask(target: Target, path: str, headers: dict[str, str]) -> float | None:
    """Seconds to a whole answer, on a new connection; None where none comes."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=GIVE_UP_SECONDS)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        return time.perf_counter() - began if answer.status < 400 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def measure(name: str, target: Target, seconds: float) -> None:
    """Ask for both pages in turns."""
    pages = {"log-in page": (target.login, {}), "page for who is in": (target.page, target.headers)}
    taken: dict[str, list[float | None]] = {page: [] for page in pages}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for page, (path, headers) in pages.items():
            taken[page].append(ask(target, path, headers))
            time.sleep(0.1)
    for page, times in taken.items():
        known = sorted(1000 * value for value in times if value is not None)
        figures = f"median {statistics.median(known):7.1f} ms   slowest {known[-1]:7.1f} ms" if known else " " * 40
        print(f"{target.name:<15} {name:<12} {page:<19} {figures}   {len(known):>3} of {len(times)} answered", flush=True)


def besiege(target: Target, connections: int, seconds: float, watchers: int) -> None:
    measure("no attack", target, seconds / 2)
    for kind in ATTACKS:
        live = watch(target, watchers)
        cut = multiprocessing.Value("i", 0)
        process = multiprocessing.Process(target=attack, args=(kind, target, connections, cut), daemon=True)
        process.start()
        time.sleep(SETTLE_SECONDS)
        measure(kind, target, seconds)
        held = f"; {still_held(live)} of {watchers} live pages held" if live else ""
        process.terminate()
        process.join()
        for answer in live:
            answer.close()
        print(f"{target.name:<15} {kind:<12} {connections} connections, cut {cut.value} times{held}", flush=True)
        time.sleep(SETTLE_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=340)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--watchers", type=int, default=200)
    parser.add_argument("--no-jupyter", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with digits(Path(folder) / "jobs") as target:
            besiege(target, options.connections, options.seconds, options.watchers)
        if options.no_jupyter:
            return
        with jupyter(Path(folder) / "jupyter") as other:
            if other is None:
                print("Jupyter server: left out, pip cannot install it here")
            else:
                besiege(other, options.connections, options.seconds, 0)


if __name__ == "__main__":
    main()
