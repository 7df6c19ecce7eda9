"""Rows and folders compared: the folder is the job, the row its index entry."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from digits.storage.folders import JobFolder, JobsDir
from digits.storage.jobs.reindex import Report, foreign_problems, restore
from digits.storage.jobs.store import JobStore

logger = logging.getLogger(__name__)

SETTLED_SECONDS = 30.0  # a younger folder without a row is being made right now


def scan(jobs_dir: JobsDir, store: JobStore, settled: float = SETTLED_SECONDS) -> Report:
    """Make rows for folders that have none and remove rows whose folder is gone; folders that cannot be read are problems."""
    rows = set(store.ids())
    folders = {folder.id: folder for folder in jobs_dir.folders()}
    report = Report(problems=foreign_problems(jobs_dir))
    for job_id in sorted(rows - folders.keys()):
        job = store.find(job_id)
        if job is not None and not jobs_dir.folder(job_id).path.exists():
            logger.warning("The folder is gone; the job is forgotten.", extra={"job_id": job_id})
            store.purge(job_id)
    for job_id in sorted(folders.keys() - rows):
        if _is_settled(folders[job_id], settled):
            restore(folders[job_id], store, report)
    return report


def tell(report: Report, known: set[Path]) -> None:
    """Log what a scan found; problems that are in `known` are not told again."""
    if report.restored:
        logger.info("Found %d job folders without a row: %s.", len(report.restored), ", ".join(report.restored[:10]))
    for path, reason in report.problems:
        if path not in known:
            logger.warning("%s is left out: %s", path, reason)
            known.add(path)


def _is_settled(folder: JobFolder, seconds: float) -> bool:
    try:
        return time.time() - folder.request_file.stat().st_mtime > seconds
    except OSError:
        return False
