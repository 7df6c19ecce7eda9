"""Numbers and names in sentences."""

from __future__ import annotations

import os


def counted(count: int, one: str, many: str = "") -> str:
    """`1 class`, `1,200 pictures`: `many` (by default `one` with an s) for every number but one."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def readable(name: str) -> str:
    """A file's name as it can be shown and stored: bytes that are no UTF-8 become `\\xe9`, so that names stay different."""
    return os.fsencode(name).decode(errors="backslashreplace")
