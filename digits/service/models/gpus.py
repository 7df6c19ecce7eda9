"""The GPUs of this machine as the forms need them, and what a GPU request means here."""

from __future__ import annotations

from typing import Any

from digits.domain.jobs import Resources
from digits.errors import DigitsError, FormErrors
from digits.frameworks import frameworks
from digits.ipc.supervisor_client import call
from digits.service import Service
from digits.service.models.form import ModelForm
from digits.utils.cores import usable_cores

ASK_SECONDS = 2.0
POOL = "train"
NEXT = "next"
CPU = "cpu"
ON_THE_CPU = "This machine has no NVIDIA GPU that digits can use: the training takes place on the CPU."
NO_GPU = "This machine has no NVIDIA GPU that digits can use. Leave the field empty to train on the CPU."


def machine_gpus(service: Service) -> list[dict[str, Any]]:
    """One dictionary per GPU with at least `id` (its number as text) and `name`; from the supervisor, else the driver."""
    try:
        found = call(service.jobs_dir, {"op": "gpus"}, timeout=ASK_SECONDS).get("gpus")
    except DigitsError:
        return _from_driver()
    return [gpu for gpu in found or [] if isinstance(gpu, dict) and "id" in gpu]


def resources(service: Service, form: ModelForm, framework: str) -> Resources:
    """What the training must wait for. An explicit choice of devices wins over a number of them.

    Raises FormErrors at the field that requests a GPU that is not there; any one of none is the CPU (see `gpu_warnings`).
    """
    known = [str(gpu["id"]) for gpu in machine_gpus(service)]
    field, wanted = _explicit(form)
    if wanted:
        _check_known(field, wanted, known)
        return Resources(POOL, cpus=1, gpus=len(wanted), gpu_ids=tuple(wanted))
    count = _count(form, len(known))
    return Resources(POOL, cpus=_cpus(service, form, framework) if count == 0 else 1, gpus=count)


def gpu_warnings(form: ModelForm, needs: Resources) -> list[str]:
    """What is said where a GPU was requested that is not there: the original's form asked for one by default."""
    return [ON_THE_CPU] if form.select_gpu_count and not needs.gpus else []


def _explicit(form: ModelForm) -> tuple[str, list[str]]:
    for field in ("select_gpus", "select_gpus_list"):
        wanted = [text for text in getattr(form, field) or [] if text != NEXT]
        if wanted:
            return field, list(dict.fromkeys(wanted))
    single = form.select_gpu.strip().lower()
    return ("select_gpu", [single]) if single not in (NEXT, CPU, "") and form.select_gpu_count is None else ("", [])


def _check_known(field: str, wanted: list[str], known: list[str]) -> None:
    unknown = [text for text in wanted if text not in known]
    if not unknown:
        return
    if not known:
        raise FormErrors({field: [NO_GPU]})
    raise FormErrors({field: [f"There is no GPU {', '.join(unknown)} here; there are {', '.join(known)}."]})


def _count(form: ModelForm, available: int) -> int:
    count = form.select_gpu_count
    if count is None:
        return min(1, available) if form.select_gpu.strip().lower() != CPU else 0
    if count == 1 and available == 0:
        return 0
    if count > available:
        message = NO_GPU if available == 0 else f"{count} GPUs were requested, but there are {available} here."
        raise FormErrors({"select_gpu_count": [message]})
    return count


def cpu_processes(service: Service, form: ModelForm, framework: str, needs: Resources) -> int:
    """In how many processes a training on the CPU is done; 1 on GPUs, where each has one."""
    return 1 if needs.gpus else _wanted_processes(service, form, framework)


def _wanted_processes(service: Service, form: ModelForm, framework: str) -> int:
    """What form or setting say, and 1 where a framework knows no more."""
    return form.cpu_processes or service.settings.cpu_processes if frameworks()[framework].cpu_processes else 1


def _cpus(service: Service, form: ModelForm, framework: str) -> int:
    """CPU slots to request, at least one for each process; 0 means all there are."""
    slots = service.settings.cpu_slots or usable_cores()
    if form.cpu_count is not None and form.cpu_count > slots:
        raise FormErrors({"cpu_count": [f"{form.cpu_count} cores were requested, but jobs may use {slots} here."]})
    return max(form.cpu_count, _wanted_processes(service, form, framework)) if form.cpu_count else 0


def _from_driver() -> list[dict[str, Any]]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return [{"id": str(i), "name": str(pynvml.nvmlDeviceGetName(handle))} for i, handle in enumerate(handles)]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()
