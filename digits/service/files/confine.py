"""Paths that come from outside: expanded, resolved and confined to the folders the settings allow."""

from __future__ import annotations

import os
from pathlib import Path

from digits.errors import BadRequest, Forbidden, FormErrors
from digits.service import Service


def allowed_roots(service: Service) -> tuple[Path, ...]:
    """Folders that path fields may reach: `data_dirs`, the uploads, and the records of jobs."""
    own = (service.jobs_dir.uploads.resolve(), service.jobs_dir.path.resolve())
    return (*service.settings.data_roots(), *own)


def confine(service: Service, text: str) -> Path:
    """The resolved path behind `text` (`~` allowed; relative ones start at `/`).

    Raises Forbidden outside the allowed folders, BadRequest for what can be no path.
    """
    if "\0" in text:
        raise BadRequest("A path cannot contain a zero byte.")
    path = Path(os.path.expanduser(text))
    resolved = Path(os.path.realpath(path if path.is_absolute() else Path("/") / path))
    if not is_allowed(service, resolved):
        raise Forbidden(
            f"{resolved} is outside the folders that digits may read.",
            advice="Add its folder to the setting data_dirs (DIGITS_DATA_DIRS) and start the server again.",
        )
    return resolved


def is_allowed(service: Service, resolved: Path) -> bool:
    """Whether a resolved path lies in an allowed folder; the server's own files (database, secret) and userdata never do."""
    hidden = service.jobs_dir.hidden.resolve()
    uploads = service.jobs_dir.uploads.resolve()
    if _inside(resolved, hidden) and not _inside(resolved, uploads):
        return False
    if resolved.name == "userdata.pkl":
        return False
    return any(_inside(resolved, root) for root in allowed_roots(service))


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
        raise FormErrors({field: [f"{path} is a folder; a file is needed here."]})
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


def _inside(path: Path, root: Path) -> bool:
    return path == root or root in path.parents
