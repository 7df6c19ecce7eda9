"""Image to image and segmentation on pictures of several sizes: crops are trained, whole pictures of any size are restored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.domain.datasets import VAL_DB, RecordMeta
from digits.domain.events import BaselineEvent, MetricEvent
from digits.domain.inference import EvaluationSpec
from digits.domain.training import LearningRate, Solver, TrainingSpec
from digits.engines.base import get_engine
from digits.engines.whole_pictures import cut_back, padded, stride_of
from digits.errors import TrainingError
from digits.frameworks import frameworks
from digits.networks import catalog
from digits.storage.folders import JobFolder, JobsDir
from digits.storage.records.open import open_split
from digits.testing.runs import train
from tests.ingest.making import make_job, picture, run_job
from tests.worker.evaluation import evaluating

SIZES = [(40, 32), (33, 47), (64, 20), (32, 32), (50, 50), (21, 90)]  # width, height
NETWORKS = [("pytorch", "denoiser"), ("pytorch", "unet"), ("pytorch", "autoencoder"), ("tensorflow", "unet")]
MODEL, JOB = "20260101-000000-aaaa", "20260101-000001-bbbb"


def dataset(jobs: Path, folder: Path, sizes: list[tuple[int, int]] = SIZES, **values: Any) -> JobFolder:
    """Pictures and their negatives, each of its own size."""
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    for number, size in enumerate(sizes):
        found = picture(number, size, "L")
        found.save(folder / "a" / f"{number}.png")
        found.point(lambda value: 255 - value).save(folder / "b" / f"{number}.png")
    data = {"feature_folder": str(folder / "a"), "label_folder": str(folder / "b"), "folder_pct_val": 34, "seed": 1, **values}
    return run_job(make_job(jobs, "image-processing", {"unequal_sizes": "keep", **data}, force_same_shape=False)).folder


def spec_of(framework: str, text: str, **values: Any) -> TrainingSpec:
    return TrainingSpec(
        "d", "processing", framework, text, epochs=1, seed=1, solver=Solver("ADAM"), learning_rate=LearningRate(1e-3, "fixed"),
        **values,
    )  # fmt: skip


@pytest.mark.parametrize(("framework", "network"), NETWORKS)
def test_crops_are_trained_and_whole_pictures_restored(tmp_path: Path, framework: str, network: str) -> None:
    if not frameworks()[framework].is_installed:
        pytest.skip(f"{framework} is not installed")
    jobs = JobsDir(tmp_path / "jobs")
    jobs.prepare()
    folder = dataset(jobs.path, tmp_path / "data")
    text = catalog.network_text(network, framework)
    spec = replace(spec_of(framework, text, crop_size=20, batch_size=2, use_mean="none"), dataset_id=folder.id)
    events = train(folder.path, jobs.path / MODEL, spec)
    values = [event.values for event in events if isinstance(event, MetricEvent) and event.phase == "val"][-1]
    (trivial,) = [event.values for event in events if isinstance(event, BaselineEvent)]
    assert {"mae", "rmse", "psnr", "ssim"} <= values.keys()
    assert 30 < trivial["mae"] < 200, "in the units of 8 bits, as every picture here is noise"
    assert values["rmse"] >= values["mae"] > 1
    (snapshot,) = (jobs.path / MODEL / "snapshots").glob("epoch_1.*")
    predictor = get_engine(framework).load(snapshot)
    for width, height in (*SIZES, (13, 7), (20, 20)):
        batch = np.asarray(picture(1, (width, height), "L"))[None, None]
        assert predictor.predict(batch)["output"].shape == batch.shape
        assert predictor.scores(batch).shape == batch.shape
    predictor.close()
    wanted = EvaluationSpec(
        MODEL, f"snapshots/{snapshot.name}", 1.0, source="split", dataset_id=folder.id, split=VAL_DB, framework=framework
    )
    result = evaluating.run(evaluating.context_for(jobs, JOB, "processing", wanted))
    records = open_split(folder.path, VAL_DB)
    assert result["count"] == result["labelled"] == len(records)
    kept = evaluating.kept_by(jobs.path / JOB)
    errors = [np.abs(row.output - records.labels([row.record])[0].astype(float)) for row in kept.rows(range(len(kept)))]
    assert [error.shape for error in errors] == [records.feature(n).shape for n in range(len(records))]
    assert result["metrics"]["mae"] == pytest.approx(np.concatenate([error.ravel() for error in errors]).mean(), rel=1e-4)


def test_pictures_and_labels_of_two_sizes_are_told(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "jobs", tmp_path / "data", [(40, 32), (40, 40), (44, 40)], folder_pct_val=0)
    for number in range(3):
        (tmp_path / "data" / "b" / f"{number}.png").unlink()
        picture(number, (64, 50 + number), "L").save(tmp_path / "data" / "b" / f"{number}.png")
    folder = run_job(make_job(tmp_path / "jobs", "image-processing", {
        "feature_folder": str(tmp_path / "data" / "a"), "label_folder": str(tmp_path / "data" / "b"), "folder_pct_val": 0,
        "unequal_sizes": "keep",
    }, force_same_shape=False)).folder  # fmt: skip
    spec = spec_of("pytorch", catalog.network_text("unet"), crop_size=20, batch_size=2, val_interval=0)
    with pytest.raises(TrainingError, match="no crop of both shows the same"):
        train(folder.path, tmp_path / "m", spec)


@pytest.mark.parametrize(("crop", "stride"), [(20, 4), (96, 32), (64, 64), (256, 64), (33, 1)])
def test_whole_pictures_are_padded_as_the_crops_can_be_halved(tmp_path: Path, crop: int, stride: int) -> None:
    varied = RecordMeta("processing", None, label_kind="array", label_shape=None, label_dtype="uint8")
    assert stride_of(spec_of("pytorch", "", crop_size=crop), varied) == stride
    assert stride_of(spec_of("pytorch", ""), varied) == 0
    meta = {"stride": stride, "input_shape": [1, crop, crop]}
    batch = np.random.default_rng(0).random((2, 1, crop + 5, 7)).astype(np.float32)
    seen = padded(batch, meta)
    assert all(side % stride == 0 and side >= crop for side in seen.shape[2:])
    np.testing.assert_array_equal(cut_back(seen, batch, seen), batch)
