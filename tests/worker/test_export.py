"""An export as a worker does it: whole or not there, compared with the model, refused in words; and exporters of packages."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from digits.domain.events import ProgressEvent
from digits.domain.exports import ExportSpec
from digits.domain.jobs import JobRequest, Kind, Resources, UserColumns
from digits.domain.training import TrainingSpec
from digits.engines.pytorch.export_program import ProgramExporter
from digits.errors import DataError, ExportError, JobStopped, PluginError, StorageError
from digits.storage.events import read_events
from digits.storage.exports import export_folder, exports_of
from digits.storage.folders import JobFolder, JobsDir
from digits.testing.runs import make_dataset, striped_pictures, train
from digits.worker import export
from digits.worker.runtime import WorkerContext

MODEL_ID = "20260101-000000-aaaa"
DATASET_ID = "20260101-000002-cccc"
TEXT = """
import torch
from torch import nn

def build_network(context):
    channels, height, width = context.input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, context.num_classes))
"""
RANDOM = """
import torch
from torch import nn

class Random(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return torch.rand(x.shape[0], 2) * self.scale

def build_network(context):
    return Random()
"""
PLUGIN = '''
"""An exporter of a package: the numbers of the last layer as text."""

import numpy as np

from digits.engines.base import Exporter


class Listing(Exporter):
    name = "listing"

    def check(self, predictor):
        return [] if hasattr(predictor, "module") else ["Only networks of PyTorch are listed."]

    def write(self, predictor, folder, options):
        self.predictor = predictor
        (folder / "parts").mkdir()
        (folder / "parts" / "names.txt").write_text("\\n".join(predictor.module.state_dict()))
        return [folder / "parts" / "names.txt"]

    def run(self, folder):
        return lambda features: self.predictor.predict(features)
'''


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> JobsDir:
    """A jobs directory with a data set and a model of one epoch."""
    jobs_dir = JobsDir(tmp_path_factory.mktemp("jobs"))
    jobs_dir.prepare()
    features, labels = striped_pictures(24, 12, seed=1)
    data = make_dataset(jobs_dir.folder(DATASET_ID).path, features, labels, class_labels=("left", "right"))
    train_model(jobs_dir, data, MODEL_ID, TEXT)
    return jobs_dir


def train_model(jobs_dir: JobsDir, data: Path, model_id: str, text: str) -> None:
    folder = jobs_dir.folder(model_id).path
    folder.mkdir()
    (folder / "network.py").write_text(text)
    spec = TrainingSpec("x", "classification", network=text, epochs=1, batch_size=8, seed=1, crop_size=10, val_interval=0)
    train(data, folder, spec)


def context_for(jobs_dir: JobsDir, number: int, format_name: str, model_id: str = MODEL_ID, epoch: float = 1.0) -> WorkerContext:
    spec = ExportSpec(model_id, f"snapshots/epoch_{epoch:g}.safetensors", epoch, format_name, "pytorch", DATASET_ID)
    job_id = f"20260102-000000-{number:04d}"
    request = JobRequest(
        job_id, Kind.EXPORT, "Export", "classification", time.time(), {}, spec.to_json(), (), Resources("export")
    )
    folder = jobs_dir.folder(job_id)
    folder.create(request, UserColumns("test"))
    return WorkerContext(folder, jobs_dir, request, 1, 1, (), 60)


def run(context: WorkerContext) -> JobFolder:
    try:
        export.run(context)
    finally:
        context.writer.close()
    return context.jobs_dir.folder(MODEL_ID)


def left(model: JobFolder) -> set[str]:
    return {path.name for path in model.exports.iterdir()} if model.exports.is_dir() else set()


def test_an_export_is_kept_with_the_model_and_its_difference(trained):
    context = context_for(trained, 1, "torch_export")
    model = run(context)
    (made,) = exports_of(model)
    assert (made.format, made.epoch, made.job_id, made.files[0][0]) == ("torch_export", 1.0, context.folder.id, "model.pt2")
    assert made.parity < 1e-6
    assert made.compared == 11  # three of noise, the eight of the validation
    assert "torch" in made.versions
    program = torch.export.load(export_folder(model, made) / "model.pt2").module()
    found = program(torch.full((7, 1, 12, 12), 99.0))["output"]  # stored units and size: crop, mean and softmax are inside
    np.testing.assert_allclose(found.sum(dim=1), 1, rtol=1e-5)
    stages = [e.stage for _, e in read_events(context.folder.events_file) if isinstance(e, ProgressEvent)]
    assert stages == ["load the model", "write", "compare", "time", "keep", "done"]
    assert left(model) == {"torch_export-epoch_1"}


def test_a_newer_one_takes_the_place_of_the_older_and_of_what_a_killed_worker_left(trained):
    context = context_for(trained, 2, "torch_export")
    killed = trained.folder(MODEL_ID).exports / f".{context.folder.id}.part"
    killed.mkdir(parents=True)
    (killed / "model.pt2").write_bytes(b"half")
    model = run(context)
    assert left(model) == {"torch_export-epoch_1"}
    assert [made.job_id for made in exports_of(model)] == [context.folder.id]


def test_a_best_snapshot_that_was_written_anew_meanwhile_is_not_exported_as_the_epoch_that_was_asked_for(trained):
    before = [(made.epoch, made.job_id) for made in exports_of(trained.folder(MODEL_ID))]
    context = context_for(trained, 8, "torch_export", epoch=0.5)  # requested when the best one was of epoch 0.5
    snapshots = trained.folder(MODEL_ID).snapshots
    (snapshots / "epoch_0.5.safetensors").write_bytes((snapshots / "epoch_1.safetensors").read_bytes())
    with pytest.raises(DataError, match="holds epoch 1 by now, not epoch 0.5") as refused:
        run(context)
    (snapshots / "epoch_0.5.safetensors").unlink()
    assert "Start anew with epoch 1" in refused.value.advice
    assert [(made.epoch, made.job_id) for made in exports_of(trained.folder(MODEL_ID))] == before, "others stay"


def test_what_computes_something_else_is_not_kept(trained):
    train_model(trained, trained.folder(DATASET_ID).path, "20260101-000000-bbbb", RANDOM)
    with pytest.raises(ExportError, match="does not compute what the model does"):
        run(context_for(trained, 3, "torch_export", "20260101-000000-bbbb"))
    assert left(trained.folder("20260101-000000-bbbb")) == set()


def test_a_snapshot_that_is_gone_and_a_stop_leave_nothing(trained, monkeypatch):
    def write(*_: object) -> list[Path]:
        os.kill(os.getpid(), signal.SIGTERM)  # as the supervisor asks, in the middle of the tracing
        time.sleep(60)
        return []

    monkeypatch.setattr(ProgramExporter, "write", write)
    before = left(trained.folder(MODEL_ID))
    with pytest.raises(StorageError, match="has no snapshot"):
        run(context_for(trained, 4, "torch_export", epoch=9.0))
    with pytest.raises(JobStopped):
        run(context_for(trained, 5, "torch_export"))
    assert left(trained.folder(MODEL_ID)) == before


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, points: dict[str, str]) -> None:
    """A package with exporters, as pip leaves it."""
    (folder / "listing_exporter.py").write_text(PLUGIN)
    facts = folder / "listing_exporter-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: listing-exporter\nVersion: 1.0\n")
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (facts / "entry_points.txt").write_text(f"[digits.plugins.export]\n{lines}")
    monkeypatch.syspath_prepend(folder)


def test_an_exporter_of_a_package(trained, tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, {"listing": "listing_exporter:Listing", "broken": "listing_exporter:Nothing"})
    model = run(context_for(trained, 6, "listing"))
    (made,) = [made for made in exports_of(model) if made.format == "listing"]
    assert dict(made.files).keys() == {"parts/names.txt"}
    assert json.loads((export_folder(model, made) / "export.json").read_text())["parity"] == 0
    with pytest.raises(PluginError, match="broken"):
        run(context_for(trained, 7, "broken"))


def test_eight_bits_are_measured_on_pictures_of_the_whole_validation(tmp_path, monkeypatch):
    """The validation is sorted: picture n of 150 is as bright as n."""
    seen: list[np.ndarray] = []

    class Calibrated(ProgramExporter):
        calibrated = True

        def write(self, predictor: Any, folder: Path, options: Mapping[str, Any]) -> list[Path]:
            seen.append(options["calibration"])
            return super().write(predictor, folder, options)

    monkeypatch.setattr(export, "get_exporter", lambda *_: Calibrated())
    jobs_dir = JobsDir(tmp_path)
    jobs_dir.prepare()
    features = np.broadcast_to(np.arange(158, dtype=np.uint8)[:, None, None, None] - 8, (158, 1, 12, 12)).copy()
    data = make_dataset(jobs_dir.folder(DATASET_ID).path, features, np.arange(158) % 2, class_labels=("a", "b"), validation=150)
    train_model(jobs_dir, data, MODEL_ID, TEXT)
    run(context_for(jobs_dir, 1, "torch_export"))
    brightness = seen[0][:, 0, 0, 0]
    assert (len(brightness), brightness[0], brightness[-1]) == (64, 0, 149)
    assert set(np.diff(brightness)) == {2, 3}, "evenly spaced"
