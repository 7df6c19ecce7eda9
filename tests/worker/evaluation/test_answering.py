"""Evaluations of models that answer in tiles, or by the mean over mirrored pictures, and what that gains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from digits.domain.datasets import VAL_DB
from digits.testing.runs import make_dataset
from tests.worker.evaluation.test_metrics import DATASET_ID, DETECTION, SEGMENTATION, Threshold, run

SPLIT = {"source": "split", "dataset_id": DATASET_ID, "split": VAL_DB}


def wide(tmp_path: Path, count: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of 12×20 with thin lines and dots, larger than the network's input."""
    masks = (np.random.default_rng(2).random((count + 1, 1, 12, 20)) < 0.3).astype(np.uint8)
    labels = ("background", "cell")
    make_dataset(
        tmp_path / "jobs" / DATASET_ID,
        masks * 200,
        masks,
        task="segmentation",
        label_kind="map",
        class_labels=labels,
        validation=count,
    )
    return masks * 200, masks


@pytest.fixture
def lopsided(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that is not sure of what lies in the right half of a picture."""
    whole = Threshold.predict

    def predict(self: Threshold, batch: np.ndarray) -> dict[str, np.ndarray]:
        output = whole(self, batch)["output"]
        cell = output[:, 1].copy()
        cell[..., cell.shape[-1] // 2 :] *= 0.4
        return {"output": np.stack([1 - cell, cell], axis=1)}

    monkeypatch.setattr(Threshold, "predict", predict)


def test_large_records_are_measured_at_their_own_size_in_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, masks = wide(tmp_path)
    result, rows = run(tmp_path, monkeypatch, SEGMENTATION, **SPLIT, tile_overlap=0.25)
    assert result["metrics"]["mean_dice"] == 1.0, "squashed to 8×8 the dots would be lost"
    assert result["answering"] == {"tile_overlap": 0.25, "tta": []}
    assert np.array_equal(rows.rows([0])[0].output, masks[1, 0])
    assert "gain" not in result


def test_test_time_augmentation_says_what_it_gains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lopsided: None) -> None:
    wide(tmp_path)
    result, _ = run(tmp_path, monkeypatch, SEGMENTATION, **SPLIT, tile_overlap=0.5, tta=("hflip",))
    gain = result["gain"]["metrics"][result["key"]]
    assert gain["with"] == result["metrics"][result["key"]] > gain["without"]
    assert gain["gain"] == pytest.approx(gain["with"] - gain["without"])
    assert 0 < gain["low"] <= gain["gain"] <= gain["high"]
    assert result["gain"]["pictures"] == 4


def test_without_is_the_number_of_a_plain_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lopsided: None) -> None:
    for name in ("plain", "turned"):
        (tmp_path / name).mkdir()
        wide(tmp_path / name)
    plain, _ = run(tmp_path / "plain", monkeypatch, SEGMENTATION, **SPLIT)
    turned, _ = run(tmp_path / "turned", monkeypatch, SEGMENTATION, **SPLIT, tta=("hflip", "vflip"))
    assert {name: row["without"] for name, row in turned["gain"]["metrics"].items()} == plain["metrics"]
    assert "gain" not in plain
    assert "answering" not in plain


def test_boxes_of_large_records_are_found_in_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.zeros((2, 1, 8, 14), np.uint8)
    boxes = [np.zeros(0, [(n, "f4") for n in ("x0", "y0", "x1", "y1")] + [("class", "i4"), ("flags", "u1")])] * 2
    make_dataset(
        tmp_path / "jobs" / DATASET_ID,
        features,
        boxes,
        task="detection",
        label_kind="boxes",
        class_labels=("cell",),
        validation=1,
    )
    _, rows = run(tmp_path, monkeypatch, DETECTION, **SPLIT, tile_overlap=0.25)
    assert rows.rows([0])[0].output[:, :4].tolist() == [[2, 2, 5, 5], [8, 2, 11, 5]], "one in each of the two tiles"
