"""What digits wrote into a `.keras` file beside the weights, read without TensorFlow: it is a member of its own."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from digits.utils.zips import read_member

MEMBER = "digits.json"
MAX_MEMBER = 64 * 2**20


def metadata(path: Path) -> dict[str, Any]:
    """Ours, or nothing. ValueError, OSError or BadZipFile when the file is broken."""
    with zipfile.ZipFile(path) as archive:
        if MEMBER not in archive.namelist():
            return {}
        found: dict[str, Any] = json.loads(read_member(archive, MEMBER, MAX_MEMBER))
    return found
