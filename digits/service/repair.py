"""`digits doctor --repair`: what can be put right without losing anything.

Holds: nothing is thrown away but what nobody can need (half-written files of processes that are gone, uploads that nobody goes on
sending); a damaged file is renamed to `NAME.damaged-TIME` beside it, and every step says what it did. No server runs meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from digits.config import Settings
from digits.domain.damage import Damage
from digits.domain.events import WarningEvent, is_intact
from digits.errors import StorageError
from digits.service import Service, accounts, audit
from digits.service.damage import damage_of
from digits.service.files.uploads import drop_stale
from digits.service.jobs import change_user
from digits.storage.damage import CHECKPOINT, PREVIOUS, previous_step
from digits.storage.events import EventWriter, read_lines
from digits.storage.files import atomic
from digits.storage.folders import JobFolder, JobsDir
from digits.storage.jobs.reindex import ReindexReport, restore, state_of
from digits.storage.jobs.store import Job, JobQuery, JobStore
from digits.storage.jobs.tables import SQLITE_BESIDE
from digits.storage.lock import ServerLock
from digits.utils.values import counted

HALF_WRITTEN_SECONDS = 3600.0  # a temporary file that is older is nobody's


def repair(settings: Settings) -> Iterator[str]:
    """Do what is safe; a sentence for each step that changed something. Raises Locked while a server runs."""
    jobs_dir = JobsDir(settings.jobs_path, settings.folder_mode)
    jobs_dir.prepare()
    with ServerLock(jobs_dir, "digits doctor --repair"):
        jobs_dir.settle_modes()
        yield from _database(settings, jobs_dir)
        service = Service.open(settings)
        try:
            audit.record(service, "digits doctor --repair", who=accounts.default_user(), by="command")
            yield from _rows(service)
            for job in service.store.query(JobQuery()).jobs:
                yield from _job(service, job)
            for name in drop_stale(service, at_start=True):
                yield f"The upload {name}, to which nothing was added for a day, is removed."
        finally:
            service.close()


def _database(settings: Settings, jobs_dir: JobsDir) -> Iterator[str]:
    """Put a database that cannot be read aside; the rows are read from the folders by `_rows`."""
    if settings.database_url or not jobs_dir.database_file.exists():
        return
    try:
        store = JobStore.open("", jobs_dir.database_file)
        try:
            store.check()
        finally:
            store.close()
    except StorageError as error:
        if "newer version" in error.message:
            raise
        aside = _put_aside(jobs_dir.database_file)
        for suffix in SQLITE_BESIDE:
            with contextlib.suppress(FileNotFoundError):
                beside = jobs_dir.database_file.with_name(jobs_dir.database_file.name + suffix)
                os.rename(beside, aside.with_name(aside.name + suffix))
        yield f"{error.message} It is kept as {aside.name}, and a new one is made. Accounts and tokens have to be made again."


def _rows(service: Service) -> Iterator[str]:
    known, report = set(service.store.ids()), ReindexReport()
    for folder in service.jobs_dir.folders():
        if folder.id not in known:
            restore(folder, service.store, report)
    if report.restored:
        where = "its folder" if report.found == 1 else "their folders"
        yield f"{counted(len(report.restored), 'job')} got a row again from {where}."


def _job(service: Service, job: Job) -> Iterator[str]:
    folder = service.folder(job.id)
    if job.status.is_running or not folder.path.is_dir():
        return
    damaged = {damage.file: damage for damage in damage_of(service, job)}
    if folder.user_file.name in damaged:
        yield from _write_anew(folder, damaged[folder.user_file.name], folder.user_file)
        with change_user(service, job):  # as the row has it
            pass
    if folder.state_file.name in damaged:
        yield from _write_anew(folder, damaged[folder.state_file.name], folder.state_file)
        folder.write_state(state_of(job))
    yield from _checkpoint(folder, damaged)
    yield from _events(folder)
    for path in _half_written(folder.path):
        path.unlink(missing_ok=True)
        yield f"{job.name} ({job.id}): {path.relative_to(folder.path)}, half written by a process that is gone, is removed."


def _write_anew(folder: JobFolder, damage: Damage, path: Path) -> Iterator[str]:
    aside = _put_aside(path)
    yield f"{folder.id}: {damage.found} It is written anew from the table of jobs; the damaged file is kept as {aside.name}."


def _checkpoint(folder: JobFolder, damaged: dict[str, Damage]) -> Iterator[str]:
    """A checkpoint that nothing can go on from is put aside, and with it the word that there is one."""
    inside = f"{folder.checkpoint.name}/"
    found = [damage for name, damage in damaged.items() if name.startswith(inside)]
    if found and folder.checkpoint.is_dir() and (step := previous_step(folder)) is not None:
        aside = _put_aside(folder.checkpoint / CHECKPOINT)
        os.rename(folder.checkpoint / PREVIOUS, folder.checkpoint / CHECKPOINT)
        yield f"{folder.id}: {found[0].found} It is kept as {aside.name}; Resume goes on from the one before, of step {step}."
    elif found and folder.checkpoint.is_dir():
        aside = _put_aside(folder.checkpoint)
        yield f"{folder.id}: {found[0].found} It is kept as {aside.name}; Resume starts from the beginning."


def _events(folder: JobFolder) -> Iterator[str]:
    """Blank damaged lines, so that nobody stumbles over them; offsets stay as they are, and a warning in the log says so."""
    path = folder.events_file
    if not path.is_file():
        return
    lines = [(end, line) for end, line in read_lines(path) if line.strip() and not is_intact(line)]
    if not lines:
        return
    aside = path.with_name(_aside_name(path))
    shutil.copy2(path, aside)
    data = bytearray(path.read_bytes())
    for end, line in lines:
        data[end - 1 - len(line) : end - 1] = b" " * len(line)
    with atomic(path) as handle:
        handle.write(data)
    said = f"{counted(len(lines), 'line')} of events.jsonl {'was' if len(lines) == 1 else 'were'} damaged and taken out"
    writer = EventWriter(path, attempt=1)
    try:
        writer.emit(WarningEvent(code="repaired", message=f"{said}; the file as it was is kept as {aside.name}."))
    finally:
        writer.close()
    yield f"{folder.id}: {said}; the file as it was is kept as {aside.name}."


def _half_written(folder: Path) -> Iterator[Path]:
    for path in folder.rglob(".*.tmp"):
        with contextlib.suppress(OSError):
            if path.is_file() and time.time() - path.stat().st_mtime > HALF_WRITTEN_SECONDS:
                yield path


def _put_aside(path: Path) -> Path:
    aside = path.with_name(_aside_name(path))
    os.rename(path, aside)
    return aside


def _aside_name(path: Path) -> str:
    return f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
