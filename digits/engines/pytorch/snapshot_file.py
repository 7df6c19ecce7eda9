"""What digits wrote into a `.safetensors` file beside the weights, read without PyTorch: it lies in the file's header."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

MAX_HEADER = 64 * 2**20


def metadata(path: Path) -> dict[str, Any]:
    """Ours, or nothing. ValueError, OSError or struct.error when the file is broken."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        if size > MAX_HEADER:
            raise ValueError(f"a header of {size} bytes")
        header = json.loads(file.read(size))
    found: dict[str, Any] = json.loads(header.get("__metadata__", {}).get("digits", "{}"))
    return found
