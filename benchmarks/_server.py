"""What benchmarks of a whole server share: packages for it, the server itself, questions to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from digits.utils.processes import death_signal_setter

# For a server: it ends when the benchmark does, however that ends.
WITH_PARENT: dict[str, Any] = {"preexec_fn": death_signal_setter(signal.SIGTERM)}


@contextmanager
def serving(folder: Path, site: Path, **settings: Any) -> Iterator[str]:
    """A server on a free port, without log-in, that finds the packages in `site`; `settings` are DIGITS_* settings."""
    folder = folder.resolve()  # the server's parts have working directories of their own
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    search = os.pathsep.join(filter(None, [str(site.resolve()), os.environ.get("PYTHONPATH", "")]))
    values = {"jobs_dir": folder / "jobs", "port": port, "auth": "false", **settings}
    environment = {**os.environ, "PYTHONPATH": search, **{f"DIGITS_{name.upper()}": str(v) for name, v in values.items()}}
    with subprocess.Popen([sys.executable, "-m", "digits", "serve", "--stop-jobs"], env=environment, **WITH_PARENT) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_until_it_answers(url, process)
            yield url
        finally:
            process.terminate()


def install(site: Path, *sources: Path) -> None:
    """Install packages into the folder `site` with pip."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*command, "--disable-pip-version-check", "--target", str(site), *map(str, sources)], check=True)


def add_module(site: Path, name: str, source: str, **classes: str) -> None:
    """Put a plugin of one file into `site` as an installation would; `classes` are the kinds `data` and `view` by class."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    points = [f"[digits.plugins.{kind}]\nclass = {name}:{cls}\n" for kind, cls in classes.items()]
    (info / "entry_points.txt").write_text("\n".join(points))
    (site / f"{name}.py").write_text(source)


def post(url: str, address: str, **fields: Any) -> Any:
    """The JSON of an answer; ends the program where the server refuses."""
    body = urllib.parse.urlencode({"username": "bench", **fields}).encode()
    try:
        with urllib.request.urlopen(f"{url}{address}", body, timeout=120) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{address}: {error.code} {error.read().decode()}") from error


def wait(url: str, job_id: str) -> None:
    """Until a job is done; ends the program where it fails."""
    while True:
        with urllib.request.urlopen(f"{url}/jobs/{job_id}/status", timeout=120) as answer:
            status = json.load(answer)
        if status["status"] == "Done":
            return
        if status["status"] in ("Error", "Aborted"):
            raise SystemExit(f"{job_id}: {status}")
        time.sleep(1)


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("The server did not start.")
