"""The exports of a model: `exports/<format>-epoch_<E>/` in its folder, each with its files and, written last, `export.json`.

Holds: a folder of that name is whole. It is written under a name that begins with a dot and renamed; where there was one of the
same format and epoch, that one goes when the new one stands in its place. What a job that was killed left half is removed, and
what it had put aside is restored, at the next look after its end; what was deleted but is not yet gone goes with it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from digits.domain.exports import Export
from digits.domain.jobs import Status
from digits.errors import StorageError
from digits.storage.files import cannot_write, free_bytes, is_disk_full, read_json, sync_directory, write_json
from digits.storage.folders import JobFolder

FACTS = "export.json"
FULL = 1 << 20  # bytes that are left of a disk on which something could not be written
PART, OLD, GONE = ".part", ".old", ".gone"  # half written, put aside for a newer one, deleted


def export_name(format_name: str, epoch: float) -> str:
    """Name of an export's folder."""
    return f"{format_name}-epoch_{epoch:g}"


@contextlib.contextmanager
def writing(model: JobFolder, job_id: str) -> Iterator[Path]:
    """An empty folder to write the files of an export into; removed unless `publish` took it.

    What workers that were killed left, of this job or of jobs that have ended, goes first.
    """
    _clear_left_over(model, job_id)
    part = model.exports / f".{job_id}{PART}"
    part.mkdir(parents=True)
    try:
        yield part
    except Exception as error:
        if not is_disk_full(error) and free_bytes(model.path) < FULL:  # libraries that write say so in words of their own
            raise cannot_write(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), part) from error
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def publish(model: JobFolder, part: Path, export: Export) -> Path:
    """Let what was written to `part` be the model's export of its format and epoch; its folder."""
    for name, _ in export.files:
        with open(part / name, "rb") as file:
            os.fsync(file.fileno())
    write_json(part / FACTS, export.to_json())
    target = model.exports / export_name(export.format, export.epoch)
    old = model.exports / f".{export.job_id}{OLD}"
    try:
        if target.exists():
            os.rename(target, old)
        os.rename(part, target)
    except BaseException:  # a request to stop may come here as well
        _restore(model, old)
        raise
    sync_directory(model.exports)
    shutil.rmtree(old, ignore_errors=True)
    return target


def exports_of(model: JobFolder) -> list[Export]:
    """The exports that are whole, newest first."""
    _clear_left_over(model)
    found = []
    for path in model.exports.iterdir() if model.exports.is_dir() else ():
        if not path.name.startswith("."):
            with contextlib.suppress(StorageError, KeyError, TypeError, ValueError):
                found.append(Export.from_json(read_json(path / FACTS)))
    return sorted(found, key=lambda export: export.created, reverse=True)


def remove(model: JobFolder, name: str) -> None:
    """Remove an export with its files: from one moment to the next there is none of this name. Nothing happens where none is."""
    gone = model.exports / f".{secrets.token_hex(8)}{GONE}"
    try:
        os.rename(model.exports / name, gone)
        sync_directory(model.exports)
    except FileNotFoundError:
        return
    except OSError as error:
        if not is_disk_full(error):
            raise
        gone = model.exports / name  # no room for a new name
    shutil.rmtree(gone, ignore_errors=True)


def export_folder(model: JobFolder, export: Export) -> Path:
    """Where the files of an export lie."""
    return model.exports / export_name(export.format, export.epoch)


def _clear_left_over(model: JobFolder, own: str = "") -> None:
    """Restore what was put aside and remove what is half, of the job `own` (the caller's) and of jobs that have ended."""
    for path in list(model.exports.glob(".*")):
        job_id = path.stem.removeprefix(".")
        if path.suffix in (PART, OLD, GONE) and (job_id == own or _has_ended(JobFolder(model.path.parent / job_id))):
            if path.suffix == OLD:
                _restore(model, path)
            shutil.rmtree(path, ignore_errors=True)


def _restore(model: JobFolder, old: Path) -> None:
    """Rename what was put aside back, unless the new one stands in its place."""
    with contextlib.suppress(StorageError, KeyError, TypeError, ValueError, OSError):
        target = export_folder(model, Export.from_json(read_json(old / FACTS)))
        if not target.exists():
            os.rename(old, target)


def _has_ended(job: JobFolder) -> bool:
    """Whether no worker of the job is at work or will be: it is deleted, or its state says so."""
    if not job.path.is_dir():
        return True
    with contextlib.suppress(ValueError):
        return not Status(str(job.state().get("status"))).is_running
    return False
