"""Devices, threads and precision of a training, through Lightning Fabric.

With several devices, or several processes on the CPU, the worker is rank 0 and starts the others itself (see `ranks`).
"""

from __future__ import annotations

import contextlib
import os
import socket
import warnings
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

from digits.engines.base import TrainingRun
from digits.errors import TrainingError

if TYPE_CHECKING:
    from digits.engines.pytorch.fabric import Fabric

EXCHANGE_TIMEOUT = timedelta(days=1)  # a rank that dies is noticed by the watch of `ranks`, and a disk may be full for hours
LOOPBACK = ("lo", "lo0")


@dataclass(frozen=True)
class OneDevice:
    """What takes Fabric's place in full precision: Fabric would wrap the network, for 0.3 ms a step, and change nothing."""

    device: torch.device

    def autocast(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


def world_size(run: TrainingRun) -> int:
    """How many processes train: one for each GPU; on the CPU as many as requested."""
    return len(run.devices) or max(1, run.spec.cpu_processes)


def check_devices(run: TrainingRun) -> None:
    """TrainingError when GPUs are requested that this process does not see."""
    wanted = max(len(run.devices), run.spec.gpu_count)
    seen = torch.cuda.device_count()
    if wanted > seen:
        raise TrainingError(
            f"The training asks for {wanted} GPU{'s' if wanted > 1 else ''}; PyTorch sees {seen or 'none'}.",
            advice="Choose fewer GPUs (0 trains on the CPU); `digits doctor` says what is missing.",
            code="no-gpu",
        )


def make_fabric(run: TrainingRun, store: dist.Store | None) -> tuple[Fabric | OneDevice, str]:
    """Fabric for this process's device, and a remark where the precision requested does not exist there.

    Several processes have joined one group by `store` when this returns: sums of numbers in the memory of the CPU
    go by gloo over the loopback interface, those of tensors on GPUs by NCCL.
    """
    precision, remark = _precision(run)
    world = world_size(run)
    if store is not None:
        _join_group(store, world, on_gpus=bool(run.devices))
    accelerator = "cuda" if run.devices else "cpu"
    if precision == "32-true":
        return _one_device(accelerator), remark
    from digits.engines.pytorch.fabric import Fabric  # as long to import as PyTorch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice about devices that we do not use
        here = [torch.cuda.current_device()] if run.devices else 1
        fabric = Fabric(accelerator=accelerator, devices=here, strategy="auto", precision=precision)
        fabric.launch()
    return fabric, remark


def _one_device(kind: str) -> OneDevice:
    return OneDevice(torch.device(kind, torch.cuda.current_device()) if kind == "cuda" else torch.device(kind))


def _join_group(store: dist.Store, world: int, *, on_gpus: bool) -> None:
    here = next((name for _, name in socket.if_nameindex() if name in LOOPBACK), "")
    if here:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", here)
    backend, rank = "cpu:gloo,cuda:nccl" if on_gpus else "gloo", int(os.environ["LOCAL_RANK"])
    if on_gpus:
        torch.cuda.set_device(rank)
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=EXCHANGE_TIMEOUT)


def set_threads(run: TrainingRun, saved: int | None) -> None:
    """CPU threads of each process: those of the checkpoint (sums depend on them), else its share of the run's."""
    threads = run.spec.threads or run.threads or torch.get_num_threads()
    run.threads = saved or max(1, threads // world_size(run))
    torch.set_num_threads(run.threads)


def _precision(run: TrainingRun) -> tuple[str, str]:
    wanted = run.spec.precision
    if wanted == "16-mixed" and not run.devices:
        return "bf16-mixed", "Half precision (16-mixed) exists on GPUs only; bf16-mixed is used instead."
    return wanted, ""
