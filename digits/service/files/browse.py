"""Looking at the server's folders for path fields: completion and the Browse dialog, both confined as every path is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from digits.errors import BadRequest, NotFound
from digits.service import Service
from digits.service.files.confine import allowed_roots, confine, is_allowed
from digits.utils.confinement import HIDDEN, PRIVATE

MOST_SUGGESTIONS = 200
MOST_ENTRIES = 5000
GUARDED = PRIVATE | {HIDDEN}  # names that may be refused inside an allowed folder


def suggestions(service: Service, query: str) -> tuple[list[str], list[str]]:
    """Absolute paths that begin with `query`, sorted, and those of them that are folders.

    `~` is the home directory; a relative query is read from `/`. Above the allowed folders only the way to them is shown.
    """
    if "\0" in query:
        raise BadRequest("A path cannot contain a zero byte.")
    text = os.path.normpath(os.path.expanduser(query) or "/") + ("/" if query.endswith("/") and len(query) > 1 else "")
    text = "/" + text.removeprefix("./").lstrip("/") if text not in (".", "./") else "/"
    found = {str(root): True for root in allowed_roots(service) if str(root).startswith(text)}
    parent, prefix = os.path.split(text)
    found.update(_inside(service, Path(os.path.realpath(parent)), prefix))
    names = sorted(found)[:MOST_SUGGESTIONS]
    return names, [name for name in names if found[name]]


def browse(service: Service, text: str) -> dict[str, Any]:
    """One folder for the dialog: `path`, `parent` (None at an allowed folder), `entries` and `truncated`; `roots` always.

    An entry is `{name, path, folder, size}`; folders come first. Without a path only the roots are given.
    """
    roots = [{"path": str(path), "label": label} for label, path in _labelled_roots(service)]
    if not text:
        return {"path": "", "parent": None, "roots": roots, "entries": [], "truncated": False}
    path = confine(service, text)
    if path.is_file():
        path = path.parent
    if not path.is_dir():
        raise NotFound(f"{path} is no folder on the server.")
    entries = _entries(service, path)
    parent = str(path.parent) if path.parent != path and is_allowed(service, path.parent) else None
    truncated = len(entries) > MOST_ENTRIES
    return {"path": str(path), "parent": parent, "roots": roots, "entries": entries[:MOST_ENTRIES], "truncated": truncated}


def _inside(service: Service, folder: Path, prefix: str) -> dict[str, bool]:
    if not is_allowed(service, folder) or not folder.is_dir():
        return {}
    return {
        entry["path"]: entry["folder"]
        for entry in _entries(service, folder, prefix)
        if prefix.startswith(".") or not entry["name"].startswith(".")
    }


def _entries(service: Service, folder: Path, prefix: str = "") -> list[dict[str, Any]]:
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if entry.name.startswith(prefix)]
    except PermissionError as error:
        raise BadRequest(f"{folder} cannot be read: permission denied for the user who runs digits.") from error
    described = (_entry(service, entry) for entry in entries)
    return sorted((entry for entry in described if entry), key=lambda e: (not e["folder"], e["name"].lower(), e["name"]))


def _entry(service: Service, entry: os.DirEntry[str]) -> dict[str, Any] | None:
    try:
        if entry.is_symlink() and not is_allowed(service, Path(os.path.realpath(entry.path))):
            return None
        if not entry.name.isprintable() or (entry.name in GUARDED and not is_allowed(service, Path(entry.path))):
            return None
        folder = entry.is_dir()
        return {"name": entry.name, "path": entry.path, "folder": folder, "size": None if folder else entry.stat().st_size}
    except OSError:  # a broken link, or a file that went away meanwhile
        return None


def _labelled_roots(service: Service) -> list[tuple[str, Path]]:
    home = Path(os.path.expanduser("~")).resolve()
    roots = [("Home folder" if root == home else root.name or "/", root) for root in service.settings.data_roots()]
    own = [("Uploads", service.jobs_dir.uploads.resolve()), ("Jobs", service.jobs_dir.path.resolve())]
    return [(label, path) for label, path in roots + own if path.is_dir()]
