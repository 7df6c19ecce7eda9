"""Exports on disk: what killed jobs left goes, what they had put aside comes back, what a job works on stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from digits.domain.exports import Export
from digits.storage.exports import export_folder, exports_of, publish, writing
from digits.storage.folders import JobFolder

KILLED = "20260101-000000-kill"


@pytest.fixture
def model(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path / "20260101-000000-aaaa")


def make(model: JobFolder, job_id: str) -> Export:
    with writing(model, job_id) as part:
        (part / "model").write_text(job_id)
        export = Export("onnx", 2.0, "", job_id, 1.0, (("model", len(job_id)),), 0.0, 6)
        publish(model, part, export)
    return export


def kill_between_renames(model: JobFolder, made: Export, status: str) -> None:
    """The state in which a kill between the two renames of `publish` leaves the folder; "": the job is deleted."""
    os.rename(export_folder(model, made), model.exports / f".{KILLED}.old")
    (model.exports / f".{KILLED}.part").mkdir()
    if status:
        job = JobFolder(model.path.parent / KILLED)
        job.path.mkdir()
        job.write_state({"status": status})


@pytest.mark.parametrize("status", ["", "E", "A"])
def test_what_an_ended_job_had_put_aside_comes_back(model: JobFolder, status: str) -> None:
    made = make(model, "20260101-000000-bbbb")
    kill_between_renames(model, made, status)
    assert exports_of(model) == [made]
    assert [path.name for path in model.exports.iterdir()] == ["onnx-epoch_2"]


def test_what_a_job_works_on_stays_until_it_starts_again(model: JobFolder) -> None:
    made = make(model, "20260101-000000-bbbb")
    kill_between_renames(model, made, "R")
    assert exports_of(model) == []
    assert len(list(model.exports.iterdir())) == 2
    with writing(model, KILLED):
        assert exports_of(model) == [made]


def test_a_rename_that_fails_leaves_the_older_one(model: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(model, "20260101-000000-bbbb")
    rename = os.rename

    def refused(source: Path, target: Path) -> None:
        if source.suffix == ".part":
            raise OSError("refused")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(OSError, match="refused"):
        make(model, "20260101-000000-cccc")
    assert exports_of(model) == [made]
    assert [path.name for path in model.exports.iterdir()] == ["onnx-epoch_2"]
