"""Deleting jobs: the folder is renamed into the trash, the row goes, and a thread removes the files."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import shutil
import threading
from pathlib import Path

from digits.storage.folders import JobsDir
from digits.storage.jobs.store import Job, JobStore

logger = logging.getLogger(__name__)


class Remover:
    """Removes folders of jobs that nobody works on any more."""

    def __init__(self, jobs_dir: JobsDir, store: JobStore) -> None:
        self.jobs_dir = jobs_dir
        self.store = store
        self._paths: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def empty_trash(self) -> None:
        """Remove what an earlier supervisor did not come to."""
        if self.jobs_dir.trash.is_dir():
            for path in self.jobs_dir.trash.iterdir():
                self._remove_later(path)

    def remove(self, job: Job) -> None:
        """Let a job disappear. Raises OSError when its folder cannot be moved; then nothing has changed."""
        folder = self.jobs_dir.folder(job.id).path
        if folder.exists():
            self.jobs_dir.trash.mkdir(exist_ok=True)
            target = _free_name(self.jobs_dir.trash / job.id)
            os.rename(folder, target)
            self._remove_later(target)
        self.store.purge(job.id)
        logger.info("Deleted.", extra={"job_id": job.id})

    def close(self) -> None:
        """Wait until everything is removed."""
        if self._thread is not None:
            self._paths.put(None)
            self._thread.join()

    def _remove_later(self, path: Path) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="remover", daemon=True)
            self._thread.start()
        self._paths.put(path)

    def _work(self) -> None:
        while (path := self._paths.get()) is not None:
            try:
                shutil.rmtree(path)
            except OSError as error:
                logger.warning("%s cannot be removed: %s. It is tried again at the next start.", path, error)


def _free_name(path: Path) -> Path:
    """`path`, or a variant of it that does not exist yet."""
    with contextlib.suppress(OSError):
        path.lstat()
        return _free_name(path.with_name(path.name + "~"))
    return path
