"""A plugin host in a process of its own, as the supervisor starts it, with extra folders on its path."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from digits.service import Service
from digits.service.datasets.from_source import PluginSource
from digits.service.datasets.source import PluginForm, create_dataset
from digits.service.plugins import host as plugins
from digits.storage.jobs.store import Job

STOP_SECONDS = 60


@contextmanager
def running_host(service: Service, folder: Path, *sites: Path, memory_mb: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """Start a host that finds the packages in `sites`, wait until it has imported them, end it afterwards."""
    with started_host(service, folder, *sites, memory_mb=memory_mb) as process:
        plugins.table(service)
        yield process


@contextmanager
def started_host(service: Service, folder: Path, *sites: Path, memory_mb: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """The same without waiting."""
    path = os.pathsep.join([*map(str, sites), *filter(None, [os.environ.get("PYTHONPATH")])])
    arguments = ["--socket", str(folder / "host.sock"), "--jobs-dir", str(service.jobs_dir.path), "--memory-mb", str(memory_mb)]
    with (folder / "host.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "digits.plugin_host", *arguments],
            env={**os.environ, "PYTHONPATH": path},
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        plugins.forget(service)


def plugin_form(service: Service, extension_id: str, values: Mapping[str, Any], mode: str = "new") -> PluginForm:
    """A plugin's own form, as its page shows it."""
    found = PluginSource(extension_id).page(service, values, {}, mode, "").plugin
    assert found is not None
    return found


def make_dataset(service: Service, extension_id: str, values: Mapping[str, Any]) -> Job:
    """The job of a data set through a plugin."""
    return create_dataset(service, PluginSource(extension_id), values)
