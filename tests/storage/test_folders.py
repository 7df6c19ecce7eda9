"""The folder of a job: which file a snapshot's name means."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from digits.errors import StorageError
from digits.storage.folders import JobFolder


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    """A job's folder with one snapshot; beside it another job's."""
    for name in ("20260101-000000-aaaa", "20260101-000000-aaaab"):
        (tmp_path / name / "snapshots").mkdir(parents=True)
        (tmp_path / name / "snapshots" / "epoch_1.keras").write_bytes(b"weights")
    return JobFolder(tmp_path / "20260101-000000-aaaa")


def test_a_snapshot_is_a_file_of_its_folder(folder: JobFolder) -> None:
    file = folder.snapshots / "epoch_1.keras"
    assert folder.snapshot_file("snapshots/epoch_1.keras") == file.resolve()
    (folder.snapshots / "best.keras").symlink_to("epoch_1.keras")
    assert folder.snapshot_file("snapshots/best.keras") == file.resolve()


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "snapshots",
        "snapshots/epoch_2.keras",
        "../20260101-000000-aaaab/snapshots/epoch_1.keras",
        "snapshots/elsewhere.keras",
        "/etc/passwd",
    ],
)
def test_no_other_file_is_one(folder: JobFolder, name: str) -> None:
    (folder.snapshots / "elsewhere.keras").symlink_to("/etc/passwd")
    with pytest.raises(StorageError, match=re.escape(f"has no snapshot {name!r}")):
        folder.snapshot_file(name)
