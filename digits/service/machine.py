"""The machine: how busy it is, and which job holds what of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

import psutil

from digits.domain.jobs import Status
from digits.errors import DigitsError
from digits.ipc.supervisor_client import call
from digits.service import Service
from digits.storage.jobs.store import Job
from digits.utils.cores import usable_cores
from digits.utils.processes import is_alive, memory_below

ASK_SECONDS = 2.0
KEEP_SECONDS = 1.5
FIRST_SECONDS = 0.1  # what is measured over less says nothing


class MachineLoad:
    """The load of the machine, measured at most every second however many pages request it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._lock = threading.Lock()
        self._at = float("-inf")
        self._load: dict[str, Any] = {}
        self._times, self._percent = _processor_times(), 0.0
        self._times_at = time.monotonic()

    def load(self) -> dict[str, Any]:
        """`cpu_percent` of all `cpus` of the machine, of which `usable_cpus` may be used here, `memory` and `disk` (`used`,
        `total` bytes), `gpus`, `gpus_available`, `supervisor`, and `jobs`: what each that runs holds (`id`, `name`, `type`,
        `cpus`, `gpus`, `memory` in bytes, `uses` in words)."""
        with self._lock:
            if time.monotonic() - self._at > KEEP_SECONDS:
                self._load = self._measure()
                self._at = time.monotonic()
            return self._load

    def _measure(self) -> dict[str, Any]:
        memory = psutil.virtual_memory()
        disk = shutil.disk_usage(self.service.jobs_dir.path)
        told, problem = self._asked()
        gpus = [{**gpu, **use} for gpu, use in _with_use(told.get("gpus", []))]
        return {
            "cpu_percent": round(self._busy(), 1),
            "cpus": os.cpu_count() or 1,
            "usable_cpus": usable_cores(),
            "memory": {"used": memory.total - memory.available, "total": memory.total},
            "disk": {"used": disk.used, "total": disk.total},
            "gpus": gpus,
            "gpus_available": sum(not gpu.get("job") for gpu in gpus),
            "jobs": self._jobs(told),
            "supervisor": {"ok": not problem, "message": problem},
        }

    def _busy(self) -> float:
        """How busy the processors were since the last look, in percent of all. (psutil's own `cpu_percent` begins anew in each
        thread, with 0.)"""
        if time.monotonic() - self._times_at < FIRST_SECONDS:
            time.sleep(FIRST_SECONDS)
        busy, whole = _processor_times()
        if whole > self._times[1]:
            self._percent = 100 * (busy - self._times[0]) / (whole - self._times[1])
        self._times, self._times_at = (busy, whole), time.monotonic()
        return min(max(self._percent, 0.0), 100.0)

    def _asked(self) -> tuple[Mapping[str, Any], str]:
        try:
            return call(self.service.jobs_dir, {"op": "gpus"}, ASK_SECONDS), ""
        except DigitsError as error:
            return {}, str(error)

    def _jobs(self, told: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What runs, the oldest first."""
        given = {str(one["job_id"]): one for one in told.get("running", [])}
        jobs = self.service.store.find_many(list(given)).values()
        running = sorted((job for job in jobs if job.status == Status.RUN), key=lambda job: job.started or 0.0)
        return [_held(job, given[job.id]) for job in running]


def _processor_times() -> tuple[float, float]:
    """Seconds that all processors worked, and all of their seconds, since the machine started."""
    times = psutil.cpu_times()
    whole = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)  # which are counted as user's too
    return whole - times.idle - getattr(times, "iowait", 0.0), whole


def _held(job: Job, given: Mapping[str, Any]) -> dict[str, Any]:
    cpus, gpus = int(given["cpus"]), [str(gpu) for gpu in given["gpus"]]
    row: dict[str, Any] = {"id": job.id, "name": job.name, "type": str(job.kind), "cpus": cpus, "gpus": gpus}
    memory = None
    if job.pid and is_alive(job.pid, job.pid_start):
        with contextlib.suppress(OSError, psutil.Error):
            memory = sum(memory_below(job.pid, lambda command: "job", "job").values())
    return {**row, "memory": memory, "uses": holds(cpus, gpus)}


def holds(cpus: int, gpus: Iterable[str]) -> str:
    """What a job has, or asks for, in words; 0 CPUs are all that there are."""
    devices = ", ".join(gpus)
    return (f"{cpus} CPU{'s' if cpus != 1 else ''}" if cpus else "all CPUs") + (f", GPU {devices}" if devices else "")


def _with_use(gpus: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each GPU with what the driver says of it now: `memory_used` in bytes, `busy_percent`, `temperature` in °C."""
    if not gpus:
        return []
    import pynvml

    found: list[tuple[dict[str, Any], dict[str, Any]]] = []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return [(gpu, {}) for gpu in gpus]
    try:
        for gpu in gpus:
            use: dict[str, Any] = {}
            with contextlib.suppress(pynvml.NVMLError):  # a device may not know one of them
                handle = pynvml.nvmlDeviceGetHandleByUUID(str(gpu["uuid"]))
                use["memory_used"] = int(pynvml.nvmlDeviceGetMemoryInfo(handle).used)
                use["busy_percent"] = int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
                use["temperature"] = int(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))
            found.append((gpu, use))
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
    return found
