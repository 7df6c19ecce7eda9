"""Whether a sample is among the best n is one rule: metrics, reports, pages and the helpers of network texts agree, ties too."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchvision  # noqa: F401 - its native parts cannot be loaded after TensorFlow's

from digits.metrics.accuracy import Accuracy, rank
from digits.metrics.classification_report import ClassificationReport
from digits.networks.catalog import network_text
from digits.networks.helpers import accuracy_top_n
from digits.tasks import Labels, get

CLASSES = 8
HAS_TENSORFLOW = importlib.util.find_spec("tensorflow") is not None


def cases() -> dict[str, np.ndarray]:
    """Scores (N, K): different ones, saturated ones, all equal, some that are no number."""
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(64, CLASSES)).astype(np.float32)
    nan = scores.copy()
    nan[::3, 2] = np.nan
    return {
        "different": scores,
        "saturated": np.where(scores > 0.5, 1.0, 0.0).astype(np.float32),
        "equal": np.zeros((64, CLASSES), np.float32),
        "no number": nan,
    }


LABELS = np.arange(64) % CLASSES
LABELS[::5] = 2


def of_text(framework: str) -> Callable[[np.ndarray], dict[str, float]]:
    """`metrics` of the standard GoogLeNet's text."""
    space: dict[str, Any] = {}
    exec(compile(network_text("googlenet", framework), "googlenet", "exec"), space)

    def metrics(scores: np.ndarray) -> dict[str, float]:
        if framework == "pytorch":
            found = space["metrics"]({"output": torch.from_numpy(scores)}, torch.from_numpy(LABELS))
        else:
            found = space["metrics"]({"output": scores}, LABELS)
        return {name: float(value) for name, value in found.items()}

    return metrics


@pytest.mark.parametrize("scores", cases().values(), ids=cases())
def test_ties_count_alike_everywhere(scores: np.ndarray) -> None:
    found = rank(scores, LABELS)
    expected = {1: float((found < 1).mean()), 5: float((found < 5).mean())}
    accuracy = Accuracy(CLASSES)
    accuracy.update(scores, LABELS)
    assert accuracy.compute() == pytest.approx({"accuracy": expected[1], "accuracy_top5": expected[5]})
    for n, value in expected.items():
        assert float(accuracy_top_n(torch.from_numpy(scores), torch.from_numpy(LABELS), n)) == pytest.approx(value)
    assert of_text("pytorch")(scores) == pytest.approx({"top1": expected[1], "top5": expected[5]})
    labels = Labels(class_labels=tuple("abcdefgh"))
    told = [get("classification").describe_output(row, label, labels) for row, label in zip(scores, LABELS, strict=True)]
    assert np.mean([one["correct"] for one in told]) == pytest.approx(expected[1])
    report = ClassificationReport(labels.class_labels, 5)
    if np.isfinite(scores).all():  # its probabilities come from them
        report.add(scores, LABELS)
        summary = report.summary()
        assert (summary["top1"], summary["top5"]) == pytest.approx((expected[1], expected[5]))


@pytest.mark.skipif(not HAS_TENSORFLOW, reason="TensorFlow is not installed")
@pytest.mark.parametrize("scores", cases().values(), ids=cases())
def test_texts_for_tensorflow_too(scores: np.ndarray) -> None:
    from digits.networks.tensorflow import helpers

    found = rank(scores, LABELS)
    for n in (1, 5):
        assert float(helpers.classification_accuracy_top_n(scores, LABELS, n)) == pytest.approx((found < n).mean())
    assert of_text("tensorflow")(scores) == pytest.approx({"top1": (found < 1).mean(), "top5": (found < 5).mean()})
