"""Devices, precision and the processes of data-parallel training, through Lightning Fabric.

With several devices the worker is rank 0 and starts the others itself: `python -m digits.engines.pytorch.rank`. They are told
the run on stdin, belong to the worker's process group and end when it is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from digits.engines.base import TrainingRun
from digits.errors import TrainingError

if TYPE_CHECKING:
    from digits.engines.pytorch.fabric import Fabric

KILL_SECONDS = 10.0


@dataclass(frozen=True)
class OneDevice:
    """What takes Fabric's place where one process trains in full precision: Fabric would wrap the network, for 0.3 ms a step,
    and change nothing."""

    device: torch.device
    global_rank: int = 0
    world_size: int = 1

    def autocast(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


def world_size(run: TrainingRun) -> int:
    return len(run.devices) or max(1, run.processes)


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


def make_fabric(run: TrainingRun) -> tuple[Fabric | OneDevice, str]:
    """Fabric for the run's devices, and a remark where the precision requested does not exist there."""
    precision, remark = _precision(run)
    world = world_size(run)
    accelerator = "cuda" if run.devices else "cpu"
    if world == 1 and precision == "32-true":
        return _one_device(accelerator), remark
    from digits.engines.pytorch.fabric import Fabric, LightningEnvironment  # as long to import as PyTorch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice about data loaders and devices that we do not use
        fabric = Fabric(
            accelerator=accelerator,
            devices=world,
            strategy="ddp" if world > 1 else "auto",
            precision=precision,
            plugins=[LightningEnvironment()] if world > 1 else None,
        )
        fabric.launch()
    return fabric, remark


def _one_device(kind: str) -> OneDevice:
    device = torch.device(kind, 0) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(device)
    return OneDevice(device)


@contextlib.contextmanager
def ranks(run: TrainingRun) -> Iterator[None]:
    """The other processes of the training, if it has any; they are ended with the block."""
    world = world_size(run)
    if world == 1 or "LOCAL_RANK" in os.environ:
        yield
        return
    environ = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(world), "NODE_RANK": "0"}
    os.environ.update(environ, LOCAL_RANK="0")
    processes = [_start(run, rank) for rank in range(1, world)]
    try:
        yield
    finally:
        for process in processes:
            _end(process)
        for name in (*environ, "LOCAL_RANK"):
            os.environ.pop(name, None)
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def set_threads(run: TrainingRun, saved: int | None) -> None:
    """CPU threads: those of the checkpoint (sums depend on them), else those of the run."""
    run.threads = saved or run.spec.threads or run.threads or torch.get_num_threads()
    torch.set_num_threads(run.threads)


def description(run: TrainingRun) -> dict[str, Any]:
    """What another process needs to take part, as JSON values."""
    return {
        "spec": run.spec.to_json(),
        "folder": str(run.folder),
        "dataset_folder": str(run.dataset_folder),
        "devices": list(run.devices),
        "threads": run.threads,
        "checkpoint_seconds": run.checkpoint_seconds,
        "start_weights": str(run.start_weights or ""),
        "processes": run.processes,
        "parent": os.getpid(),
    }


def _start(run: TrainingRun, rank: int) -> subprocess.Popen[bytes]:
    environ = os.environ | {"LOCAL_RANK": str(rank), "OMP_NUM_THREADS": str(run.threads)}
    process = subprocess.Popen([sys.executable, "-P", "-m", "digits.engines.pytorch.rank"], stdin=subprocess.PIPE, env=environ)
    assert process.stdin is not None
    process.stdin.write(json.dumps(description(run)).encode())
    process.stdin.close()
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(KILL_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _precision(run: TrainingRun) -> tuple[str, str]:
    wanted = run.spec.precision
    if wanted == "16-mixed" and not run.devices:
        return "bf16-mixed", "Half precision (16-mixed) exists on GPUs only; bf16-mixed is used instead."
    return wanted, ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
