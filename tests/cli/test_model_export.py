"""`digits model export` does the job itself where no server runs; a worker that is killed -9 costs nothing but time."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner

from digits import supervisor
from digits.cli import group
from digits.domain.jobs import Status
from digits.domain.training import TrainingSpec
from digits.service import Service
from digits.service.models.exports import start_export
from digits.storage.exports import exports_of
from digits.storage.files import read_json
from digits.storage.jobs.store import Job
from digits.testing.runs import make_dataset, striped_pictures, train
from tests.builders import make_job
from tests.worker.test_export import TEXT

DEADLINE = 120.0


@pytest.fixture
def model(service: Service, tmp_path: Path) -> Job:
    features, labels = striped_pictures(24, 12, seed=1)
    data = make_dataset(tmp_path / "data", features, labels, class_labels=("left", "right"))
    spec = TrainingSpec("", "classification", network=TEXT, epochs=1, batch_size=8, seed=1, val_interval=0)
    job = make_job(service, name="stripes", status=Status.DONE, spec=spec.to_json(), framework="pytorch")
    path = service.folder(job.id).path
    (path / "network.py").write_text(TEXT)
    train(data, path, spec)
    return job


def test_a_model_is_exported_from_the_command_line(service: Service, model: Job, tmp_path: Path) -> None:
    target = tmp_path / "taken.onnx"
    arguments = ["model", "export", "stripes", "-o", str(target), "--json", "--jobs-dir", str(service.jobs_dir.path)]
    result = CliRunner().invoke(group, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["format"], said["epoch"], said["size"]) == ("onnx", 1.0, target.stat().st_size)
    assert said["parity"] < 1e-5
    session = onnxruntime.InferenceSession(target)
    (found,) = session.run(None, {"input": np.full((3, 1, 12, 12), 0.8, np.float32)})
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    place = ["--jobs-dir", str(service.jobs_dir.path)]
    unknown = CliRunner().invoke(group, ["model", "delete-export", "stripes", "onnx-epoch_7", "--yes", *place])
    assert unknown.exit_code != 0
    refused = CliRunner().invoke(group, ["model", "delete-export", "stripes", "onnx-epoch_1", *place], input="n\n")
    assert (refused.exit_code, len(exports_of(service.folder(model.id)))) == (0, 1)
    gone = CliRunner().invoke(group, ["model", "delete-export", "stripes", "onnx-epoch_1", "--yes", *place])
    assert (gone.exit_code, exports_of(service.folder(model.id))) == (0, []), gone.output
    wrong = CliRunner().invoke(group, ["model", "export", "stripes", "--format", "x", "--jobs-dir", str(service.jobs_dir.path)])
    assert wrong.exit_code != 0


@pytest.mark.slow
def test_a_killed_worker_starts_again(service: Service, model: Job) -> None:
    job = start_export(service, model, "torch_export")
    thread = threading.Thread(target=supervisor.run_until, args=(service.settings, [job.id]))
    thread.start()
    try:
        kill_in_the_middle(service, model, job)
    finally:
        thread.join(DEADLINE)
    ended = service.store.get(job.id)
    assert (ended.status, ended.attempt) == (Status.DONE, 2), ended.error
    assert [made.job_id for made in exports_of(service.folder(model.id))] == [job.id]
    assert [path.name for path in service.folder(model.id).exports.iterdir()] == ["torch_export-epoch_1"]


def kill_in_the_middle(service: Service, model: Job, job: Job) -> None:
    """kill -9 as soon as the worker has begun to write."""
    part = service.folder(model.id).exports / f".{job.id}.part"
    limit = time.monotonic() + DEADLINE
    while not part.exists():
        assert time.monotonic() < limit, "the worker wrote nothing"
        time.sleep(0.01)
    os.kill(int(read_json(service.folder(job.id).worker_file)["pid"]), signal.SIGKILL)
