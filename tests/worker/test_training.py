"""A model job in a worker process: from job.json to snapshots, the reason in the events when it fails."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from digits.domain.events import ErrorEvent, MetricEvent, SnapshotEvent, StatusEvent, WarningEvent
from digits.domain.jobs import JobRequest, Kind, UserColumns
from digits.domain.training import StartWeights, TrainingSpec
from digits.engines.base import get_engine
from digits.engines.training import checkpoint
from digits.errors import JobStopped
from digits.networks.catalog import network_text
from digits.storage.events import read_events, valid_events
from digits.storage.folders import JobFolder, JobsDir
from digits.testing.runs import make_dataset, striped_pictures
from digits.worker import training
from digits.worker.runtime import WorkerContext

DATASET = "20260101-000000-aaaa"
MODEL = "20260101-000001-bbbb"
SPEC = TrainingSpec(
    DATASET, "classification", network=network_text("lenet"), network_name="lenet", epochs=1, batch_size=8, seed=1
)


def make(jobs: Path, spec: TrainingSpec, job_id: str = MODEL) -> JobFolder:
    """Make the data set (once) and the job."""
    if not (jobs / DATASET).exists():
        features, labels = striped_pictures(40, 28, 1)
        make_dataset(jobs / DATASET, features, labels, class_labels=("left", "right"))
    folder = JobsDir(jobs).folder(job_id)
    request = JobRequest(job_id, Kind.MODEL, "Image Classification Model", "classification", 0.0, {}, spec.to_json())
    folder.create(request, UserColumns("model"))
    return folder


def work(jobs: Path, spec: TrainingSpec, job_id: str = MODEL) -> tuple[JobFolder, int]:
    """Make the data set (once) and the job, and let a worker do it."""
    folder = make(jobs, spec, job_id)
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


class InterruptedContext(WorkerContext):
    """Of a training that is requested to stop when it has a checkpoint of step 2."""

    def should_stop(self) -> bool:
        return bool((checkpoint.read(self.folder.checkpoint) or {"step": 0})["step"] >= 2)


def context_of(jobs: Path, attempt: int, kind: type[WorkerContext] = WorkerContext) -> WorkerContext:
    """As a worker has it that writes a checkpoint after each step."""
    folder = JobsDir(jobs).folder(MODEL)
    return kind(folder, JobsDir(jobs), folder.request(), attempt, cpus=1, gpus=(), checkpoint_seconds=0)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The jobs directory of a training that was stopped after its third step: its checkpoints are of this one and the second."""
    jobs = tmp_path_factory.mktemp("interrupted")
    make(jobs, SPEC)
    context = context_of(jobs, 1, InterruptedContext)
    with pytest.raises(JobStopped):
        training.run(context)
    context.writer.close()
    return jobs


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("damaged", "gone", "problem", "step"),
    [
        ((), (), "", 3),
        (("state_3.bin",), (), "The checkpoint of step 3 was cut: ", 2),
        ((), ("state_3.bin",), "The checkpoint of step 3 is missing.", 2),
        (("checkpoint.json",), (), "The checkpoint cannot be understood: ", 2),
        ((), ("checkpoint.json",), "The newest checkpoint is missing.", 2),
        (("state_3.bin", "state_2.bin"), (), "The checkpoint of step 3 was cut: ", 0),
        (("state_2.bin",), ("checkpoint.json",), "The newest checkpoint is missing.", 0),
        ((), ("state_3.bin", "state_2.bin"), "The checkpoint of step 3 is missing.", 0),
    ],
)
def test_a_checkpoint_that_is_damaged_or_gone_costs_the_steps_since_the_one_before_and_a_warning_says_so(
    interrupted: Path, tmp_path: Path, damaged: tuple[str, ...], gone: tuple[str, ...], problem: str, step: int
) -> None:
    jobs = shutil.copytree(interrupted, tmp_path / "jobs")
    context = context_of(jobs, 2)
    for name in damaged:
        cut(context.folder.checkpoint / name)
    for name in gone:
        (context.folder.checkpoint / name).unlink()
    training.run(context)
    context.writer.close()
    found = [event for _, event in read_events(context.folder.events_file) if event.attempt == 2]
    assert min(event.step for event in found if isinstance(event, MetricEvent) and event.phase == "train") == step + 1
    warnings = [event.message for event in found if isinstance(event, WarningEvent) and event.code == "checkpoint"]
    then = f"goes on from that of step {step}." if step else "starts from the beginning."
    if problem:
        (said,) = warnings
        assert said.startswith(problem)
        assert said.endswith(f" The training {then}")
    else:
        assert warnings == []
