"""How much of the machine a job uses: processor and memory of its whole process group, and its reserved GPUs."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import psutil

from digits.domain.events import Event, HardwareEvent
from digits.errors import DigitsError
from digits.utils.cores import usable_cores
from digits.utils.processes import group_members

SAMPLE_SECONDS = 2.0
LONG_JOB_SECONDS = 600.0  # after so long, samples come less often: a week of training should not be a week of hardware lines
LONG_JOB_SAMPLE_SECONDS = 5.0

logger = logging.getLogger(__name__)


class HardwareMonitor:
    """Emits a HardwareEvent every few seconds from a thread of its own, between `__enter__` and `__exit__`."""

    def __init__(self, emit: Callable[[Event], int], gpus: Sequence[str], seconds: float = SAMPLE_SECONDS) -> None:
        self._emit = emit
        self._group = GroupUsage(os.getpgrp())
        self._gpus = GpuUsage(gpus)
        self._cpus = usable_cores()
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="hardware", daemon=True)

    def __enter__(self) -> HardwareMonitor:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(timeout=self._seconds)

    def sample(self) -> HardwareEvent:
        """Use since the last sample."""
        cpu, memory = self._group.sample()
        total = psutil.virtual_memory().total
        gpus = self._gpus.sample()
        return HardwareEvent(cpu_percent=round(cpu, 1), cpus=self._cpus, memory=memory, memory_total=total, gpus=gpus)

    def _loop(self) -> None:
        started = time.monotonic()
        self._group.sample()
        while not self._ended.wait(self._pause(time.monotonic() - started)):
            try:
                self._emit(self.sample())
            except DigitsError as error:
                logger.debug("No hardware event: %s", error)
                return
            except (OSError, ValueError, psutil.Error) as error:
                logger.debug("No hardware sample: %s", error)

    def _pause(self, elapsed: float) -> float:
        return self._seconds if elapsed < LONG_JOB_SECONDS else max(self._seconds, LONG_JOB_SAMPLE_SECONDS)


class GroupUsage:
    """Processor time and memory of all processes in one process group."""

    def __init__(self, group: int) -> None:
        self._group = group
        self._times: dict[int, float] = {}
        self._at = time.monotonic()

    def sample(self) -> tuple[float, int]:
        """CPU use since the last call in percent of one core, and resident memory in bytes (shared pages count each time)."""
        times: dict[int, float] = {}
        memory = 0
        for pid in group_members(self._group):
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                used = process.cpu_times()
                times[pid] = used.user + used.system
                memory += process.memory_info().rss
        now = time.monotonic()
        spent = sum(max(0.0, seconds - self._times.get(pid, 0.0)) for pid, seconds in times.items())
        percent = 100.0 * spent / max(now - self._at, 1e-3)
        self._times, self._at = times, now
        return percent, memory


class GpuUsage:
    """The reserved GPUs as NVML sees them; nothing at all where there are none."""

    def __init__(self, gpus: Sequence[str]) -> None:
        self._indices = [int(gpu) for gpu in gpus if gpu.isdigit()]
        self._nvml = _nvml() if self._indices else None

    def sample(self) -> list[dict[str, Any]]:
        """One dictionary per GPU as HardwareEvent has them; a value that a device does not report is left out."""
        if self._nvml is None:
            return []
        return [_gpu(self._nvml, index) for index in self._indices]


def _nvml() -> Any:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        logger.warning("GPUs cannot be watched: %s", error)
        return None
    return pynvml


def _gpu(nvml: Any, index: int) -> dict[str, Any]:
    values: dict[str, Any] = {"index": index}
    with contextlib.suppress(nvml.NVMLError):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        values["name"] = nvml.nvmlDeviceGetName(handle)
        values["uuid"] = nvml.nvmlDeviceGetUUID(handle)
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        values |= {"memory_used": int(memory.used), "memory_total": int(memory.total)}
        values["temperature"] = nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
        values["utilization"] = nvml.nvmlDeviceGetUtilizationRates(handle).gpu
    return values
