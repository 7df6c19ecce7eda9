"""Chores around the folders of jobs: those that go for good are renamed and removed by a thread, the disk that each takes is
counted by another, and rows are compared with folders (the folder is the job, the row its index entry)."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import shutil
import threading
import time
from collections.abc import Set
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from digits.domain.datasets import STAGES
from digits.domain.jobs import JOB_ID
from digits.errors import NotFound, StorageError
from digits.storage.event_lines import keep_shown
from digits.storage.files import is_disk_full, tree_size, write_json
from digits.storage.folders import JobFolder, JobsDir
from digits.storage.jobs.reindex import ReindexReport, foreign_problems, index_folder, restore
from digits.storage.jobs.store import Job, JobStore
from digits.storage.modes import make_folder

SETTLED_SECONDS = 30.0  # a younger folder without a row is being made right now
ABANDONED_SECONDS = 86400.0  # after which nobody goes on making one that has no request

logger = logging.getLogger(__name__)


class FolderRemover:
    """Removes folders of jobs that nobody works on any more."""

    def __init__(self, jobs_dir: JobsDir, store: JobStore) -> None:
        self.jobs_dir = jobs_dir
        self.store = store
        self._paths: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._left = 0  # folders that are not removed yet
        self._lock = threading.Lock()

    def finish_earlier(self) -> None:
        """Remove what an earlier supervisor did not come to."""
        if self.jobs_dir.going.is_dir():
            for path in self.jobs_dir.going.iterdir():
                self._remove_later(path)

    @property
    def is_idle(self) -> bool:
        """Whether everything that was to be removed is."""
        return not self._left

    def remove(self, job: Job) -> None:
        """Let a job disappear. Raises OSError when its folder cannot be moved; then nothing has changed. Where the disk has no
        room for a new name, the folder is emptied where it is."""
        folder = self.jobs_dir.folder(job.id)
        if folder.path.is_dir():
            self._remove_later(self._aside(folder))
        else:
            folder.path.unlink(missing_ok=True)  # whatever else took its place
        self.store.purge(job.id)
        logger.info("Deleted.", extra={"job_id": job.id})

    def remove_records(self, dataset: Job) -> None:
        """Delete the splits of a data set and note that; the rest of its folder stays. May be done again. Raises OSError."""
        folder = self.jobs_dir.folder(dataset.id)
        for name in (*STAGES, "sent"):
            if (folder.path / name).is_dir():
                self._remove_later(self._aside(JobFolder(folder.path / name)))
        if not folder.records_removed_file.exists():
            write_json(folder.records_removed_file, {"t": time.time(), "owner": dataset.owner})
        logger.info("The records are deleted; what its models need is kept.", extra={"job_id": dataset.id})

    def _aside(self, folder: JobFolder) -> Path:
        """The folder in `.digits/trash`, out of everybody's sight."""
        try:
            make_folder(self.jobs_dir.going, exist_ok=True)
            target = _free_name(self.jobs_dir.going / folder.id)
            os.rename(folder, target)
            return target
        except OSError as error:
            if not is_disk_full(error):
                raise
        folder.request_file.unlink(missing_ok=True)  # without it a folder is no job
        return folder.path

    def close(self) -> None:
        """Wait until everything is removed."""
        if self._thread is not None:
            self._paths.put(None)
            self._thread.join()

    def _remove_later(self, path: Path) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="remover", daemon=True)
            self._thread.start()
        with self._lock:
            self._left += 1
        self._paths.put(path)

    def _work(self) -> None:
        while (path := self._paths.get()) is not None:
            try:
                shutil.rmtree(path)
            except OSError as error:
                logger.warning("%s cannot be removed: %s. It is tried again at the next start.", path, error)
            with self._lock:
                self._left -= 1


def _free_name(path: Path) -> Path:
    """`path`, or a variant of it that does not exist yet."""
    with contextlib.suppress(OSError):
        path.lstat()
        return _free_name(path.with_name(path.name + "~"))
    return path


class DiskUsage:
    """Counts the files of one job after the other in a thread of its own, which starts with the first."""

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
        """Count what was requested and end."""
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
        job = self.store.find(job_id, with_deleted=True)
        if job is not None and not job.status.is_running:
            keep_shown(self.jobs_dir.folder(job_id).events_file)
        size = tree_size(self.jobs_dir.folder(job_id).path)
        if job is not None and job.disk_bytes != size:
            self.store.update(job_id, disk_bytes=size)


class Indexer:
    """Brings the settings and outputs of jobs that an older version has written into the tables that queries read, one after the
    other, in a thread of its own. One that cannot be read stays as it is, and is tried again at the next start."""

    def __init__(self, jobs_dir: JobsDir, store: JobStore) -> None:
        self.jobs_dir = jobs_dir
        self.store = store
        self._leaving = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, where there is anything to do."""
        waiting = self.store.unindexed()
        if waiting:
            self._thread = threading.Thread(target=self._work, args=(waiting,), name="indexer", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End after the job of now; the next start goes on."""
        self._leaving.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self, waiting: list[str]) -> None:
        logger.info("%d jobs of an older version are read for queries.", len(waiting))
        for job_id in waiting:
            if self._leaving.is_set():
                return
            try:
                index_folder(self.jobs_dir.folder(job_id), self.store)
            except (StorageError, OSError, ValueError, SQLAlchemyError) as error:
                logger.debug("Queries do not see its settings: %s", error, extra={"job_id": job_id})


def scan(jobs_dir: JobsDir, store: JobStore, settled: float = SETTLED_SECONDS) -> ReindexReport:
    """Make rows for folders that have none and remove rows whose folder is gone, but for those that other jobs need: these stay,
    and say what is missing. Folders that cannot be read are problems."""
    rows = set(store.ids())
    folders = {folder.id: folder for folder in jobs_dir.folders()}
    report = ReindexReport(problems=foreign_problems(jobs_dir))
    for job_id in sorted(rows - folders.keys()):
        job = store.find(job_id, with_deleted=True)
        if job is not None and not jobs_dir.folder(job_id).path.exists() and not store.is_needed(job_id):
            logger.warning("The folder is gone; the job is forgotten.", extra={"job_id": job_id})
            store.purge(job_id)
    for job_id in sorted(folders.keys() - rows):
        if _is_settled(folders[job_id], settled):
            restore(folders[job_id], store, report)
    drop_claims(jobs_dir, rows | folders.keys())
    return report


def drop_claims(jobs_dir: JobsDir, known: Set[str]) -> list[str]:
    """Remove folders of jobs that were never made, because what put files into them (a page, a command) was killed before it
    wrote the request; their names. They must say that they were claimed, or be empty: a folder of another tool, or one that lost
    its request, is none. Nothing of a job may lie in them, and nothing have been written for a day."""
    dropped = []
    for name in sorted(name for name in os.listdir(jobs_dir.path) if JOB_ID.match(name) and name not in known):
        folder = jobs_dir.folder(name)
        made = (folder.request_file, folder.state_file, folder.events_file, folder.dataset_file)
        is_claim = folder.claim_file.exists() or not any(folder.path.iterdir())
        if not is_claim or any(path.exists() for path in made) or abs(time.time() - _newest(folder.path)) < ABANDONED_SECONDS:
            continue
        shutil.rmtree(folder.path, ignore_errors=True)
        logger.info("A folder of a job that was never made is removed.", extra={"job_id": name})
        dropped.append(name)
    return dropped


def _newest(folder: Path) -> float:
    """When something was last written in a folder or below, in seconds since 1970; now where that is not to be seen."""
    try:
        paths = [folder, *(Path(root, name) for root, folders, names in os.walk(folder) for name in (*folders, *names))]
        return max(path.lstat().st_mtime for path in paths)
    except OSError:
        return time.time()


def log_report(report: ReindexReport, known: set[Path]) -> None:
    """Log what a scan found; problems that are in `known` are not reported again."""
    if report.restored:
        logger.info("Found %d job folders without a row: %s.", len(report.restored), ", ".join(report.restored[:10]))
    for path, reason in report.problems:
        if path not in known:
            logger.warning("%s is left out: %s", path, reason)
            known.add(path)


def _is_settled(folder: JobFolder, seconds: float) -> bool:
    try:
        age = time.time() - folder.request_file.stat().st_mtime
        return abs(age) > seconds  # the clock may have been set back since
    except OSError:
        return False
