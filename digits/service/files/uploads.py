"""Uploads: what a browser sends becomes a named folder below `.digits/uploads`, usable in every path field.

Holds: nothing is written outside the upload's own folder; names that would leave it are refused, links and devices are
left out and counted; an archive may not unpack to more than the settings allow; an upload is written aside and takes its
name only when it is whole.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from digits.errors import BadRequest, Forbidden, NotFound
from digits.service import Service
from digits.service.files.names import copy_limited, free_path, not_taken, safe_name
from digits.service.files.unpack import unpack_all
from digits.storage.files import atomic, free_bytes, read_json, tree_size, write_json

PARTIAL = ".partial"  # uploads that are still being sent
ABOUT = ".about"  # one JSON file per upload: owner, time, counts
TOKEN = re.compile(r"^[0-9a-f]{16}$")
STALE_SECONDS = 2 * 86400


@dataclass(frozen=True)
class Upload:
    """One finished upload.

    `path` is the folder that a path field takes, `file` the one file when there is only one; `skipped` counts links and
    other things left out.
    """

    name: str
    path: str
    owner: str = ""
    created: float = 0.0
    files: int = 0
    bytes: int = 0
    skipped: int = 0
    file: str = ""


# -- sending ------------------------------------------------------------------------------------------------------


def begin(service: Service, name: str, owner: str) -> str:
    """Start an upload that will be called `name`; the token under which its files are sent."""
    _drop_stale(service)
    token = secrets.token_hex(8)
    (_partial(service) / token).mkdir(parents=True)
    write_json(_partial(service) / f"{token}.json", {"name": name, "owner": owner})
    return token


def add_file(service: Service, token: str, relative: str, stream: IO[bytes]) -> Path:
    """Write one file of an upload. Raises BadRequest for a path that would leave it or when the limit is reached."""
    folder = _sending(service, token)
    path = free_path(folder, relative)
    limit = service.settings.max_upload_mb * 2**20 - tree_size(folder)
    with atomic(path) as handle:
        copy_limited(stream, handle, limit, f"The upload is larger than {service.settings.max_upload_mb} MiB.", "max_upload_mb")
    return path


def finish(service: Service, token: str) -> Upload:
    """Unpack the archives that were sent, give the folder its name, and say what it holds."""
    folder = _sending(service, token)
    about = read_json(_partial(service) / f"{token}.json")
    skipped = unpack_all(service.settings, folder)
    name = _free_name(service, about["name"])
    target = service.jobs_dir.uploads / name
    files = sum(len(names) for _, _, names in os.walk(folder))
    if not files:
        raise BadRequest("The upload holds no file.", advice="Send at least one file, or check what the archive contains.")
    size = tree_size(folder)
    os.rename(folder, target)
    (_partial(service) / f"{token}.json").unlink(missing_ok=True)
    upload = Upload(name, str(_inner(target)), about["owner"], time.time(), files, size, skipped, _only_file(target, files))
    (service.jobs_dir.uploads / ABOUT).mkdir(exist_ok=True)
    write_json(_about_file(service, name), asdict(upload))
    return upload


def cancel(service: Service, token: str) -> None:
    """Remove what was sent so far."""
    shutil.rmtree(_sending(service, token), ignore_errors=True)
    (_partial(service) / f"{token}.json").unlink(missing_ok=True)


# -- what is there ------------------------------------------------------------------------------------------------


def list_uploads(service: Service) -> list[Upload]:
    """All finished uploads, newest first."""
    folder = service.jobs_dir.uploads
    names = [entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")]
    return sorted((find(service, name) for name in names), key=lambda upload: -upload.created)


def find(service: Service, name: str) -> Upload:
    """The upload of that name. Raises NotFound."""
    folder = service.jobs_dir.uploads / name
    if name.startswith(".") or "/" in name or not folder.is_dir():
        raise NotFound(f"There is no upload {name!r}.")
    file = _about_file(service, name)
    return Upload(**read_json(file)) if file.is_file() else Upload(name, str(folder), created=folder.stat().st_mtime)


def remove(service: Service, name: str, user: str) -> None:
    """Delete an upload. Forbidden when it is somebody else's."""
    upload = find(service, name)
    if upload.owner and upload.owner != user:
        raise Forbidden(f"The upload {name} belongs to {upload.owner}.")
    aside = _partial(service) / f"removed-{secrets.token_hex(8)}"
    aside.parent.mkdir(exist_ok=True)
    os.rename(service.jobs_dir.uploads / name, aside)
    _about_file(service, name).unlink(missing_ok=True)
    shutil.rmtree(aside, ignore_errors=True)


def check_free_space(service: Service, folder: Path) -> None:
    """Raises BadRequest when the disk has less free space left than the setting `min_free_mb`."""
    if free_bytes(folder) < service.settings.min_free_mb * 2**20:
        raise BadRequest("The server's disk has no space left for this upload.", advice="Delete jobs or uploads first.")


def _free_name(service: Service, name: str) -> str:
    return not_taken(service.jobs_dir.uploads / safe_name(name)).name


def _inner(folder: Path) -> Path:
    """The folder inside, when an archive held nothing but one folder."""
    entries = list(os.scandir(folder))
    return Path(entries[0].path) if len(entries) == 1 and entries[0].is_dir(follow_symlinks=False) else folder


def _only_file(folder: Path, files: int) -> str:
    return next(str(Path(root) / names[0]) for root, _, names in os.walk(folder) if names) if files == 1 else ""


def _partial(service: Service) -> Path:
    return service.jobs_dir.uploads / PARTIAL


def _about_file(service: Service, name: str) -> Path:
    return service.jobs_dir.uploads / ABOUT / f"{name}.json"


def _sending(service: Service, token: str) -> Path:
    folder = _partial(service) / token
    if not TOKEN.match(token) or not folder.is_dir():
        raise NotFound("This upload is not (or no longer) being sent.", advice="Start it again.")
    check_free_space(service, folder)
    return folder


def _drop_stale(service: Service) -> None:
    """Remove uploads that were begun two days ago and never finished."""
    folder = _partial(service)
    if not folder.is_dir():
        return
    for entry in os.scandir(folder):
        if time.time() - entry.stat(follow_symlinks=False).st_mtime < STALE_SECONDS:
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)
