"""Numbers in sentences."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """`1 class`, `1,200 pictures`: `many` (by default `one` with an s) for every number but one."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
