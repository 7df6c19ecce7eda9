"""The epoch in the name of a snapshot, and what digits wrote into it beside the weights, read without a framework; each engine
knows its own file."""

from __future__ import annotations

import json
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

from digits.errors import StorageError
from digits.frameworks import attribute, frameworks

NAME = re.compile(r"epoch_([0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]+)?)\.[A-Za-z][A-Za-z0-9]*")  # f"epoch_{epoch:g}{suffix}"
BROKEN = (
    OSError,
    ArithmeticError,
    AttributeError,
    KeyError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
)


def epoch_in_name(name: str) -> float | None:
    """The epoch of a file that is called as snapshots of the training's interval are; None for another one."""
    found = NAME.fullmatch(name)
    return float(found[1]) if found else None


def snapshot_metadata(path: Path) -> dict[str, Any]:
    """Our metadata; empty for files of other kinds or of others. StorageError when the file is broken."""
    row = next((row for row in frameworks().values() if row.snapshot_suffix == path.suffix), None)
    if row is None:
        return {}
    try:
        return dict(attribute(row.snapshot_metadata)(path))
    except BROKEN as error:  # whatever a file of others makes of it, also JSON that is too deep, or a zip that is encrypted
        raise _unreadable(path, error) from error


def check_snapshot(path: Path) -> None:
    """Raises StorageError for a snapshot that is cut, or whose head cannot be read; its numbers are not looked at."""
    snapshot_metadata(path)
    if path.suffix != ".safetensors":
        return
    try:
        with open(path, "rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(size))
        ends = (_whole(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__")
        whole = 8 + size + max(ends, default=0)
    except (*BROKEN, IndexError) as error:
        raise _unreadable(path, error) from error
    if (found := path.stat().st_size) != whole:
        raise StorageError(f"{path} has {found:,} of {whole:,} bytes.", advice="Choose another snapshot.")


def _whole(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{str(value)[:40]!r} is no place in a file")
    return value


def _unreadable(path: Path, error: Exception) -> StorageError:
    return StorageError(f"{path} is no readable snapshot: {error}.", advice="Choose another snapshot.")
