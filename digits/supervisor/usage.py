"""How much disk each job takes, counted in the background and cached in its row."""

from __future__ import annotations

import logging
import queue
import threading

from sqlalchemy.exc import SQLAlchemyError

from digits.errors import NotFound
from digits.storage.files import tree_size
from digits.storage.folders import JobsDir
from digits.storage.jobs.store import JobStore

logger = logging.getLogger(__name__)


class DiskUsage:
    """Counts one job after the other in a thread of its own, which starts with the first."""

    def __init__(self, jobs_dir: JobsDir, store: JobStore) -> None:
        self.jobs_dir = jobs_dir
        self.store = store
        self._jobs: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._asked: set[str] = set()
        self._thread: threading.Thread | None = None

    def count(self, job_id: str) -> None:
        """Count a job's files soon; asking twice before it is done counts once."""
        if job_id in self._asked:
            return
        self._asked.add(job_id)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="disk usage", daemon=True)
            self._thread.start()
        self._jobs.put(job_id)

    def close(self) -> None:
        """Count what was asked for and end."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (job_id := self._jobs.get()) is not None:
            self._asked.discard(job_id)
            try:
                self._count(job_id)
            except (OSError, ValueError, NotFound, SQLAlchemyError) as error:
                logger.debug("Not counted: %s", error, extra={"job_id": job_id})

    def _count(self, job_id: str) -> None:
        size = tree_size(self.jobs_dir.folder(job_id).path)
        job = self.store.find(job_id)
        if job is not None and job.disk_bytes != size:
            self.store.update(job_id, disk_bytes=size)
