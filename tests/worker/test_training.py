"""A model job in a worker process: from job.json to snapshots, the reason in the events when it fails."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from digits.domain.events import ErrorEvent, SnapshotEvent, StatusEvent
from digits.domain.jobs import JobRequest, Kind, UserColumns
from digits.domain.training import StartWeights, TrainingSpec
from digits.engines.base import get_engine
from digits.networks.catalog import network_text
from digits.storage.events import valid_events
from digits.storage.folders import JobFolder, JobsDir
from digits.testing.runs import make_dataset, striped_pictures

DATASET = "20260101-000000-aaaa"
MODEL = "20260101-000001-bbbb"
SPEC = TrainingSpec(
    DATASET, "classification", network=network_text("lenet"), network_name="lenet", epochs=1, batch_size=8, seed=1
)


def work(jobs: Path, spec: TrainingSpec, job_id: str = MODEL) -> tuple[JobFolder, int]:
    """Make the data set (once) and the job, and let a worker do it."""
    if not (jobs / DATASET).exists():
        features, labels = striped_pictures(40, 28, 1)
        make_dataset(jobs / DATASET, features, labels, class_labels=("left", "right"))
    folder = JobsDir(jobs).folder(job_id)
    request = JobRequest(job_id, Kind.MODEL, "Image Classification Model", "classification", 0.0, {}, spec.to_json())
    folder.create(request, UserColumns("model"))
    command = [sys.executable, "-m", "digits.worker", "--jobs-dir", str(jobs), job_id]
    return folder, subprocess.run(command, check=False, timeout=120).returncode


def events(folder: JobFolder) -> list[object]:
    return [event for _, event in valid_events(folder.events_file)]


def test_a_model_is_trained_and_another_starts_from_it(tmp_path: Path) -> None:
    folder, code = work(tmp_path, SPEC)
    assert code == 0
    assert [e.path for e in events(folder) if isinstance(e, SnapshotEvent)] == ["snapshots/epoch_1.safetensors"]
    predictor = get_engine("pytorch").load(folder.snapshots / "epoch_1.safetensors")
    assert predictor.meta["network_name"] == "lenet"
    start = StartWeights("snapshot", job_id=MODEL, snapshot="snapshots/epoch_1.safetensors")
    again, code = work(tmp_path, replace(SPEC, start=start), "20260101-000002-cccc")
    assert code == 0
    assert any("Weights of 8 tensors" in getattr(e, "message", "") for e in events(again))


def test_a_failure_is_told_with_its_code_and_advice(tmp_path: Path) -> None:
    folder, code = work(tmp_path, replace(SPEC, start=StartWeights("path", path=str(tmp_path / "gone.safetensors"))))
    assert code != 0
    found = events(folder)
    error = next(e for e in found if isinstance(e, ErrorEvent))
    assert error.code == "weights"
    assert "gone.safetensors" in error.message
    assert isinstance(found[-1], StatusEvent)
    assert found[-1].status == "E"


def test_a_snapshot_to_start_from_that_is_gone_is_told_the_same_way(tmp_path: Path) -> None:
    """Also one whose path leaves its job's folder."""
    JobsDir(tmp_path).folder("20260101-000003-dddd").snapshots.mkdir(parents=True)
    (tmp_path / "other.safetensors").write_bytes(b"weights")
    for number, name in enumerate(("snapshots/epoch_7.safetensors", "../other.safetensors")):
        start = StartWeights("snapshot", job_id="20260101-000003-dddd", snapshot=name)
        folder, code = work(tmp_path, replace(SPEC, start=start), f"20260101-000004-000{number}")
        assert code != 0
        error = next(e for e in events(folder) if isinstance(e, ErrorEvent))
        assert error.code == "weights"
        assert f"has no snapshot '{name}'" in error.message
