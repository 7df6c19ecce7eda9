"""What digits wrote into a snapshot beside the weights, read without a framework: the header of a `.safetensors` file, a member
of a `.keras` file."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

from digits.errors import StorageError

SUFFIXES = (".safetensors", ".keras")
MEMBER = "digits.json"  # of a .keras file
MAX_HEADER = 64 * 2**20


def snapshot_metadata(path: Path) -> dict[str, Any]:
    """Our metadata; empty for files of other kinds or of others. StorageError when the file is broken."""
    reader = {".safetensors": _safetensors, ".keras": _keras}.get(path.suffix)
    if reader is None:
        return {}
    try:
        return dict(reader(path))
    except (OSError, ValueError, struct.error, zipfile.BadZipFile) as error:
        raise StorageError(f"{path} is no readable snapshot: {error}.", advice="Choose another snapshot.") from error


def _safetensors(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        if size > MAX_HEADER:
            raise ValueError(f"a header of {size} bytes")
        header = json.loads(file.read(size))
    return json.loads(header.get("__metadata__", {}).get("digits", "{}"))


def _keras(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        if MEMBER not in archive.namelist():
            return {}
        if archive.getinfo(MEMBER).file_size > MAX_HEADER:
            raise ValueError(f"{MEMBER} has {archive.getinfo(MEMBER).file_size} bytes")
        return json.loads(archive.read(MEMBER))
