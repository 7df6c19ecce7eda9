"""Evaluations of segmentation and regression: the numbers of a validation, those of each picture, and what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.domain.datasets import TRAIN_DB, VAL_DB
from digits.domain.inference import EvaluationSpec
from digits.engines.base import LayerReport, Predictor
from digits.errors import DataError
from digits.metrics.resampling import once, resampled
from digits.metrics.segmentation import Overlap
from digits.storage.folders import JobsDir
from digits.storage.predictions import PredictionReader
from digits.storage.records.reader import BOX_DTYPE
from digits.storage.validation_pictures import FILE, read_pictures
from digits.testing.runs import make_dataset
from digits.worker import loading
from tests.worker.evaluation import evaluating

MODEL_ID, JOB_ID, DATASET_ID = "20260101-000000-aaaa", "20260101-000001-bbbb", "20260101-000002-cccc"
SEGMENTATION = {
    "task": "segmentation",
    "class_labels": ["background", "cell"],
    "label_kind": "map",
    "label_shape": [1, 8, 8],
    "input_shape": [1, 8, 8],
    "stored_shape": [1, 8, 8],
    "preparation": {"dtype": "uint8", "label_scale": 1.0},
    "image": {},
}
DETECTION = {**SEGMENTATION, "task": "detection", "class_labels": ["cell"], "label_kind": "boxes", "label_shape": None}
REGRESSION = {**SEGMENTATION, "task": "regression", "class_labels": [], "label_kind": "vector", "label_shape": [1]}


class Threshold(Predictor):
    """Everything brighter than 100 is a cell; or the number is the brightness; or there is one box, whose score says how many
    pixels of the last line are bright."""

    def __init__(self, meta: dict[str, Any]) -> None:
        self.meta = meta

    def predict(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        if self.meta["task"] == "regression":
            return {"output": batch.mean(axis=(1, 2, 3))[:, None].astype(np.float32)}
        if self.meta["task"] == "detection":
            scores = 0.35 + 0.1 * (batch[:, 0, 7] > 100).sum(axis=1)
            return {"boxes": np.stack([np.array([[2, 2, 5, 5, score, 0]], np.float32) for score in scores])}
        cell = (batch[:, 0] > 100).astype(np.float32)
        return {"output": np.stack([1 - cell, cell], axis=1)}

    def layers(self, feature: np.ndarray) -> list[LayerReport]:
        return []

    def close(self) -> None:
        self.meta = {}


def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meta: dict[str, Any], **spec: Any
) -> tuple[dict[str, Any], PredictionReader]:
    class ThresholdEngine:
        def load(self, snapshot: Path, device: str) -> Predictor:
            return Threshold(dict(meta))

    monkeypatch.setattr(loading, "get_engine", lambda framework: ThresholdEngine())
    jobs_dir = JobsDir(tmp_path / "jobs")
    jobs_dir.prepare()
    snapshot = jobs_dir.folder(MODEL_ID).path / "snapshots" / "epoch_1.safetensors"
    snapshot.parent.mkdir(parents=True)
    snapshot.touch()
    values = EvaluationSpec(MODEL_ID, "snapshots/epoch_1.safetensors", 1.0, roots=(str(tmp_path),), **spec)
    context = evaluating.context_for(jobs_dir, JOB_ID, "segmentation", values)
    return evaluating.run(context), evaluating.kept_by(context.folder.path)


def cells(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures whose n-th has n bright pixels too many."""
    masks = np.zeros((count, 1, 8, 8), np.uint8)
    masks[:, :, 2:5, 2:5] = 1
    features = masks * 200
    for number, picture in enumerate(features):
        picture[0, 7, :number] = 200
    return features, masks


def test_metrics_are_those_of_a_validation_and_of_each_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, masks = cells(6)
    labels = ("background", "cell")
    make_dataset(
        tmp_path / "jobs" / DATASET_ID, features, masks, task="segmentation", label_kind="map", class_labels=labels, validation=5
    )
    result, rows = run(tmp_path, monkeypatch, SEGMENTATION, source="split", dataset_id=DATASET_ID, split=VAL_DB)
    expected = Overlap(labels)
    expected.update((features[1:, 0] > 100).astype(int), masks[1:, 0])
    values = expected.compute()
    assert (result["kind"], result["count"], result["labelled"]) == ("map", 5, 5)
    assert result["metrics"] == {name: value for name, value in values.items() if "/" not in name}
    assert [row["dice"] for row in result["per_class"]] == [values["dice/background"], values["dice/cell"]]
    assert rows.select(sort="mean_dice").tolist() == [4, 3, 2, 1, 0]
    worst = rows.rows([4])[0]
    assert np.array_equal(worst.output, features[5, 0] > 100)
    assert worst.values["pixel_accuracy"] == 1 - 5 / 64
    kept = read_pictures(tmp_path / "jobs" / JOB_ID / FILE)  # for comparisons
    assert resampled("mean_dice", kept.columns, once(5))[0] == pytest.approx(values["mean_dice"])
    assert result["baseline"] is None  # the data set that the model was trained on is not known


def test_classes_of_another_data_set_are_matched_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, masks = cells(4)
    theirs = ("cell", "dust", "background")
    other = np.where(masks == 1, 0, 2).astype(np.uint8)
    other[:, :, 0, 0] = 1  # the model knows no dust: it does not count
    make_dataset(
        tmp_path / "jobs" / DATASET_ID, features, other, task="segmentation", label_kind="map", class_labels=theirs, validation=1
    )
    result, _ = run(tmp_path, monkeypatch, SEGMENTATION, source="split", dataset_id=DATASET_ID, split=VAL_DB)
    assert result["metrics"]["pixel_accuracy"] == pytest.approx(60 / 63)


def test_the_trivial_answer_is_measured_on_other_splits_of_the_own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, masks = cells(6)
    labels = ("background", "cell")
    make_dataset(
        tmp_path / "jobs" / DATASET_ID, features, masks, task="segmentation", label_kind="map", class_labels=labels, validation=2
    )
    meta = {**SEGMENTATION, "dataset_id": DATASET_ID}
    result, _ = run(tmp_path, monkeypatch, meta, source="split", dataset_id=DATASET_ID, split=TRAIN_DB)
    assert result["baseline"]["description"] == "every pixel “background”"
    assert result["baseline"]["values"]["pixel_accuracy"] == pytest.approx(1 - 9 / 64)
    assert result["baseline"]["values"]["dice/cell"] == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_another_size_are_fitted_and_judged_at_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int
) -> None:
    """Cells of twice and three times the size, of which one has a bright corner that is no cell."""
    features, masks = cells(2)
    large = [array.repeat(2, axis=2).repeat(3, axis=3) for array in (features.repeat(channels, axis=1), masks)]
    labels = ("background", "cell")
    make_dataset(tmp_path / "jobs" / DATASET_ID, *large, task="segmentation", label_kind="map", class_labels=labels, validation=2)
    result, rows = run(tmp_path, monkeypatch, SEGMENTATION, source="split", dataset_id=DATASET_ID, split=VAL_DB)
    kept = rows.rows([0, 1])
    assert [row.output.shape for row in kept] == [(16, 24)] * 2
    assert np.array_equal(kept[0].output, large[1][0, 0])
    wrong = (kept[1].output != large[1][1, 0]).mean()
    assert wrong == pytest.approx(1 / 64)
    assert result["metrics"]["pixel_accuracy"] == pytest.approx(1 - 1 / 128)


def test_records_of_another_type_are_left_out_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, masks = cells(2)
    labels = ("background", "cell")
    deep = features.astype(np.uint16).repeat(2, axis=2)
    make_dataset(
        tmp_path / "jobs" / DATASET_ID, deep, masks, task="segmentation", label_kind="map", class_labels=labels, validation=2
    )
    with pytest.raises(
        DataError, match=r"None of the 2 pictures could be read[^:]*: .*uint16 values, the model was trained on uint8"
    ):
        run(tmp_path, monkeypatch, SEGMENTATION, source="split", dataset_id=DATASET_ID, split=VAL_DB)


def test_classes_that_the_model_does_not_know_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, masks = cells(4)
    make_dataset(
        tmp_path / "jobs" / DATASET_ID, features, masks, task="segmentation", label_kind="map", class_labels=("sky", "road")
    )
    with pytest.raises(DataError, match="the model knows none of them"):
        run(tmp_path, monkeypatch, SEGMENTATION, source="split", dataset_id=DATASET_ID, split=VAL_DB)


def test_files_have_outputs_and_no_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    features, _ = cells(2)
    for number, feature in enumerate(features):
        Image.fromarray(feature[0]).save(pictures / f"{number}.png")
    (pictures / "torn.png").write_bytes(b"no picture")
    result, rows = run(tmp_path, monkeypatch, SEGMENTATION, source="folder", folder=str(pictures))
    assert (result["count"], result["labelled"], result["skipped"], result["metrics"]) == (2, 0, 1, {})
    assert np.array_equal(rows.rows([1])[0].output, features[1, 0] > 100)


def test_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, _ = cells(6)
    truth = np.arange(6, dtype=np.float32)[:, None]
    make_dataset(tmp_path / "jobs" / DATASET_ID, features, truth, task="regression", label_kind="vector", validation=5)
    result, rows = run(tmp_path, monkeypatch, REGRESSION, source="split", dataset_id=DATASET_ID, split=VAL_DB)
    errors = np.abs(features[1:].mean(axis=(1, 2, 3)) - truth[1:, 0])
    assert result["metrics"]["mae"] == pytest.approx(errors.mean(), rel=1e-5)
    assert rows.rows([2])[0].values["mae"] == pytest.approx(errors[2], rel=1e-5)
    assert (result["key"], result["lower_is_better"]) == ("mae", True)


@pytest.mark.parametrize("threshold", [None, 0.3, 0.7])
def test_boxes_count_from_the_score_that_the_training_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threshold: float | None
) -> None:
    """Every picture has one box, which is found with the scores 0.45, 0.55, … 0.85."""
    features, _ = cells(6)
    boxes = [np.array([(2, 2, 5, 5, 0, 0)], BOX_DTYPE)] * 6
    make_dataset(
        tmp_path / "jobs" / DATASET_ID,
        features,
        boxes,
        task="detection",
        label_kind="boxes",
        class_labels=("cell",),
        validation=5,
    )
    meta = DETECTION if threshold is None else {**DETECTION, "options": {"score_threshold": threshold}}
    result, rows = run(tmp_path, monkeypatch, meta, source="split", dataset_id=DATASET_ID, split=VAL_DB)
    least = threshold or 0.5
    found = [score >= least for score in (0.45, 0.55, 0.65, 0.75, 0.85)]
    assert result["options"] == {"score_threshold": least}
    assert result["metrics"]["recall"] == sum(found) / 5
    assert [row.values["recall"] for row in rows.rows(range(5))] == found
    assert result["metrics"]["map50"] == 1, "which knows of no threshold"
