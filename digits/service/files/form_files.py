"""Single files that came with a form: kept below `.digits/uploads/.form` until the job that needs them has its copy.

Holds: a job depends on nothing there; files that nobody came back for are removed after two days.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from digits.service import Service
from digits.service.files.names import copy_limited, free_path, safe_name
from digits.storage.files import atomic
from digits.storage.modes import make_folder

FORM_FILES = ".form"
SENT = "sent"  # in the folder of a job: files that came with its form
STALE_SECONDS = 2 * 86400
LOOK_SECONDS = 3600


def save_form_file(service: Service, stream: IO[bytes], filename: str) -> Path:
    """Keep a file that was sent with a form; the absolute path of the copy."""
    _drop_old_form_files(service)
    folder = service.jobs_dir.uploads / FORM_FILES / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
    make_folder(folder, service.jobs_dir.mode)
    path = folder / safe_name(filename)
    limit = service.settings.max_upload_mb * 2**20
    with atomic(path) as handle:
        copy_limited(stream, handle, limit, f"The file is larger than {service.settings.max_upload_mb} MiB.", "max_upload_mb")
    return path


def is_form_file(service: Service, path: Path) -> bool:
    """Whether `save_form_file` kept it, until the form is done."""
    return path.parent.parent == service.jobs_dir.uploads / FORM_FILES


def drop_form_file(service: Service, path: Path) -> None:
    """Remove a file that `save_form_file` kept, once it was copied to where it is needed; others are left alone."""
    if is_form_file(service, path):
        shutil.rmtree(path.parent, ignore_errors=True)


def keep_form_files(service: Service, values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Form values whose files lie where they will be removed, after copying these into the folder of the job that needs them.

    That is so for files sent with the form and for those of the job of which it is a clone.
    """

    def kept(value: Any) -> Any:
        if isinstance(value, list):
            return [kept(item) for item in value]
        path = Path(value) if isinstance(value, str) and value.startswith(f"{service.jobs_dir.path}/") else None
        if path is None or not _is_passing(service, path) or not path.is_file():
            return value
        target = free_path(folder / SENT, path.name)
        shutil.copyfile(path, target)
        return str(target)

    return {name: kept(value) for name, value in values.items()}


def _is_passing(service: Service, path: Path) -> bool:
    return path.parent.parent == service.jobs_dir.uploads / FORM_FILES or path.parent.name == SENT


def _drop_old_form_files(service: Service) -> None:
    """Once an hour, remove files of forms that were sent two days ago; jobs have copies of those they need."""
    folder = service.jobs_dir.uploads / FORM_FILES
    make_folder(folder, exist_ok=True)
    mark = folder / ".looked"
    if mark.exists() and time.time() - mark.stat().st_mtime < LOOK_SECONDS:
        return
    mark.touch()
    for entry in os.scandir(folder):
        with contextlib.suppress(FileNotFoundError):  # another request does the same
            if entry.is_dir(follow_symlinks=False) and time.time() - entry.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(entry.path, ignore_errors=True)
