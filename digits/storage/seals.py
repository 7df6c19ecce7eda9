"""What the results of a job were when it was done: the worker's last word but one in the events names each file with its length,
its time of change and a checksum, so that a file that was cut, changed or lost later is noticed.

Holds: what is written after a job is done (its user's columns, its row's state, logs, exports) is not among them. Of `job.json`
and `dataset.json` the task does not count, which is settled later (see `JobFolder.name_task`). A file whose length and time are
those that were noted counts as whole; only others are read, once after each change.
"""

from __future__ import annotations

import json
import mmap
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from digits.domain.events import FilesEvent, from_line
from digits.storage.folders import JobFolder

CHUNK = 1 << 20
LINE = b'{"type":"files"'  # how `to_line` begins one
MOST_FILES = 5000
READERS = 4
SETTLED = ("job.json", "dataset.json")  # their task may be settled later
MOST_READ = 100_000
_read: dict[tuple[Path, int, int, int], int] = {}  # checksums of files, as they were at a length and time
LIVE = {
    "events.jsonl",
    "events.jsonl.shown",
    "extend.json",
    "finish.json",
    "exports",
    "tb",  # TensorBoard's records have checksums of their own
    "heartbeat",
    "state.json",
    "user.json",
    "worker.json",
    "worker.lock",
    "worker.log",
    "__pycache__",
}


def seal(folder: JobFolder) -> FilesEvent:
    """The event that says what the files of the folder are now; reads all of them."""
    names = sorted(_names(folder.path))[:MOST_FILES]
    with ThreadPoolExecutor(READERS) as pool:
        found = pool.map(lambda name: _facts(folder.path / name), names)
        return FilesEvent(files={name: facts for name, facts in zip(names, found, strict=True) if facts})


def sealed(folder: JobFolder) -> dict[str, list[int]]:
    """The files that the newest seal names, with length, time of change and checksum; empty where there is none."""
    line = _last_seal(folder.events_file)
    event = from_line(line) if line else None
    return event.files if isinstance(event, FilesEvent) else {}


def is_changed(path: Path, facts: list[int], deep: bool = False) -> bool:
    """Whether a file differs from what its seal says. `deep`: it is read even where length and time fit. Raises OSError."""
    size, changed, checksum = facts
    now = path.stat()
    if (now.st_size, now.st_mtime_ns) == (size, changed) and not deep:
        return False
    if now.st_size != size and path.name not in SETTLED:
        return True
    key = (path, now.st_ino, now.st_size, now.st_mtime_ns)
    if deep or key not in _read:
        if len(_read) > MOST_READ:
            _read.clear()
        _read[key] = checksum_of(path)
    return _read[key] != checksum


def checksum_of(path: Path) -> int:
    """CRC-32 of a file's content, for `SETTLED` of all in it but the task. Raises OSError."""
    if path.name in SETTLED:
        return zlib.crc32(_without_task(path.read_bytes()))
    checksum = 0
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    return checksum


def _facts(path: Path) -> list[int]:
    try:
        now = path.stat()
        return [now.st_size, now.st_mtime_ns, checksum_of(path)]
    except OSError:
        return []


def _names(folder: Path) -> Iterator[str]:
    for root, folders, files in os.walk(folder):
        inside = Path(root).relative_to(folder)
        folders[:] = [name for name in folders if not name.startswith(".") and name not in LIVE]
        for name in files:
            path = str(inside / name)
            if not name.startswith(".") and path not in LIVE and not os.path.islink(os.path.join(root, name)):
                yield path


def _without_task(data: bytes) -> bytes:
    """The JSON without its task; the bytes as they are where they are no JSON."""
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError):
        return data
    if isinstance(value, dict):
        value.pop("task", None)
        if isinstance(value.get("spec"), dict):
            value["spec"].pop("task", None)
    return json.dumps(value, sort_keys=True).encode(errors="backslashreplace")


def _last_seal(events: Path) -> bytes:
    """The last line of its type; looked for from the end."""
    try:
        with open(events, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            at = data.rfind(b"\n" + LINE)
            if at < 0:
                return b""
            end = data.find(b"\n", at + 1)
            return data[at + 1 : end if end >= 0 else len(data)]
    except (OSError, ValueError):  # missing, empty, a folder
        return b""
