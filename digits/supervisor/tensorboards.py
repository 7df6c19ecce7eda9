"""TensorBoards, one process for each selection of models: started on request, ended when idle, too many, or a model is deleted.

Holds: each listens on a Unix socket in the supervisor's private folder and on no port; the web server alone talks to it. It
reads a folder of links to the models' event files, each named like its model.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from digits.errors import BadRequest, Unavailable
from digits.ipc.supervisor_server import Answer
from digits.storage.folders import JobsDir
from digits.supervisor.process_pool import PooledProcess, ProcessPool

logger = logging.getLogger(__name__)

TENSORBOARD_COMMAND = (sys.executable, "-P", "-m", "digits.worker.tensorboard_server")
SUMMARIES = "tb"  # as digits.engines.training.tensorboard: the folder of a model's event files
MAX_TENSORBOARDS = 4
IDLE_SECONDS = 900.0
STARTING_SECONDS = 60.0  # who is not ready by then is given up
NAME_LENGTH = 80
STRANGE = re.compile(r"[^\w .,()+=:@#-]")  # in the name of a run

Key = tuple[str, ...]  # ids of models, sorted


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
        self.name_of = name_of
        self.command = tuple(command)
        self.pool: ProcessPool[Key] = ProcessPool(directory, "b", limit, idle_seconds, STARTING_SECONDS, "TensorBoard")

    def request(self, request: Mapping[str, Any]) -> Answer:
        """The control operation `tensorboard`: `{"socket", "ready"}` of the models `job_ids`, whose TensorBoard is started
        where it does not run and `start` is set. `socket` is empty while there is none. Raises Unavailable once when it failed.
        """
        key = self._key(request)
        try:
            process = self.pool.find(key)
        except Unavailable as error:
            raise Unavailable(f"TensorBoard did not start: {error.message}", advice=error.advice) from error
        if process is None and request.get("start"):
            process = self._start(key)
        if process is None:
            return {"socket": "", "ready": False}
        return {"socket": str(process.socket), "ready": process.ready}

    def forget(self, job_id: str) -> None:
        """End those that show a model that is being deleted."""
        self.pool.drop_where(lambda key, _: job_id in key)

    def _key(self, request: Mapping[str, Any]) -> Key:
        ids = request.get("job_ids")
        if not isinstance(ids, list) or not ids or not all(isinstance(job_id, str) for job_id in ids):
            raise BadRequest("tensorboard needs `job_ids`, a list of models.")
        return tuple(sorted(set(ids)))

    def _start(self, key: Key) -> PooledProcess:
        names = self._names(key)
        title = f"{next(iter(names.values()))} · TensorBoard" if len(names) == 1 else f"{len(names)} models · TensorBoard"
        folder = self.pool.next_base()
        folder.mkdir()
        for job_id, name in names.items():
            (folder / name).symlink_to(self.jobs_dir.folder(job_id).path / SUMMARIES)
        command = [*self.command, "--logdir", str(folder), "--socket", f"{folder}.sock", "--title", title]
        process = self.pool.start(key, command, {"CUDA_VISIBLE_DEVICES": ""}, base=folder)
        logger.info("Starts TensorBoard for %s (pid %d).", title.partition(" · ")[0], process.child.process.pid)
        return process

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
