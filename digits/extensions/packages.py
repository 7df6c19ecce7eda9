"""What installed packages say of plugins: their entry points, the former names of their modules, and whose files a module is.

Holds: nothing of a plugin is imported here; what was read is kept until `forget`.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, EntryPoints, PackagePath, entry_points
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from digits.extensions import data, view

GROUPS = {"data": data.GROUP, "view": view.GROUP}
RENAMED = "digits.plugins.renamed"  # entry points: what a module was called = what it is called now

# How sure it is that a package installed a file that is there now.
NOT_ITS_OWN, OVERWRITTEN, LISTED, ITS_OWN = range(4)


@dataclass(frozen=True)
class Displacement:
    """The distribution `by` installed `file`, which is imported where another package means a module of its own."""

    by: str
    file: Path


def forget() -> None:
    """Read anew the next time: something was installed or removed."""
    _everything.cache_clear()


def points(kind: str) -> list[EntryPoint]:
    """The installed plugins of a kind by the names of their packages; those that make way for a package with their former name
    come last."""
    found = list(_selected(GROUPS[kind]))
    tops = {_top(point.module) for point in found}
    makes_way = {now for former, now in former_names().items() if former in tops}

    def order(point: EntryPoint) -> tuple[bool, str, str, str]:
        return _top(point.module) in makes_way, point.dist.name.lower() if point.dist else "", point.name, point.value

    return sorted(found, key=order)


def former_names() -> dict[str, str]:
    """What modules were called -> what they are called now, as the packages say that have them."""
    return {point.name: point.module for point in _selected(RENAMED)}


def last_seen(entry_point: str, distribution: str) -> list[tuple[str, str]]:
    """Where to look for a plugin that was at `module:Class` of a package, most likely place first; (entry point, package or "").

    A data set that names no package was made when a package that has been renamed since had the name alone.
    """
    top = _top(entry_point.partition(":")[0])
    now = former_names().get(top)
    places = [(entry_point, distribution)] if distribution else []
    places += [(now + entry_point[len(top) :], "")] if now else []
    return [*places, (entry_point, "")] if entry_point else []


def displacement(point: EntryPoint) -> Displacement | None:
    """The other package whose module is imported in the place of the plugin's own; None where it has its own.

    Two packages with a module of one name either lie in one folder, where the files of the one that was installed last are left,
    or in two, of which the first of `sys.path` is imported.
    """
    own = point.dist
    if own is None:
        return None
    found = [other for group in GROUPS.values() for other in _selected(group) if _top(other.module) == _top(point.module)]
    others = {other.dist.name: other.dist for other in found if other.dist is not None and other.dist.name != own.name}
    file = _file_of(point.module) if others else None
    if file is None:
        return None
    claims = {name: _claim(other, file) for name, other in others.items()}
    strongest = max(claims, key=lambda name: claims[name])
    level, _ = claims[strongest]
    return Displacement(strongest, file) if level > NOT_ITS_OWN and claims[strongest] > _claim(own, file) else None


@functools.cache
def _everything() -> Any:
    """All entry points of this environment, read once: each look goes through every installed package."""
    return entry_points()


def _selected(group: str) -> EntryPoints:
    found: EntryPoints = _everything().select(group=group)
    return found


def _top(module: str) -> str:
    return module.partition(".")[0]


def _file_of(module: str) -> Path | None:
    """The file that an import of `module` would read first; that of its package where there is no such module."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # a module that was put together by hand and has no spec
        return None
    if spec is None:
        return None
    for place in spec.submodule_search_locations or () if rest else ():
        for file in (Path(place, *rest, "__init__.py"), Path(place, *rest).with_suffix(".py")):
            if file.is_file():
                return file.resolve()
    return Path(spec.origin).resolve() if spec.origin else None


def _claim(package: Distribution, file: Path) -> tuple[int, float]:
    """How sure it is that the package installed the file, and when that was: of two equal claims the later one is right."""
    listed = _listed(package, package.files or (), file)
    if listed is not None:
        return _as_installed(listed, file), _installed_at(package)
    root = _editable_root(package) or (None if package.files else Path(str(package.locate_file(""))))
    inside = root is not None and file.is_relative_to(root.resolve())
    return (LISTED if inside else NOT_ITS_OWN), 0.0


def _listed(package: Distribution, files: Sequence[PackagePath], file: Path) -> PackagePath | None:
    return next((f for f in files if f.name == file.name and Path(str(package.locate_file(f))).resolve() == file), None)


def _as_installed(listed: PackagePath, file: Path) -> int:
    if listed.hash is None:
        return LISTED
    digest = hashlib.new(listed.hash.mode, file.read_bytes()).digest()
    return ITS_OWN if base64.urlsafe_b64encode(digest).decode().rstrip("=") == listed.hash.value else OVERWRITTEN


def _installed_at(package: Distribution) -> float:
    record = next((f for f in package.files or () if f.name in ("RECORD", "SOURCES.txt")), None)
    path = Path(str(package.locate_file(record))) if record is not None else None
    return path.stat().st_mtime if path is not None and path.is_file() else 0.0


def _editable_root(package: Distribution) -> Path | None:
    """The folder that an editable installation points to."""
    said = json.loads(package.read_text("direct_url.json") or "{}")
    is_editable = bool(said.get("dir_info", {}).get("editable"))
    return Path(unquote(urlparse(str(said["url"])).path)) if is_editable else None
