"""Curves and calibration of a thousand classes: the numbers of a library, and never all probabilities in memory at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn

from digits.metrics import calibration
from digits.metrics.analysis import classes as analysis
from digits.metrics.analysis.base import Evaluated
from digits.metrics.classification_report import ClassificationReport
from digits.storage.predictions import PredictionReader, Shares, writing_predictions

PICTURES, CLASSES = 300, 1000


def noted(read: Callable[..., np.ndarray], sizes: list[int]) -> Callable[..., np.ndarray]:
    """`read`, which notes how many numbers it gave."""

    def reading(*arguments: Any) -> np.ndarray:
        found = read(*arguments)
        sizes.append(found.size)
        return found

    return reading


def test_a_thousand_classes_are_told_of_a_part_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    true = rng.integers(0, 40, PICTURES)
    logs = rng.normal(size=(PICTURES, CLASSES)).astype(np.float32)
    logs[np.arange(PICTURES), true] += 6
    logs[5] = np.nan
    labels = [f"class {number}" for number in range(CLASSES)]
    report = ClassificationReport(labels, 3)
    with writing_predictions(tmp_path / "p.arrow", report.columns) as writer:
        for start in range(0, PICTURES, 64):
            some = slice(start, start + 64)
            values = report.add(list(logs[some]), true[some])
            writer.append([""] * len(true[some]), np.arange(PICTURES)[some], values)
    monkeypatch.setattr(analysis, "AT_ONCE", CLASSES * 64)
    monkeypatch.setattr(calibration, "AT_ONCE", CLASSES * 64)
    reader, sizes = PredictionReader(tmp_path / "p.arrow"), []
    for name in ("__getitem__", "columns"):
        monkeypatch.setattr(Shares, name, noted(getattr(Shares, name), sizes))
    told = analysis.ClassAnalysis(labels).details(Evaluated(reader, temperature=1.5, fitted_by="x"), [])
    assert len(sizes) >= 3 * (PICTURES // 64), "curves, before, after"
    assert max(sizes) <= CLASSES * 64
    shares = np.exp(logs.astype(np.float64))
    shares /= shares.sum(axis=1, keepdims=True)
    rows = {row["label"]: row for row in told["curves"]["classes"]}
    assert len(rows) == CLASSES
    for number in (0, 17, true[5]):
        scores = np.where(np.isnan(shares[:, number]), -1.0 if number == true[5] else 2.0, shares[:, number])
        assert rows[labels[number]]["auc"] == pytest.approx(sklearn.roc_auc_score(true == number, scores), abs=1e-6)
        if number != true[5]:
            assert rows[labels[number]]["ap"] == pytest.approx(sklearn.average_precision_score(true == number, scores), abs=1e-6)
    known = ~np.isnan(shares[:, 0])
    loss = sklearn.log_loss(true[known], shares[known], labels=np.arange(CLASSES))
    assert told["calibration"]["before"]["nll"] == pytest.approx(loss, abs=1e-5)
    assert told["calibration"]["after"] is not None
    assert len(json.dumps(told)) < 2_000_000, "what a page gets"
