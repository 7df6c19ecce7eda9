"""How busy the machine is, told to whoever asks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from digits.config import Settings
from digits.service import Service, machine


def test_a_busy_machine_is_busy_to_every_thread_that_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """psutil measures for each thread anew, and says 0 to those that ask for the first time."""
    service = Service.open(Settings(jobs_dir=str(tmp_path / "jobs"), auth=False))
    load = machine.MachineLoad(service)
    monkeypatch.setattr(machine, "KEEP_SECONDS", 0)
    found = []
    for _ in range(3):
        sum(i * i for i in range(2_000_000))
        with ThreadPoolExecutor(1) as fresh:
            found.append(fresh.submit(load.load).result()["cpu_percent"])
    assert all(0 < percent <= 100 for percent in found), found
    service.close()
