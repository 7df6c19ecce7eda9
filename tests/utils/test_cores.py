"""Cores by affinity and by the quotas of control groups of both versions."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from digits.utils import control_groups
from digits.utils.cores import cores_within


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/system.slice/digits.service\n", {"system.slice/digits.service/cpu.max": "400000 100000\n"}, 4),
        ("0::/lab/digits\n", {"lab/cpu.max": "300000 100000\n", "lab/digits/cpu.max": "max 100000\n"}, 3),
        ("0::/lab/digits\n", {"lab/cpu.max": "300000 100000\n", "lab/digits/cpu.max": "800000 100000\n"}, 3),
        ("0::/not/visible/here\n", {"cpu.max": "200000 100000\n"}, 2),
        ("4:cpu,cpuacct:/box/a\n", {"cpu/box/a/cpu.cfs_quota_us": "250000\n", "cpu/box/a/cpu.cfs_period_us": "100000\n"}, 3),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ("4:memory:/x\n", {"cpu/x/cpu.cfs_quota_us": "100000\n", "cpu/x/cpu.cfs_period_us": "100000\n"}, 64),
        ("0::/\n", {"cpu.max": "nonsense"}, 64),
        ("0::/\n", {"cpu.max": "100000 0"}, 64),
        ("nonsense\n", {}, 64),
    ],
)  # fmt: skip
def test_the_smallest_quota_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, files: dict[str, str], expected: int
) -> None:
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(control_groups, "GROUPS", write(tmp_path / "groups", files))
    monkeypatch.setattr(control_groups, "OWN_GROUPS", tmp_path / "own")
    assert cores_within(64) == expected


def test_without_control_groups_the_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_groups, "OWN_GROUPS", tmp_path / "none")
    assert cores_within(5) == 5


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_a_process_that_is_bound_to_a_core_has_one() -> None:
    core = min(os.sched_getaffinity(0))
    code = "from digits.utils.cores import usable_cores; print(usable_cores())"
    bound = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=partial(os.sched_setaffinity, 0, {core}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert bound.stdout.strip() == "1"
