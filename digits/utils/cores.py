"""How many processor cores this process may use: by its affinity and the quotas of its control groups.

Holds: containers (`docker --cpus`), service units (`CPUQuota=`), `taskset` and batch systems count; where none of them says
anything, all cores of the machine.
"""

from __future__ import annotations

import math
import os
from functools import cache
from pathlib import Path

from digits.utils.control_groups import control_groups


@cache
def usable_cores() -> int:
    """At least 1. Asked once: a process keeps the number it began with."""
    return cores_within(_affinity())


def cores_within(affinity: int) -> int:
    """The smallest quota holds; one and a half cores make two of them useful."""
    quotas = [quota for group in control_groups("cpu") for quota in (_quota(group), _quota_of_version_1(group)) if quota]
    return max(1, min([affinity, *map(math.ceil, quotas)]))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(group: Path) -> float:
    """Cores; 0 where there is no limit."""
    return _share(*[*_text(group / "cpu.max").split(), "", ""][:2])


def _quota_of_version_1(group: Path) -> float:
    return _share(_text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us"))


def _share(quota: str, period: str) -> float:
    """`max` and -1 are no limit."""
    is_limit = all(text.isascii() and text.isdecimal() for text in (quota, period))
    return int(quota) / int(period) if is_limit and int(period) else 0.0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
