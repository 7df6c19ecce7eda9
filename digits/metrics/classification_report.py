"""What many predictions add up to: accuracy, confusion matrix, per-class numbers, loss, and the best pictures of each class.

Holds: memory grows with the number of classes and of pairs that occur, not with the number of pictures. A class's precision is
correct / predicted, its recall (shown as accuracy) correct / count, F1 their harmonic mean; each is None where it divides by 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from digits.metrics.accuracy import Accuracy, predicted
from digits.storage.predictions import true_scores

LEAST_PROBABILITY = 1e-12


class ClassificationReport:
    """Add batches, then call `summary`. Ranks and ties are those of `metrics.accuracy`."""

    def __init__(self, class_labels: Sequence[str], top_n: int) -> None:
        self.class_labels = list(class_labels)
        self.count = 0
        self.labelled = 0
        self._accuracy = Accuracy(len(self.class_labels))
        self._loss = 0.0
        self._pairs: Counter[int] = Counter()
        self._best = _BestOfClass(len(self.class_labels), top_n)

    def add(self, probabilities: np.ndarray, labels: np.ndarray) -> None:
        """One batch: `probabilities` (N, K) float32 in [0, 1], `labels` (N,) integers with -1 for unknown."""
        self._best.add(probabilities, self.count)
        self.count += len(labels)
        known = labels >= 0
        scores, true = probabilities[known], labels[known]
        self.labelled += len(true)
        if not len(true):
            return
        self._accuracy.update(scores, true)
        own = true_scores(scores, true)
        self._loss -= float(np.log(np.maximum(own.astype(np.float64), LEAST_PROBABILITY)).sum())
        keys, counts = np.unique(true.astype(np.int64) * len(self.class_labels) + predicted(scores, true), return_counts=True)
        self._pairs.update(dict(zip(keys.tolist(), counts.tolist(), strict=True)))

    def summary(self) -> dict[str, Any]:
        """See `service.evaluations.results.evaluation_result`."""
        pairs = [(*divmod(key, len(self.class_labels)), count) for key, count in sorted(self._pairs.items())]
        _, first, five = self._accuracy.totals
        return {
            "count": self.count,
            "labelled": self.labelled,
            "top1": _ratio(first, self.labelled),
            "top5": _ratio(five, self.labelled),
            "loss": _ratio(self._loss, self.labelled),
            "class_labels": self.class_labels,
            "confusion": [list(pair) for pair in pairs],
            "per_class": self._per_class(pairs),
            "top": self._best.rows(),
        }

    def _per_class(self, pairs: list[tuple[int, int, int]]) -> list[dict[str, Any]]:
        size = len(self.class_labels)
        true, predicted, correct = np.zeros(size, int), np.zeros(size, int), np.zeros(size, int)
        for row, column, count in pairs:
            true[row] += count
            predicted[column] += count
            correct[row] += count if row == column else 0
        return [self._one_class(i, int(true[i]), int(predicted[i]), int(correct[i])) for i in range(size)]

    def _one_class(self, index: int, count: int, predicted: int, correct: int) -> dict[str, Any]:
        return {
            "label": self.class_labels[index],
            "count": count,
            "predicted": predicted,
            "correct": correct,
            "accuracy": _ratio(correct, count),
            "precision": _ratio(correct, predicted),
            "f1": _ratio(2 * correct, count + predicted) if count and predicted else None,
        }


class _BestOfClass:
    """The N pictures of highest probability for each class, whatever their true class."""

    def __init__(self, classes: int, size: int) -> None:
        self._size = size
        self._scores = np.full((classes, 0), 0, np.float32)
        self._rows = np.zeros((classes, 0), np.int64)

    def add(self, probabilities: np.ndarray, first_row: int) -> None:
        rows = np.broadcast_to(np.arange(first_row, first_row + len(probabilities)), probabilities.T.shape)
        scores = np.concatenate([self._scores, probabilities.T.astype(np.float32)], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self._size]
        self._scores = np.take_along_axis(scores, order, axis=1)
        self._rows = np.take_along_axis(np.concatenate([self._rows, rows], axis=1), order, axis=1)

    def rows(self) -> dict[str, list[list[float]]]:
        """Class index (as text, for JSON) → `[row, probability]`, best first."""
        return {
            str(number): [[int(r), float(s)] for r, s in zip(rows, scores, strict=True)]
            for number, (rows, scores) in enumerate(zip(self._rows, self._scores, strict=True))
        }


def _ratio(part: float, whole: int) -> float | None:
    return part / whole if whole else None
