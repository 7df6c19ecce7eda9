"""A jobs directory stays itself however it is reached, and a copy of it is another one."""

from __future__ import annotations

import json
import logging
import os
import subprocess
from pathlib import Path

import pytest

from digits.storage.folders import JobsDir
from digits.storage.identity import FILE, find, lies_here, place_of, settle


def jobs_dir(path: Path) -> JobsDir:
    found = JobsDir(path)
    found.prepare()
    return found


def copied(source: Path, target: Path, *options: str) -> JobsDir:
    subprocess.run(["cp", "-a", *options, str(source), str(target)], check=True)
    return JobsDir(target)


def test_it_is_the_same_at_each_opening(tmp_path: Path) -> None:
    first = settle(jobs_dir(tmp_path / "jobs"))
    assert settle(jobs_dir(tmp_path / "jobs")) == first
    assert not first.copy_of


def test_a_directory_that_was_renamed_stays_itself(tmp_path: Path) -> None:
    first = settle(jobs_dir(tmp_path / "jobs"))
    os.rename(tmp_path / "jobs", tmp_path / "elsewhere")
    second = settle(JobsDir(tmp_path / "elsewhere"))
    assert (second.id, second.copy_of) == (first.id, "")
    assert second.path == str(tmp_path / "elsewhere")


def test_a_directory_reached_by_a_link_is_the_same(tmp_path: Path) -> None:
    first = settle(jobs_dir(tmp_path / "jobs"))
    (tmp_path / "link").symlink_to(tmp_path / "jobs")
    assert settle(JobsDir(tmp_path / "link")) == first


@pytest.mark.parametrize("options", [(), ("-l",)], ids=["copied", "hard links"])
def test_a_copy_is_another_one_and_says_of_which(
    tmp_path: Path, options: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    first = settle(jobs_dir(tmp_path / "jobs"))
    copy = copied(tmp_path / "jobs", tmp_path / "copy", *options)
    assert find(copy) is None
    with caplog.at_level(logging.WARNING):
        second = settle(copy)
    assert second.id != first.id
    assert (second.copy_of, second.copied_from) == (str(tmp_path / "jobs"), first.id)
    assert f"{tmp_path / 'copy'} is a copy of {tmp_path / 'jobs'}" in caplog.text
    assert settle(copy) == second
    assert settle(JobsDir(tmp_path / "jobs")) == first, "the original must keep its own"


def test_a_device_of_another_number_at_the_same_path_is_the_same(tmp_path: Path) -> None:
    """As after a restart, or when a network file system was mounted anew."""
    jobs = jobs_dir(tmp_path / "jobs")
    first = settle(jobs)
    file = jobs.hidden / FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), "device": first.device + 1}))
    assert settle(jobs) == first


def test_another_file_system_with_the_same_inode_elsewhere_is_another_one(tmp_path: Path) -> None:
    jobs = jobs_dir(tmp_path / "jobs")
    here = place_of(jobs)
    assert lies_here(jobs, here)
    assert lies_here(jobs, {**here, "path": "/elsewhere"}), "a bind mount"
    assert not lies_here(jobs, {**here, "device": here["device"] + 1, "path": "/elsewhere"})
    assert not lies_here(jobs, {**here, "inode": here["inode"] + 1})
    assert not lies_here(jobs, {})


def test_a_damaged_identity_is_made_anew(tmp_path: Path) -> None:
    jobs = jobs_dir(tmp_path / "jobs")
    (jobs.hidden / FILE).write_bytes(b"\x00 no JSON")
    assert settle(jobs) == find(jobs)
