"""Published names: `.digits/serve/NAME.json` says which snapshots of which models a name serves, and whose tokens open it.

Holds: a file is whole or not there, so a name survives whatever ends the server; who changes one holds the folder's lock, and
readers need none. Of a token only its SHA-256 is kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from digits.errors import StorageError
from digits.storage.files import read_json, sync_directory, write_json
from digits.storage.folders import JobsDir
from digits.storage.modes import OWNER_FILE, make_folder

logger = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
FOLDER = "serve"
QUEUE_LIMIT = 64
SCHEMA = 1


def is_name(text: str) -> bool:
    """Whether a model can be published under this name: it stands in addresses, before `.json` too."""
    return NAME.fullmatch(text) is not None and not text.lower().endswith(".json")


@dataclass(frozen=True)
class Version:
    """One snapshot that a name serves or served. `snapshot` is a path in the model's folder; `features` (C, H, W) is what the
    network is given; `outputs` are names and shapes without batch axis, -1 where a side varies; `mean` and `std` are the
    training's, per channel in stored units, empty where they are not known."""

    number: int
    model_id: str
    model_name: str
    snapshot: str
    epoch: float
    task: str
    framework: str
    created: float
    by: str = ""
    class_labels: tuple[str, ...] = ()
    features: tuple[int, ...] = ()
    outputs: tuple[tuple[str, tuple[int, ...]], ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Version:
        named = tuple((str(name), tuple(int(n) for n in shape)) for name, shape in value.get("outputs", ()))
        lists = {key: tuple(value.get(key, ())) for key in ("class_labels", "features", "mean", "std")}
        return cls(**{**value, **lists, "outputs": named})


@dataclass(frozen=True)
class ServeToken:
    """A bearer token that opens one name; `id` is the start of its digest."""

    digest: str
    created: float
    by: str = ""

    @property
    def id(self) -> str:
        return self.digest[:12]


@dataclass(frozen=True)
class Change:
    """What somebody did to a name, for its page."""

    at: float
    by: str
    what: str


@dataclass(frozen=True)
class Publication:
    """A name. `active` answers but for the share `percent` of requests, which goes to the version `canary` (0: there is none);
    `previous` was active before. At most `queue_limit` requests are at work at once."""

    name: str
    owner: str
    created: float
    active: int
    previous: int = 0
    canary: int = 0
    percent: int = 0
    queue_limit: int = QUEUE_LIMIT
    versions: tuple[Version, ...] = ()
    tokens: tuple[ServeToken, ...] = ()
    changes: tuple[Change, ...] = ()
    schema: int = field(default=SCHEMA)

    @property
    def used(self) -> tuple[int, ...]:
        """The numbers of the versions that get requests."""
        return (self.active, self.canary) if self.canary else (self.active,)

    def version(self, number: int) -> Version | None:
        return next((version for version in self.versions if version.number == number), None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Publication:
        if value["schema"] > SCHEMA:
            raise ValueError(f"it was written by a newer version of digits (schema {value['schema']})")
        parts = {
            "versions": tuple(Version.from_json(one) for one in value["versions"]),
            "tokens": tuple(ServeToken(**one) for one in value["tokens"]),
            "changes": tuple(Change(**one) for one in value.get("changes", ())),
        }
        return cls(**{**value, **parts})


class Publications:
    """All access to the files. Safe to share between threads; what was read is kept until its file changes."""

    def __init__(self, jobs_dir: JobsDir) -> None:
        self.folder = jobs_dir.hidden / FOLDER
        self._lock = threading.Lock()
        self._known: dict[str, tuple[tuple[int, int, int], Publication]] = {}

    def find(self, name: str) -> Publication | None:
        """The publication of a name; None where there is none. Raises StorageError for a file that cannot be understood."""
        if not is_name(name):
            return None
        path = self._path(name)
        try:
            found = path.stat()
        except OSError:
            return None
        mark = (found.st_ino, found.st_mtime_ns, found.st_size)
        with self._lock:
            known = self._known.get(name)
        if known is None or known[0] != mark:
            known = (mark, _read(path))
            with self._lock:
                self._known[name] = known
        return known[1]

    def names(self) -> list[str]:
        try:
            found = [path.stem for path in self.folder.iterdir() if path.suffix == ".json" and is_name(path.stem)]
        except OSError:
            return []
        return sorted(found)

    def all(self) -> list[Publication]:
        """Every publication that can be read, by name; the log says which cannot."""
        found = []
        for name in self.names():
            try:
                one = self.find(name)
            except StorageError as error:
                logger.warning("%s", error)
                continue
            found += [one] if one is not None else []
        return found

    def change(self, name: str, make: Callable[[Publication | None], Publication]) -> Publication:
        """Write what `make` makes of the publication that is there (None: there is none), alone of all processes."""
        with self._held():
            made = make(self.find(name))
            write_json(self._path(name), made.to_json(), permissions=OWNER_FILE)
        return made

    def remove(self, name: str) -> bool:
        """Whether the name was published."""
        with self._held():
            path = self._path(name)
            there = path.exists()
            path.unlink(missing_ok=True)
            sync_directory(self.folder)
        with self._lock:
            self._known.pop(name, None)
        return there

    def of_models(self) -> dict[str, list[str]]:
        """The names that get answers from a model, by its id."""
        found: dict[str, list[str]] = {}
        for one in self.all():
            for number in one.used:
                version = one.version(number)
                if version is not None and one.name not in found.setdefault(version.model_id, []):
                    found[version.model_id].append(one.name)
        return found

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        make_folder(self.folder, exist_ok=True)
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, OWNER_FILE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def without(publication: Publication, number: int) -> Publication:
    """The publication without one of its versions."""
    return replace(publication, versions=tuple(one for one in publication.versions if one.number != number))


def _read(path: Path) -> Publication:
    value = read_json(path)
    try:
        return Publication.from_json(value)
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{path} cannot be understood: {error}.", advice="Publish the model again.") from error
