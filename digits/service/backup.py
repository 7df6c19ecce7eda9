"""A copy of the jobs directory that can be opened as one, made while the server and trainings run.

Holds: the database is copied first, as it was at one moment, so no row knows more than its folder. Of a job the checkpoint is
copied before the events, which it counts, and what the events name is looked at again after them. Files are whole: they appear
under their name when all of them is there. A second backup at the same place copies what has changed and removes what is gone.
What belongs to running processes (locks, sockets, scratch files, uploads that are not finished) is left out.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from digits import __version__
from digits.domain.jobs import JOB_ID
from digits.errors import BadRequest, ConfigError, StorageError
from digits.service import Service
from digits.service.files.uploads import PARTIAL
from digits.service.views import FILE as VIEWS
from digits.storage.files import cannot_write, write_json
from digits.storage.folders import JobFolder, JobsDir
from digits.storage.identity import FILE, find
from digits.storage.modes import OWNER_FILE, make_folder
from digits.storage.publications import FOLDER as SERVE

ABOUT = "backup.json"  # in `.digits`: that this is a backup, of what and when
DUMP = "database.dump"  # there, where the database is a PostgreSQL
KEPT = ("secret", FILE, VIEWS)  # files in `.digits`, beside the audit log
LOCKS = ("worker.lock", "heartbeat")  # of a process that runs
TEMPORARY = ".backup-tmp"
SETTLE_ROUNDS = 10


@dataclass
class Backup:
    """What was done: numbers of jobs and files, bytes that were copied."""

    path: str
    jobs: int = 0
    copied: int = 0
    bytes: int = 0
    unchanged: int = 0
    removed: int = 0


def back_up(service: Service, target: Path) -> Backup:
    """Copy the jobs directory and its database to `target`: a new folder, an empty one, or an earlier backup of the directory.

    Raises BadRequest for any other folder, ConfigError or StorageError where the database cannot be copied, DiskFull.
    """
    target = Path(os.path.abspath(target))
    _check(service, target)
    hidden = JobsDir(target).hidden
    try:
        make_folder(target, service.jobs_dir.mode, exist_ok=True)
        make_folder(hidden, exist_ok=True)
        write_json(hidden / ABOUT, {"of": str(service.jobs_dir.path), "version": __version__, "begun": time.time()})
        done = Backup(str(target))
        _copy_database(service, hidden)
        _copy_jobs(service.jobs_dir, target, done)
        _copy_hidden(service.jobs_dir, hidden, done)
        os.sync()
    except OSError as error:
        raise cannot_write(error, target) from error
    finished = {"of": str(service.jobs_dir.path), "version": __version__, "finished": time.time()}
    write_json(hidden / ABOUT, finished)
    return done


def _check(service: Service, target: Path) -> None:
    real, source = Path(os.path.realpath(target)), Path(os.path.realpath(service.jobs_dir.path))
    if real == source or source in real.parents or real in source.parents:
        raise BadRequest(f"{target} and the jobs directory lie one in the other.", advice="Choose a folder elsewhere.")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        return
    if not target.is_dir():
        raise BadRequest(f"{target} is a file.", advice="Choose a folder.")
    if find(JobsDir(target)) is not None:
        raise BadRequest(f"{target} has been opened as a jobs directory since it was made.", advice="Choose another folder.")
    if any(target.iterdir()) and not (JobsDir(target).hidden / ABOUT).is_file():
        raise BadRequest(f"{target} is neither empty nor a backup.", advice="Choose another folder.")


# -- the database -------------------------------------------------------------------------------------------------


def _copy_database(service: Service, hidden: Path) -> None:
    url = service.store.engine.url
    if url.get_backend_name() == "sqlite":
        copy_sqlite(Path(url.database or ""), JobsDir(hidden.parent).database_file)
    elif url.get_backend_name() == "postgresql":
        dump_postgresql(url, hidden / DUMP)
    else:
        raise ConfigError(
            f"A database of {url.get_backend_name()} is not backed up by digits.",
            advice="Dump it with its own tools, and copy the jobs directory after that.",
        )


def copy_sqlite(database: Path, target: Path) -> None:
    """The database as it is at one moment; whoever writes it is not held up."""
    temporary = target.with_name(target.name + TEMPORARY)
    temporary.unlink(missing_ok=True)
    os.close(os.open(temporary, os.O_RDWR | os.O_CREAT, OWNER_FILE))
    try:
        with contextlib.closing(sqlite3.connect(database)) as source, contextlib.closing(sqlite3.connect(temporary)) as copy:
            source.backup(copy)
    except sqlite3.Error as error:
        raise StorageError(f"The database {database} cannot be copied to {target.parent}: {error}.") from error
    os.replace(temporary, target)


def dump_postgresql(url: URL, target: Path) -> None:
    """What `pg_restore` reads; the password is given in the environment. Raises ConfigError."""
    program = shutil.which("pg_dump")
    if program is None:
        raise ConfigError("The database is a PostgreSQL, and there is no pg_dump.", advice="Install postgresql-client.")
    plain = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query).render_as_string()
    temporary = target.with_name(target.name + TEMPORARY)
    command = [program, "--format=custom", "--no-owner", f"--file={temporary}", f"--dbname={plain}"]
    password = {"PGPASSWORD": str(url.password)} if url.password else {}
    done = subprocess.run(command, env={**os.environ, **password}, capture_output=True, text=True)
    if done.returncode:
        raise ConfigError(f"pg_dump failed: {done.stderr.strip()[-500:] or done.returncode}.")
    os.chmod(temporary, OWNER_FILE)
    os.replace(temporary, target)


# -- files --------------------------------------------------------------------------------------------------------


def _copy_jobs(jobs_dir: JobsDir, target: Path, done: Backup) -> None:
    here = {name for name in os.listdir(jobs_dir.path) if JOB_ID.match(name)}
    for name in sorted(here):
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
            _copy_job(jobs_dir.folder(name), JobsDir(target).folder(name), done)
            done.jobs += 1
    for name in os.listdir(target):
        if JOB_ID.match(name) and name not in here:
            shutil.rmtree(target / name)
            done.removed += 1


def _copy_job(folder: JobFolder, target: JobFolder, done: Backup) -> None:
    _make_like(folder.path, target.path)
    if folder.checkpoint.is_dir():
        _copy_checkpoint(folder, target, done)
    of_others = {folder.checkpoint.name, folder.events_file.name, *LOCKS}
    _copy_tree(folder.path, target.path, lambda name: name not in of_others, done)
    if folder.events_file.exists():
        _copy_file(folder.events_file, target.events_file, done)
    _copy_tree(folder.path, target.path, lambda name: name not in of_others, done)
    for name in (folder.checkpoint.name, folder.events_file.name):
        if not (folder.path / name).exists():
            _remove(target.path / name, done)


def _copy_checkpoint(folder: JobFolder, target: JobFolder, done: Backup) -> None:
    """A training replaces it meanwhile: until what says which state is the newest is the same before and after."""
    for _ in range(SETTLE_ROUNDS):
        before = _contents(folder.checkpoint)
        with contextlib.suppress(FileNotFoundError):
            _copy_tree(folder.path, target.path, lambda name: name == folder.checkpoint.name, done)
            if _contents(target.checkpoint) == before == _contents(folder.checkpoint):
                return


def _contents(folder: Path) -> dict[str, bytes]:
    """The small files of a folder."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(FileNotFoundError):
            found[path.name] = path.read_bytes()
    return found


def _copy_hidden(jobs_dir: JobsDir, hidden: Path, done: Backup) -> None:
    for path in (*(jobs_dir.hidden / name for name in KEPT), *jobs_dir.hidden.glob("audit.log*")):
        if path.is_file():
            _copy_file(path, hidden / path.name, done)
    if (jobs_dir.hidden / SERVE).is_dir():
        make_folder(hidden / SERVE, exist_ok=True)
        _copy_tree(jobs_dir.hidden / SERVE, hidden / SERVE, lambda name: name.endswith(".json"), done)
    make_folder(hidden / jobs_dir.uploads.name, exist_ok=True)
    _copy_tree(jobs_dir.uploads, hidden / jobs_dir.uploads.name, lambda name: name != PARTIAL, done)


def _copy_tree(folder: Path, target: Path, takes: Callable[[str], bool], done: Backup) -> None:
    """Make what `takes` of a folder the same in `target`, where what is gone goes too. What vanishes meanwhile is left out."""
    names = {name for name in os.listdir(folder) if takes(name) and not name.endswith(".tmp")}
    for name in names:
        path, copy = folder / name, target / name
        with contextlib.suppress(FileNotFoundError):
            if path.is_symlink() or not path.is_dir():
                _copy_file(path, copy, done)
            else:
                _make_like(path, copy)
                _copy_tree(path, copy, lambda name: True, done)
    for name in os.listdir(target):
        if takes(name) and name not in names:
            _remove(target / name, done)


def _copy_file(path: Path, copy: Path, done: Backup) -> None:
    """An ordinary file or a link; nothing else is copied."""
    found = path.lstat()
    known = copy.lstat() if os.path.lexists(copy) else None
    same = known is not None and (known.st_mode, known.st_size, known.st_mtime_ns) == (
        found.st_mode,
        found.st_size,
        found.st_mtime_ns,
    )
    if stat.S_ISLNK(found.st_mode):
        if known is None or not copy.is_symlink() or os.readlink(copy) != os.readlink(path):
            _remove(copy, Backup(""))
            os.symlink(os.readlink(path), copy)
            done.copied += 1
    elif same:
        done.unchanged += 1
    elif stat.S_ISREG(found.st_mode):
        temporary = copy.with_name(f".{copy.name}{TEMPORARY}")
        shutil.copyfile(path, temporary)
        os.chmod(temporary, stat.S_IMODE(found.st_mode))
        os.utime(temporary, ns=(found.st_atime_ns, found.st_mtime_ns))
        if copy.is_dir() and not copy.is_symlink():
            shutil.rmtree(copy)
        os.replace(temporary, copy)
        done.copied += 1
        done.bytes += found.st_size


def _make_like(folder: Path, copy: Path) -> None:
    """The folder with the mode of the other."""
    if copy.is_symlink() or (copy.exists() and not copy.is_dir()):
        copy.unlink()
    make_folder(copy, stat.S_IMODE(folder.stat().st_mode), exist_ok=True)


def _remove(path: Path, done: Backup) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
    else:
        return
    done.removed += 1
