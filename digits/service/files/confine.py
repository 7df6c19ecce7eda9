"""Paths that come from outside: expanded, resolved and confined to the folders the settings allow."""

from __future__ import annotations

import os
from pathlib import Path

from digits.errors import BadRequest, Forbidden, FormErrors
from digits.service import Service
from digits.utils.confinement import Confinement


def allowed_roots(service: Service) -> tuple[Path, ...]:
    """Folders that path fields may reach: `data_dirs`, the uploads, and the records of jobs."""
    own = (service.jobs_dir.uploads.resolve(), service.jobs_dir.path.resolve())
    return (*service.settings.data_roots(), *own)


def confinement(service: Service) -> Confinement:
    """What path fields, lists and sources may read."""
    return Confinement(allowed_roots(service))


def confine(service: Service, text: str) -> Path:
    """The resolved path behind `text` (`~` allowed; relative ones start at `/`).

    Raises Forbidden outside the allowed folders, BadRequest for what can be no path.
    """
    if "\0" in text:
        raise BadRequest("A path cannot contain a zero byte.")
    return Path(confinement(service).resolve(os.path.join("/", os.path.expanduser(text))))


def is_allowed(service: Service, path: Path) -> bool:
    """Whether a path lies in an allowed folder; the server's own files (database, secret) and userdata never do."""
    return confinement(service).allows(path)


def is_file(service: Service, text: str) -> bool:
    """Whether the path is an existing file that may be read; false for what can be no path."""
    try:
        return confine(service, text).is_file()
    except (BadRequest, Forbidden, OSError):
        return False


def readable_folder(service: Service, text: str, field: str) -> Path:
    """An existing folder that can be listed, else FormErrors at `field`."""
    path = _confined(service, text, field)
    if not path.exists():
        raise FormErrors({field: [f"{path} does not exist on the server."]})
    if not path.is_dir():
        raise FormErrors({field: [f"{path} is a file; a folder is needed here."]})
    if not os.access(path, os.R_OK | os.X_OK):
        raise FormErrors({field: [f"{path} cannot be read: permission denied for the user who runs digits."]})
    return path


def readable_file(service: Service, text: str, field: str) -> Path:
    """An existing file that can be read, else FormErrors at `field`."""
    path = _confined(service, text, field)
    if not path.exists():
        raise FormErrors({field: [f"{path} does not exist on the server."]})
    if not path.is_file():
        what = "a folder" if path.is_dir() else "a pipe, a socket or a device"
        raise FormErrors({field: [f"{path} is {what}; a file is needed here."]})
    if not os.access(path, os.R_OK):
        raise FormErrors({field: [f"{path} cannot be read: permission denied for the user who runs digits."]})
    return path


def _confined(service: Service, text: str, field: str) -> Path:
    try:
        return confine(service, text)
    except (BadRequest, Forbidden) as error:
        raise FormErrors({field: [str(error)]}) from error
    except OSError as error:
        raise FormErrors({field: [f"Not a usable path: {error.strerror}."]}) from error
