"""The control groups that this process is in (Linux): where containers, service units and batch systems keep their limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")  # lines `number:controllers:path`; those of version 2 name no controllers


def control_groups(controller: str) -> Iterator[Path]:
    """The folders of the groups of a controller (`cpu`, `memory`), of both versions, innermost first, as far as they can be
    seen: in a container the paths may be those of the machine outside, and only the root is there."""
    try:
        lines = OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        _, controllers, inner = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        root = GROUPS / (controller if controllers else "")
        folder = root / inner.strip("/")
        yield from (found for found in (folder, *folder.parents) if found.is_relative_to(root) and found.is_dir())
