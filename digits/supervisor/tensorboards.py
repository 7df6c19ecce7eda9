"""TensorBoards, one process for each selection of models: started on request, ended when idle, too many, or a model is deleted.

Holds: each listens on a Unix socket in the supervisor's private folder and on no port; the web server alone talks to it.
"""

from __future__ import annotations

import logging
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits.errors import BadRequest, DigitsError
from digits.ipc.supervisor_server import Answer
from digits.storage.folders import JobsDir
from digits.supervisor.child_processes import STOP_SECONDS, ChildProcess, stop_all
from digits.supervisor.outcomes import exit_words
from digits.supervisor.predictors import answers_at, tail_of

logger = logging.getLogger(__name__)

TENSORBOARD_COMMAND = (sys.executable, "-P", "-m", "digits.worker.tensorboard_server")
SUMMARIES = "tb"  # as digits.engines.training.tensorboard: the folder of a model's event files
MAX_TENSORBOARDS = 4
IDLE_SECONDS = 900.0
STARTING_SECONDS = 60.0  # who is not ready by then is given up
NAME_LENGTH = 80
STRANGE = re.compile(r"[^\w .,()+=:@#-]")  # in the name of a run

Key = tuple[str, ...]


@dataclass
class TensorBoard:
    """One process with the folder it reads: a link to each model's event files, named like the model."""

    child: ChildProcess
    folder: Path
    socket: Path
    log: Path
    used: float
    ready: bool = False


class TensorBoards:
    """All TensorBoards, by the ids of their models. `name_of(job_id)` is what a run is called; `""`: there is no such job."""

    def __init__(
        self,
        jobs_dir: JobsDir,
        directory: Path,
        name_of: Callable[[str], str],
        *,
        idle_seconds: float = IDLE_SECONDS,
        command: Sequence[str] = TENSORBOARD_COMMAND,
        limit: int = MAX_TENSORBOARDS,
    ) -> None:
        self.jobs_dir = jobs_dir
        self.directory = directory
        self.name_of = name_of
        self.idle_seconds = idle_seconds
        self.command = tuple(command)
        self.limit = limit
        self.running: dict[Key, TensorBoard] = {}
        self._ending: list[tuple[TensorBoard, float]] = []
        self._number = 0

    def request(self, request: Mapping[str, Any]) -> Answer:
        """The control operation `tensorboard`: `{"socket", "ready"}` of the models `job_ids`, whose TensorBoard is started
        where it does not run and `start` is set. `socket` is empty while there is none. `{"error": why}` once when it failed.
        """
        key = self._key(request)
        tensorboard = self.running.get(key)
        if tensorboard is not None:
            self._look(key, tensorboard)
            tensorboard = self.running.get(key)
        if tensorboard is None and request.get("start"):
            self._evict()
            tensorboard = self.running[key] = self._start(key)
        if tensorboard is None:
            return {"socket": "", "ready": False}
        tensorboard.used = time.monotonic()
        return {"socket": str(tensorboard.socket), "ready": tensorboard.ready}

    def tick(self) -> None:
        """End who is idle, forget who has ended, kill who was told to go and did not."""
        now = time.monotonic()
        for key, tensorboard in list(self.running.items()):
            ended = tensorboard.ready and not tensorboard.child.is_running()
            if ended or now - tensorboard.used > max(self.idle_seconds, 0 if tensorboard.ready else STARTING_SECONDS):
                self._drop(key)
        self._ending = [
            (tensorboard, since) for tensorboard, since in self._ending if not self._has_gone(tensorboard, now - since)
        ]

    def forget(self, job_id: str) -> None:
        """End those that show a model that is being deleted."""
        for key in [key for key in self.running if job_id in key]:
            self._drop(key)

    def stop(self) -> None:
        """End all."""
        tensorboards = [*self.running.values(), *(tensorboard for tensorboard, _ in self._ending)]
        stop_all([tensorboard.child for tensorboard in tensorboards])
        for tensorboard in tensorboards:
            _remove(tensorboard)
        self.running.clear()
        self._ending.clear()

    def _key(self, request: Mapping[str, Any]) -> Key:
        ids = request.get("job_ids")
        if not isinstance(ids, list) or not ids or not all(isinstance(job_id, str) for job_id in ids):
            raise BadRequest("tensorboard needs `job_ids`, a list of models.")
        return tuple(sorted(set(ids)))

    def _look(self, key: Key, tensorboard: TensorBoard) -> None:
        """Note whether it listens by now. Raises DigitsError when it ended or hung before it ever did."""
        if not tensorboard.ready and answers_at(tensorboard.socket):
            tensorboard.ready = True
        if tensorboard.child.is_running() and (
            tensorboard.ready or time.monotonic() - tensorboard.child.started < STARTING_SECONDS
        ):
            return
        was_ready, running = tensorboard.ready, tensorboard.child.is_running()
        said = tail_of(tensorboard.log)
        self._drop(key)
        if was_ready:
            logger.info("A TensorBoard ended: %s.", exit_words(tensorboard.child.process.returncode))
            return
        why = f"it was not ready after {STARTING_SECONDS:g} s" if running else exit_words(tensorboard.child.process.returncode)
        raise DigitsError(f"TensorBoard did not start: {why}.", advice=f"It said last: {said}")

    def _start(self, key: Key) -> TensorBoard:
        self._number += 1
        folder = self.directory / f"b{self._number}"
        names = self._names(key)
        links = {name: self.jobs_dir.folder(job_id).path / SUMMARIES for job_id, name in names.items()}
        folder.mkdir()
        for name, summaries in links.items():
            (folder / name).symlink_to(summaries)
        socket, log = folder.with_suffix(".sock"), folder.with_suffix(".log")
        title = f"{next(iter(names.values()))} · TensorBoard" if len(names) == 1 else f"{len(names)} models · TensorBoard"
        arguments = ["--logdir", str(folder), "--socket", str(socket), "--title", title]
        child = ChildProcess([*self.command, *arguments], {"CUDA_VISIBLE_DEVICES": ""}, log)
        logger.info("Starts TensorBoard for %s (pid %d).", title.partition(" · ")[0], child.process.pid)
        return TensorBoard(child, folder, socket, log, time.monotonic())

    def _names(self, key: Key) -> dict[str, str]:
        """Names of runs by job: names of models without what paths cannot have, with the id where two are alike."""
        names: dict[str, str] = {}
        for job_id in key:
            name = self.name_of(job_id)
            if not name:
                raise BadRequest(f"There is no model {job_id}.")
            names[job_id] = STRANGE.sub("_", name)[:NAME_LENGTH].strip(" .") or job_id
        values = list(names.values())
        return {job_id: name if values.count(name) == 1 else f"{name} ({job_id})" for job_id, name in names.items()}

    def _has_gone(self, tensorboard: TensorBoard, waited: float) -> bool:
        """Whether one that was told to go has; after a while it is made to. What it left is removed then."""
        if waited > STOP_SECONDS:
            tensorboard.child.stop(0)
        if tensorboard.child.is_running():
            return False
        _remove(tensorboard)
        return True

    def _evict(self) -> None:
        """Drop those used least recently until one more is allowed."""
        while len(self.running) >= self.limit:
            self._drop(min(self.running, key=lambda key: self.running[key].used))

    def _drop(self, key: Key) -> None:
        tensorboard = self.running.pop(key)
        tensorboard.child.ask_to_stop()
        self._ending.append((tensorboard, time.monotonic()))


def _remove(tensorboard: TensorBoard) -> None:
    """Its links, socket and log; never what the links lead to."""
    shutil.rmtree(tensorboard.folder, ignore_errors=True)
    for path in (tensorboard.socket, tensorboard.log):
        path.unlink(missing_ok=True)
