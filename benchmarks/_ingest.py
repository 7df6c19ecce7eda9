"""What the ingest benchmarks share: a job on a temporary jobs directory, its worker as a process, medians and spreads."""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from _server import add_module

from digits.domain.datasets import DatasetSpec
from digits.domain.jobs import JobRequest, Kind, Resources, UserColumns, new_job_id
from digits.extensions.data.source import ROOTS
from digits.storage.folders import JobFolder, JobsDir
from digits.utils.confinement import EVERYWHERE

POLL_SECONDS = 0.05
PLUGIN = """
import numpy as np
from digits.extensions.data.interface import DataIngestionInterface

FEATURE = np.zeros((1, 28, 28), np.uint8)


class DataIngestion(DataIngestionInterface):
    @staticmethod
    def get_id():
        return {name!r}

    @staticmethod
    def get_title():
        return {name!r}

    @staticmethod
    def get_category():
        return "Benchmarks"

    def itemize_entries(self, stage):
        return range(self.count) if stage == "train_db" else []

    def encode_entry(self, entry):
        {encode}
"""


def add_plugin(site: Path, name: str, encode: str) -> None:
    """A data plugin with so many entries as its value `count` says, as if installed; `encode` is the body of `encode_entry`."""
    body = textwrap.indent(textwrap.dedent(encode).strip(), " " * 8).strip()
    add_module(site, name, PLUGIN.format(name=name, encode=body), data="DataIngestion")


def run_plugin(jobs: Path, site: Path, name: str, count: int, processes: int) -> float:
    """Encode `count` entries of a plugin; seconds."""
    folder = make_job(jobs, name, {"count": count, "class_labels": list("0123456789")})
    return run_worker(folder, processes, site)[0]


def make_job(jobs: Path, extension: str, data: dict[str, Any], **spec: Any) -> JobFolder:
    """A data set job that waits for its worker; a built-in source may read everything."""
    data = {**data, ROOTS: list(EVERYWHERE)} if extension.startswith("image-") else data
    jobs_dir = JobsDir(jobs)
    jobs_dir.prepare()
    folder = jobs_dir.folder(new_job_id())
    request = JobRequest(
        id=folder.id,
        kind=Kind.DATASET,
        type_name="benchmark",
        task="classification",
        created=time.time(),
        form={},
        spec=DatasetSpec(extension=extension, extension_data=data, **spec).to_json(),
        resources=Resources("create_db"),
    )
    folder.create(request, UserColumns(name="benchmark"))
    return folder


def run_worker(folder: JobFolder, processes: int, site: Path | None = None) -> tuple[float, int]:
    """Do the job and remove it; seconds, and the largest memory of the worker with its pool in bytes (shared pages once)."""
    command = [sys.executable, "-m", "digits.worker", "--jobs-dir", str(folder.path.parent), "--cpus", str(processes), folder.id]
    environment = {**os.environ, "PYTHONPATH": str(site)} if site else dict(os.environ)
    began = time.perf_counter()
    with subprocess.Popen(command, env=environment) as process:
        watch = Watch(process.pid)
        code = process.wait()
    seconds = time.perf_counter() - began
    peak = watch.stop()
    if code:
        raise SystemExit(folder.log_file.read_text()[-2000:])
    shutil.rmtree(folder.path)
    return seconds, peak


class Watch:
    """Follows the memory of a process and its children, in proportional set size."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._peak = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._end.set()
        self._thread.join()
        return self._peak

    def _follow(self) -> None:
        while not self._end.wait(POLL_SECONDS):
            try:
                family = [self._process, *self._process.children(recursive=True)]
                self._peak = max(self._peak, sum(memory_of(member.pid) for member in family))
            except psutil.Error:
                continue


def cpu_seconds() -> float:
    """CPU time of all child processes that have ended so far, theirs included."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def memory_of(pid: int) -> int:
    """Proportional set size in bytes, pages of mapped files included; 0 when the process is gone."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0


def report(name: str, values: Sequence[float], unit: str) -> None:
    """Median and spread of a measurement."""
    print(f"{name:<44} {statistics.median(values):>12,.2f} {unit}   ({min(values):,.2f} to {max(values):,.2f})")


def report_ratio(name: str, ratios: Sequence[float], wanted: str) -> None:
    print(f"{name:<44} {statistics.median(ratios):>12.3f}   ({min(ratios):.3f} to {max(ratios):.3f}), wanted {wanted}")


def options(description: str, **extra: Any) -> argparse.Namespace:
    """--full, --rounds, --processes and --folder."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the large sizes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=min(os.cpu_count() or 1, 8))
    parser.add_argument("--folder", type=Path, default=None, help="where to put temporary files (default: the system's place)")
    for name, default in extra.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    return parser.parse_args()
