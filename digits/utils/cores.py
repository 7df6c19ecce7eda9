"""How many processor cores this process may use: by its affinity and the quotas of its control groups.

Holds: containers (`docker --cpus`), service units (`CPUQuota=`), `taskset` and batch systems count; where none of them says
anything, all cores of the machine.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")  # lines `hierarchy:controllers:path`


@cache
def usable_cores() -> int:
    """At least 1. Asked once: a process keeps the number it began with."""
    return _counted(_affinity(), _quotas(GROUPS, OWN_GROUPS))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _counted(affinity: int, quotas: Iterator[float]) -> int:
    """A quota of one and a half cores makes two of them useful."""
    return max(1, min([affinity, *(math.ceil(quota) for quota in quotas)]))


def _quotas(groups: Path, own: Path) -> Iterator[float]:
    """The cores that each control group of this process allows, of both versions; those without a limit say nothing."""
    for line in _lines(own):
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0":
            yield from _above(groups, path, _quota)
        elif "cpu" in controllers.split(","):
            yield from _above(groups / "cpu", path, _quota_of_version_1)


def _above(root: Path, path: str, quota: Callable[[Path], float | None]) -> Iterator[float]:
    """Of the group and of all above it: the smallest holds. In a container the path may be one of the machine outside; then the
    root is the container's own."""
    folder = root / path.lstrip("/")
    for group in (folder, *folder.parents):
        found = quota(group)
        if found is not None:
            yield found
        if group == root:
            return


def _quota(group: Path) -> float | None:
    words = " ".join(_lines(group / "cpu.max")).split()
    return _share(*words) if len(words) == 2 else None


def _quota_of_version_1(group: Path) -> float | None:
    return _share(*("".join(_lines(group / f"cpu.cfs_{name}_us")) for name in ("quota", "period")))


def _share(quota: str, period: str) -> float | None:
    """`max` and -1 are no limit."""
    if not (quota.isascii() and quota.isdecimal() and period.isascii() and period.isdecimal()) or int(period) == 0:
        return None
    return int(quota) / int(period) or None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
