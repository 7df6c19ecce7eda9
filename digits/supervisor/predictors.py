"""Loaded models, one process each: started on request, dropped when idle, too many, or in a training's way."""

from __future__ import annotations

import logging
import socket
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits.errors import BadRequest
from digits.ipc.supervisor_server import Answer, Later
from digits.storage.folders import JobsDir
from digits.supervisor.child_processes import STOP_SECONDS, ChildProcess, stop_all

logger = logging.getLogger(__name__)

PREDICTOR_COMMAND = (sys.executable, "-P", "-m", "digits.predictor")
MAX_PREDICTORS = 4
LOADING_SECONDS = 300.0  # who is not ready by then is given up
LOG_TAIL_BYTES = 2_000

Key = tuple[str, str, str]


@dataclass
class Predictor:
    """One process that has, or is getting, a model."""

    child: ChildProcess
    socket: Path
    log: Path
    gpu: str  # empty: on the CPU
    used: float
    ready: bool = False


class Predictors:
    """All predictors, by model, snapshot and wanted device. `free_gpus()` names the devices that no job has reserved."""

    def __init__(
        self,
        jobs_dir: JobsDir,
        directory: Path,
        idle_seconds: float,
        free_gpus: Callable[[], Sequence[str]],
        command: Sequence[str] = PREDICTOR_COMMAND,
        limit: int = MAX_PREDICTORS,
    ) -> None:
        self.jobs_dir = jobs_dir
        self.directory = directory
        self.idle_seconds = idle_seconds
        self.free_gpus = free_gpus
        self.command = tuple(command)
        self.limit = limit
        self.running: dict[Key, Predictor] = {}
        self._ending: list[tuple[ChildProcess, float]] = []
        self._number = 0

    def request(self, request: Mapping[str, Any]) -> Answer | Later:
        """The control operation `predictor`: `{"socket": path}` once the model is loaded, or `{"error": why}`."""
        key = self._key(request)
        found = self.running.get(key)
        if found is None or not found.child.is_running():
            self._evict()
            found = self.running[key] = self._start(key)
        found.used = time.monotonic()
        return {"socket": str(found.socket)} if found.ready else lambda: self._answer(key)

    def tick(self) -> None:
        """Drop who is idle or has ended, and kill who was told to go and did not."""
        now = time.monotonic()
        for key, predictor in list(self.running.items()):
            limit = self.idle_seconds if predictor.ready else max(self.idle_seconds, LOADING_SECONDS)
            if now - predictor.used > limit or (predictor.ready and not predictor.child.is_running()):
                self._drop(key)
        for child, since in self._ending:
            if now - since > STOP_SECONDS:
                child.stop(0)
        self._ending = [item for item in self._ending if item[0].is_running()]

    def release(self, gpus: Collection[str]) -> None:
        """Give up the given devices at once: a training needs them."""
        for key, predictor in list(self.running.items()):
            if predictor.gpu and predictor.gpu in gpus:
                logger.info("The model on GPU %s makes room for a training.", predictor.gpu, extra={"job_id": key[0]})
                self._drop(key)

    def forget(self, model_id: str) -> None:
        """Drop every snapshot of a model that is being deleted."""
        for key in [key for key in self.running if key[0] == model_id]:
            self._drop(key)

    def stop(self) -> None:
        """End all."""
        stop_all([predictor.child for predictor in self.running.values()] + [child for child, _ in self._ending])
        self.running.clear()
        self._ending.clear()

    def _key(self, request: Mapping[str, Any]) -> Key:
        model_id, snapshot = str(request.get("model_id", "")), str(request.get("snapshot", ""))
        folder = self.jobs_dir.folder(model_id)
        path = (folder.path / snapshot).resolve()
        if not snapshot or folder.path.resolve() not in path.parents or not path.is_file():
            raise BadRequest(f"Job {model_id} has no snapshot {snapshot!r}.", advice="Its page lists the snapshots there are.")
        return model_id, snapshot, str(request.get("device") or "auto")

    def _start(self, key: Key) -> Predictor:
        model_id, snapshot, device = key
        self._number += 1
        base = self.directory / f"p{self._number}"
        gpu = self._gpu(device)
        arguments = ["--socket", f"{base}.sock", "--folder", str(self.jobs_dir.folder(model_id).path), "--snapshot", snapshot]
        arguments += ["--device", "cuda:0" if gpu else "cpu"]
        environ = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": gpu}
        log = base.with_suffix(".log")
        child = ChildProcess([*self.command, *arguments], environ, log)
        where = f"GPU {gpu}" if gpu else "the CPU"
        logger.info("Loads %s on %s (pid %d).", snapshot, where, child.process.pid, extra={"job_id": model_id})
        return Predictor(child, base.with_suffix(".sock"), log, gpu, time.monotonic())

    def _gpu(self, device: str) -> str:
        """The device to load on: a free GPU, the wanted one first; none (the CPU) where all are reserved or it is wanted so."""
        if device == "cpu":
            return ""
        free = list(self.free_gpus())
        wanted = device.removeprefix("cuda:")
        return wanted if wanted in free else next(iter(free), "")

    def _answer(self, key: Key) -> Answer | None:
        """The answer once the model is loaded or has failed to; one that was moved out of a training's way is loaded again."""
        predictor = self.running.get(key)
        if predictor is None:
            self.running[key] = self._start(key)
            return None
        if answers_at(predictor.socket):
            predictor.ready, predictor.used = True, time.monotonic()
            return {"socket": str(predictor.socket)}
        if predictor.child.is_running():
            return None
        self._drop(key)
        return {
            "error": f"The model could not be loaded: {tail_of(predictor.log)}",
            "advice": "The page of the model shows its log.",
        }

    def _evict(self) -> None:
        while len(self.running) >= self.limit:
            self._drop(min(self.running, key=lambda key: (not self.running[key].ready, self.running[key].used)))

    def _drop(self, key: Key) -> None:
        predictor = self.running.pop(key)
        predictor.child.ask_to_stop()
        self._ending.append((predictor.child, time.monotonic()))
        if predictor.ready:
            predictor.log.unlink(missing_ok=True)


def answers_at(path: Path) -> bool:
    """Whether somebody listens on a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(0.2)
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True


def tail_of(log: Path) -> str:
    """The end of what a process printed."""
    try:
        text = log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip()
    except OSError:
        text = ""
    return text or "it said nothing."
