"""The table of plugins, kept in a file while every one of them can be used and nothing that it was read from has changed.

Holds: nothing of a plugin is imported here. A torn, old or missing file only means that the plugins are imported again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from digits.errors import StorageError
from digits.extensions import packages
from digits.storage.files import read_json, write_json

MOST_FILES = 2000  # of one package that are looked at
Rows = dict[str, list[dict[str, Any]]]

logger = logging.getLogger(__name__)


class KeptTable:
    """The table in `file`."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def read(self) -> Rows | None:
        """The rows by kind; None where they may be others by now."""
        try:
            kept = read_json(self.file)
            if isinstance(kept, dict) and kept.get("of") == fingerprint() and kept["rows"].keys() == packages.GROUPS.keys():
                return {kind: list(rows) for kind, rows in kept["rows"].items()}
        except (StorageError, OSError, ValueError, AttributeError, TypeError):
            pass
        return None

    def write(self, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Keep them, where all can be used: what cannot is looked at anew each time."""
        try:
            if all(row["ok"] for some in rows.values() for row in some):
                write_json(self.file, {"of": fingerprint(), "rows": {kind: list(some) for kind, some in rows.items()}})
            else:
                self.file.unlink(missing_ok=True)
        except (StorageError, OSError, ValueError) as error:
            logger.debug("The table of plugins is not kept: %s", error)


def fingerprint() -> str:
    """What changes with the installed packages, the plugins' files and ours."""
    stamps = [sys.version, *(stamp for place in sys.path if os.path.isabs(place) for stamp in _stamps(Path(place)))]
    modules = {"digits.extensions", *(point.module for kind in packages.GROUPS for point in packages.points(kind))}
    for module in sorted(modules):
        stamps.append(module)
        stamps += [stamp for file in _files(module) for stamp in _stamps(file)]
    stamps += [point.value for kind in packages.GROUPS for point in packages.points(kind)]
    return hashlib.sha256("\n".join(stamps).encode(errors="surrogatepass")).hexdigest()


def _stamps(path: Path) -> list[str]:
    try:
        found = path.stat()
    except OSError:
        return [f"{path} is not there"]
    return [f"{path} {found.st_mtime_ns} {found.st_size}"]


def _files(module: str) -> Iterator[Path]:
    """The files of the package that a module belongs to, found without importing anything."""
    top = "digits" if module == "digits.extensions" else module.partition(".")[0]
    spec = importlib.util.find_spec(top)
    if spec is None:
        return
    places = [Path(place) for place in spec.submodule_search_locations or ()]
    if not places and spec.origin:
        yield Path(spec.origin)
    count = 0
    for place in [place / "extensions" for place in places] if top == "digits" else places:
        for folder, folders, names in os.walk(place):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            for name in sorted(names):
                if count >= MOST_FILES:
                    return
                count += 1
                yield Path(folder, name)
