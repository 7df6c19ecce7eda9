"""Loaded models, one process each: started on request, dropped when idle, too many, or in a training's way."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from digits.errors import BadRequest, DigitsError, StorageError, Unavailable
from digits.ipc.supervisor_server import Answer, Later
from digits.storage.folders import JobsDir
from digits.storage.publications import Publications
from digits.supervisor.process_pool import PooledProcess, ProcessPool

logger = logging.getLogger(__name__)

PREDICTOR_COMMAND = (sys.executable, "-P", "-m", "digits.predictor")
MAX_PREDICTORS = 4  # beside those of published names
LOADING_SECONDS = 300.0  # who is not ready by then is given up

Key = tuple[str, str, str, tuple[int, int, int]]  # model, snapshot, wanted device, the file as it is now


class Predictors:
    """All predictors, by model, snapshot as it is now (a training writes its best one anew) and wanted device. `free_gpus()`
    names the devices that no job has reserved."""

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
        self.free_gpus = free_gpus
        self.command = tuple(command)
        self.limit = limit
        self.publications = Publications(jobs_dir)
        self.pool: ProcessPool[Key] = ProcessPool(directory, "p", limit, idle_seconds, LOADING_SECONDS, "predictor")

    def request(self, request: Mapping[str, Any]) -> Answer | Later:
        """The control operation `predictor`: `{"socket": path}` once the model is loaded. Raises Unavailable where it cannot."""
        key = self._key(request)
        answer = self._answer(key)
        return answer if answer is not None else lambda: self._answer(key)

    def release(self, gpus: Collection[str]) -> None:
        """Give up the given devices at once: a training needs them."""

        def is_in_the_way(key: Key, process: PooledProcess) -> bool:
            if process.gpu and process.gpu in gpus:
                logger.info("The model on GPU %s gives way to a training.", process.gpu, extra={"job_id": key[0]})
                return True
            return False

        self.pool.drop_where(is_in_the_way)

    def forget(self, model_id: str) -> None:
        """Drop every snapshot of a model that is being deleted."""
        self.pool.drop_where(lambda key, _: key[0] == model_id)

    def _key(self, request: Mapping[str, Any]) -> Key:
        model_id, snapshot = str(request.get("model_id", "")), str(request.get("snapshot", ""))
        try:
            file = self.jobs_dir.folder(model_id).snapshot_file(snapshot).stat()
        except StorageError as error:
            raise BadRequest(error.message, advice=error.advice) from error
        return model_id, snapshot, str(request.get("device") or "auto"), (file.st_ino, file.st_size, file.st_mtime_ns)

    def _answer(self, key: Key) -> Answer | None:
        """The answer once the model is loaded; one that is not there (any more: a training took its device) is started."""
        try:
            process = self.pool.find(key) or self._start(key)
        except DigitsError as error:
            advice = "The page of the model shows its log."
            raise Unavailable(f"The model could not be loaded: {error.message}", advice=advice) from error
        return {"socket": str(process.socket)} if process.ready else None

    def _start(self, key: Key) -> PooledProcess:
        model_id, snapshot, device, _ = key
        self.pool.limit = self.limit + sum(len(one.used) for one in self.publications.all())  # what is published stays loaded
        gpu = self._gpu(device)
        base = self.pool.next_base()
        command = [*self.command, "--socket", f"{base}.sock", "--folder", str(self.jobs_dir.folder(model_id).path)]
        command += ["--snapshot", snapshot, "--device", "cuda:0" if gpu else "cpu"]
        environ = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": gpu}
        process = self.pool.start(key, command, environ, base=base, gpu=gpu)
        where = f"GPU {gpu}" if gpu else "the CPU"
        logger.info("Loads %s on %s (pid %d).", snapshot, where, process.child.process.pid, extra={"job_id": model_id})
        return process

    def _gpu(self, device: str) -> str:
        """The device to load on: a free GPU, the wanted one first; none (the CPU) where all are reserved or it is wanted so."""
        if device == "cpu":
            return ""
        free = list(self.free_gpus())
        wanted = device.removeprefix("cuda:")
        return wanted if wanted in free else next(iter(free), "")
