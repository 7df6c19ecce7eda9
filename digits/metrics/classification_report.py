"""What many predictions add up to: accuracy, confusion matrix, per-class numbers, loss, and the best pictures of each class.

Holds: memory grows with the number of classes and of pairs that occur, not with the number of pictures. A class's precision is
correct / predicted, its recall (shown as accuracy) correct / count, each None where it divides by 0; F1 is 2 · correct / (count +
predicted), None of a class that no picture has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from digits.domain.classes import NO_CLASS, unknown_place
from digits.domain.metrics import LOSS
from digits.metrics.accuracy import TOP, Accuracy, comparable, predicted
from digits.metrics.base import Arrays, Report
from digits.storage.predictions import MAX_PROBABILITIES, Column

LEAST_LOG = float(np.log(np.finfo(np.float32).tiny))  # of a class that the network gives no score
TOP_KEPT = 10  # classes of each picture


class ClassificationReport(Report):
    """Of one class for each picture. Ranks and ties are those of `metrics.accuracy`. A picture whose scores are no numbers has
    no classes (-1 in their columns): it counts for its true class and stands in no column of the confusion matrix."""

    def __init__(self, class_labels: Sequence[str], top_n: int) -> None:
        self.class_labels = list(class_labels)
        self.count = 0
        self.labelled = 0
        self._accuracy = Accuracy(len(self.class_labels))
        self.counting = [self._accuracy]
        self._loss = 0.0
        self._pairs: Counter[int] = Counter()
        self._true = np.zeros(len(self.class_labels), np.int64)
        self._best = _BestOfClass(len(self.class_labels), top_n)
        self.columns = _columns(len(self.class_labels))

    def add(self, outputs: Arrays, truths: Arrays | None) -> dict[str, Any]:
        """Outputs are logarithms of probabilities (K,) float32 of N pictures, truths (N,) numbers of `domain.classes`."""
        logs = scores_of(outputs, len(self.class_labels))
        probabilities = shares_of(logs)
        labels = np.full(len(outputs), NO_CLASS) if truths is None else np.asarray(truths)
        self._best.add(probabilities, self.count)
        self._count(logs, labels)
        order = best_first(logs, labels)[:, :TOP_KEPT]  # (N, k)
        return {
            "label": np.maximum(labels, NO_CLASS),
            "unknown_label": np.maximum(unknown_place(labels), NO_CLASS),
            "classes": np.where(comparable(logs)[:, None], order, -1),
            "scores": np.take_along_axis(probabilities, order, axis=1),
            "true_score": true_scores(probabilities, labels),
            LOSS: -true_scores(logs, labels),
            "probabilities": probabilities,
        }

    def _count(self, logs: np.ndarray, labels: np.ndarray) -> None:
        """Add a batch, (N, K) and (N,), to the sums."""
        self.count += len(labels)
        known = labels >= 0
        scores, true = logs[known], labels[known]
        self.labelled += len(true)
        if not len(true):
            return
        self._accuracy.update(scores, true)
        self._loss -= float(true_scores(scores, true).sum(dtype=np.float64))
        true = true.astype(np.int64)
        self._true += np.bincount(true, minlength=len(self._true))
        made = predicted(scores, true)
        keys, counts = np.unique((true * len(self.class_labels) + made)[made >= 0], return_counts=True)
        self._pairs.update(dict(zip(keys.tolist(), counts.tolist(), strict=True)))

    def summary(self) -> dict[str, Any]:
        """The keys of `service.evaluations.results.evaluation_result` that are its own."""
        pairs = [(*divmod(key, len(self.class_labels)), count) for key, count in sorted(self._pairs.items())]
        _, first, five = self._accuracy.totals
        top1, top5, loss = (_ratio(part, self.labelled) for part in (first, five, self._loss))
        top5 = top5 if len(self.class_labels) > TOP else None  # of five classes or fewer it would be 1 for any answer
        return {
            "count": self.count,
            "labelled": self.labelled,
            "metrics": metrics_of(top1, top5, loss, len(self.class_labels)),
            "columns": [],
            "top1": top1,
            "top5": top5,
            "loss": loss,
            "class_labels": self.class_labels,
            "confusion": [list(pair) for pair in pairs],
            "per_class": self._per_class(pairs),
            "top": self._best.rows(),
        }

    def _per_class(self, pairs: list[tuple[int, int, int]]) -> list[dict[str, Any]]:
        size = len(self.class_labels)
        true, predicted, correct = self._true, np.zeros(size, int), np.zeros(size, int)
        for row, column, count in pairs:
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
            "f1": _ratio(2 * correct, count + predicted) if count else None,
        }


def metrics_of(top1: float | None, top5: float | None, loss: float | None, classes: int) -> dict[str, float | None]:
    """The metrics of an evaluation; no top 5 of five classes or fewer."""
    return {"accuracy": top1, **({"accuracy_top5": top5} if classes > TOP else {}), LOSS: loss}


def _columns(classes: int) -> tuple[Column, ...]:
    """What is kept of each picture (see `storage.predictions`)."""
    top = min(TOP_KEPT, classes)
    kept = (
        Column("label", "int32"),
        Column("unknown_label", "int32"),
        Column("classes", "int32", top),
        Column("scores", "float32", top),
    )
    every = (Column("probabilities", "float32", classes),) if classes <= MAX_PROBABILITIES else ()
    return (*kept, Column("true_score", "float32"), Column(LOSS, "float32"), *every)


def scores_of(outputs: Arrays, classes: int) -> np.ndarray:
    """Logarithms (N, K) float32 of outputs (…) each: those beyond the classes are dropped, missing ones have no share (R 5)."""
    logs = np.reshape(np.asarray(outputs, np.float32), (len(outputs), -1))[:, :classes]
    return np.pad(logs, ((0, 0), (0, classes - logs.shape[1])), constant_values=LEAST_LOG)


def shares_of(logs: np.ndarray) -> np.ndarray:
    """Probabilities (N, K) float32 that add up to 1, of logarithms (N, K); NaN where one of them is NaN or plus infinity."""
    with np.errstate(invalid="ignore"):
        parts = np.exp(logs - logs.max(axis=1, keepdims=True, initial=-np.inf))
        return parts / parts.sum(axis=1, keepdims=True)


def best_first(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Classes of each picture by their score (N, K), int64 (N, K). Equal ones keep their order, but that the true class,
    `labels` (N,), comes last among them: a tie is broken against the model, as the accuracies of the report count it."""
    order = np.argsort(-scores, axis=1, kind="stable")
    own = true_scores(scores, labels)[:, np.newaxis]
    for row in np.flatnonzero((scores == own).sum(axis=1) > 1):
        order[row] = np.lexsort((np.arange(scores.shape[1]) == labels[row], -scores[row]))
    return order


def true_scores(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The score of each true class, (N,) float32, of `scores` (N, K); NaN for `labels` (N,) outside [0, K)."""
    known = (labels >= 0) & (labels < scores.shape[1])
    found = np.full(len(labels), np.nan, dtype=np.float32)
    found[known] = scores[known, labels[known]]
    return found


class _BestOfClass:
    """The N pictures of highest probability for each class, whatever their true class."""

    def __init__(self, classes: int, size: int) -> None:
        self._size = size
        self._scores = np.full((classes, 0), 0, np.float32)
        self._rows = np.zeros((classes, 0), np.int64)

    def add(self, probabilities: np.ndarray, first_row: int) -> None:
        known = comparable(probabilities)
        numbers, probabilities = np.flatnonzero(known) + first_row, probabilities[known]
        rows = np.broadcast_to(numbers, probabilities.T.shape)
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
