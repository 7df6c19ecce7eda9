"""Average precision and F1 of labels against scikit-learn."""

from __future__ import annotations

import numpy as np

from digits.metrics.multi_label import LabelPrecision, average_precision, best_threshold

NAMES = ("cat", "dog", "indoors", "never")


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties, and labels of which the last is in no picture."""
    rng = np.random.default_rng(4)
    truth = (rng.random((200, 4)) < (0.5, 0.2, 0.05, 0)).astype(np.float32)
    scores = np.clip(rng.normal(0.3 + 0.3 * truth, 0.25), 0, 1).round(2).astype(np.float32)
    return scores, truth


def measured(scores: np.ndarray, truth: np.ndarray, given: dict[str, float] | None = None) -> dict[str, float]:
    parts = [LabelPrecision(NAMES, given), LabelPrecision(NAMES, given)]
    for start in range(0, len(scores), 7):  # as two processes would have it
        parts[start % 2].update(scores[start : start + 7], truth[start : start + 7])
    parts[0].join([part.parts() or [] for part in parts])
    return parts[0].compute()


def test_a_chosen_threshold_lies_between_two_scores() -> None:
    scores = np.array([0.9, 0.75, 0.5, 0.25], np.float32)
    assert best_threshold(scores, np.array([True, True, False, False])) == (0.75 + 0.5) / 2
    assert best_threshold(scores, np.ones(4, bool)) == 0.25 / 2
    assert best_threshold(np.full(4, np.nan), np.ones(4, bool)) == 0.5


def test_thresholds_of_many_labels_are_chosen_though_they_are_not_listed() -> None:
    rng = np.random.default_rng(1)
    metric = LabelPrecision([f"label {n}" for n in range(40)])
    metric.update(rng.random((50, 40), np.float32), rng.random((50, 40)) < 0.4)
    assert not any("/" in name for name in metric.compute())
    assert len(set(metric.chosen()["label_thresholds"])) > 30


def test_equal_scores_for_all_are_worth_the_share_of_the_label() -> None:
    assert average_precision(np.full(8, 0.5), np.arange(8) < 2) == 0.25
    assert best_threshold(np.full(8, 0.5), np.zeros(8, bool)) == 0.5
    assert np.isnan(average_precision(np.array([0.5]), np.array([False])))
