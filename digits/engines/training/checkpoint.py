"""The rolling checkpoint in the job folder: `checkpoint.json` names the newest whole state file and the events before it.

A state is written beside the one before, then the JSON is replaced, then the old one is deleted: a crash at any moment
leaves one that can be read.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from digits.errors import StorageError
from digits.storage.files import atomic, read_json, write_json

NAME = "checkpoint.json"


def write(folder: Path, step: int, offset: int, threads: int, data: bytes) -> None:
    """Make the state `data` the newest. Raises DiskFull with the old checkpoint still in place."""
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / f"state_{step}.bin"
    with atomic(state) as handle:
        handle.write(data)
    value = {"step": step, "offset": offset, "threads": threads, "file": state.name, "bytes": os.path.getsize(state)}
    write_json(folder / NAME, value)
    for old in folder.glob("*state_*"):
        if old != state:
            old.unlink(missing_ok=True)


def read(folder: Path) -> dict[str, Any] | None:
    """`step`, `offset`, `threads` and `path` of the newest checkpoint; None when there is none that is whole."""
    try:
        value = read_json(folder / NAME)
        state = folder / value["file"]
        if state.stat().st_size != value["bytes"]:
            return None
    except (StorageError, OSError, KeyError, TypeError):
        return None
    return {**value, "path": state}
