"""Folders of jobs that were never made."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from digits.service import Service
from digits.service.jobs import claimed_job_id
from digits.supervisor.housekeeping import ABANDONED_SECONDS, scan
from tests.builders import make_job


def test_a_folder_that_was_claimed_and_never_made_a_job_goes_after_a_day(service: Service) -> None:
    """Its page or command was killed; a job whose request was lost stays, and so does what is no folder of a job."""
    root, job = service.jobs_dir.path, make_job(service)
    names = {"20260101-000000-aaaa": "given/w.pth", "20260101-000001-aaaa": "network.py", "20260101-000002-aaaa": "state.json"}
    names |= {"pictures": "a.png", "20260101-000003-aaaa": "train_db/records.json"}
    for name, file in names.items():
        (root / name / file).parent.mkdir(parents=True)
        (root / name / file).write_text("{}")
    (root / "20260101-000003-aaaa" / "dataset.json").write_text("{}")
    for name in names.keys() - {"pictures"}:
        (root / name / ".claimed").touch()
    (root / "20260101-000004-aaaa").mkdir()  # its page was killed at once
    names["20260101-000004-aaaa"] = ""
    scan(service.jobs_dir, service.store)
    assert {path.name for path in root.iterdir()} >= {*names, job.id}, "they may be made right now"
    old = time.time() - ABANDONED_SECONDS - 60
    for name in names:
        for path in (root / name).rglob("*"):
            os.utime(path, (old, old))
        os.utime(root / name, (old, old))
    os.utime(root / "20260101-000001-aaaa" / "network.py")  # somebody still writes
    scan(service.jobs_dir, service.store)
    left = {path.name for path in Path(root).iterdir()}
    assert set(names) - left == {"20260101-000000-aaaa", "20260101-000004-aaaa"}
    assert job.id in left


@pytest.mark.parametrize("files", [("status.pickle", "snapshot_iter_9.caffemodel"), ("snapshots/epoch_1.safetensors",)])
def test_folders_of_the_original_and_those_without_their_request_are_left_alone(service: Service, files: tuple[str, ...]) -> None:
    folder = service.jobs_dir.path / "20160101-123456-ab12"
    old = time.time() - 2 * ABANDONED_SECONDS
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (old, old))
    scan(service.jobs_dir, service.store)
    assert [path.read_bytes() for path in folder.rglob("*") if path.is_file()] == [b"x"] * len(files)


def test_a_job_that_was_made_is_no_claim(service: Service) -> None:
    with claimed_job_id(service) as job_id:
        assert service.folder(job_id).claim_file.exists()
    assert not service.folder(job_id).claim_file.exists()
