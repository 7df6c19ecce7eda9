"""Which GPUs there are, as NVML lists them, without loading a framework."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from digits.errors import Unavailable

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gpu:
    """One device; `id` is its number in NVML's (PCI bus) order, `memory_total` in bytes."""

    id: str
    name: str
    uuid: str
    memory_total: int


def list_gpus(environ: Mapping[str, str] | None = None) -> list[Gpu]:
    """The devices that digits may use: all, or those that the server's CUDA_VISIBLE_DEVICES names. Empty without a driver.

    Unavailable while there is a driver that does not answer: it is being exchanged, or a device fell off the bus.
    """
    environ = os.environ if environ is None else environ
    with _nvml() as nvml:
        if nvml is None:
            return []
        try:
            found = [_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
        except nvml.NVMLError as error:
            raise Unavailable(f"The NVIDIA driver does not answer ({error}).") from error
    return visible(found, environ.get("CUDA_VISIBLE_DEVICES"))


def visible(gpus: list[Gpu], setting: str | None) -> list[Gpu]:
    """Those of `gpus` that a CUDA_VISIBLE_DEVICES setting names by number or by (the start of) a UUID; all where it is unset."""
    if setting is None:
        return gpus
    names = [name.strip() for name in setting.split(",") if name.strip()]
    return [gpu for gpu in gpus if any(name == gpu.id or (len(name) > 4 and gpu.uuid.startswith(name)) for name in names)]


@contextmanager
def _nvml() -> Iterator[Any]:
    """NVML, started; None where neither it nor a driver is installed."""
    try:
        import pynvml
    except ImportError:
        yield None
        return
    absent = (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if error.value not in absent:
            raise Unavailable(f"The NVIDIA driver does not answer ({error}).") from error
        logger.debug("No GPUs: %s", error)
        yield None
        return
    try:
        yield pynvml
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _gpu(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle).total
    return Gpu(str(index), str(nvml.nvmlDeviceGetName(handle)), str(nvml.nvmlDeviceGetUUID(handle)), int(memory))
