"""How well several labels of one picture are found: average precision, and F1 at a threshold for each label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from digits.metrics.base import MAX_CLASSES_SHOWN, Metric, PictureColumns, mean_known, ratios

THRESHOLD = 0.5


class LabelPrecision(Metric):
    """`mean_ap` (mean over labels of the average precision: the sum of precision times the rise of recall over falling scores,
    ties together), `f1_macro` (mean over labels) and `f1_micro` (over all labels of all pictures) at the thresholds;
    `label_ap/<label>`, `f1/<label>`, and `threshold/<label>`: the score from which on a label counts.

    Thresholds are `given` by label, else those with the best F1 on the very pictures that are measured. NaN for a label that no
    picture has, and for those `missing` (numbers), of which nothing is known: they count nowhere. A score that is no number is
    wrong at every threshold (see `never_right`). Scores are kept until the end, for average precision is no sum.
    """

    thresholds: tuple[float, ...] = ()

    def __init__(
        self, class_labels: Sequence[str], given: Mapping[str, float] | None = None, missing: Sequence[int] = ()
    ) -> None:
        self.labels = list(class_labels)
        self.missing = list(missing)
        self.given = dict(given or {})
        self.totals = np.zeros(1)
        self.kept_batches: list[tuple[np.ndarray, np.ndarray]] = []

    def update(self, outputs: np.ndarray, labels: np.ndarray) -> None:
        """Add pictures: `outputs` probabilities (N, K), `labels` (N, K) of 0 and 1."""
        k = len(self.labels)
        self.kept_batches.append((np.asarray(outputs, np.float32)[:, :k], np.asarray(labels)[:, :k] > 0))

    def takes(self, outputs: np.ndarray, labels: np.ndarray) -> bool:
        return outputs.ndim == labels.ndim == 2 and outputs.shape[1] >= len(self.labels)

    def parts(self) -> list[Any] | None:
        return self.kept_batches

    def join(self, parts: Sequence[list[Any]]) -> None:
        self.kept_batches = [pictures for part in parts for pictures in part]

    def of_pictures(self, chosen: np.ndarray) -> PictureColumns:
        """`scores` (n, K) with those that are no numbers as `never_right` has them, whether each label is `true` and whether it
        was `found`, by the thresholds: after `compute`. Labels of which nothing is known are left out."""
        known = np.setdiff1d(np.arange(len(self.labels)), self.missing)
        truth = np.concatenate([np.zeros((0, len(self.labels)), bool), *(real for _, real in self.kept_batches)])[chosen]
        scores = np.concatenate([np.zeros((0, len(self.labels))), *(found for found, _ in self.kept_batches)])[chosen]
        scores = never_right(scores, truth)
        found = scores >= np.asarray(self.thresholds)
        return {
            "scores": scores[:, known].astype(np.float32),
            "true": truth[:, known].astype(np.uint8),
            "found": found[:, known].astype(np.uint8),
        }

    def chosen(self) -> dict[str, Any]:
        return {"label_thresholds": self.thresholds}

    def compute(self) -> dict[str, float]:
        k = len(self.labels)
        truth = np.concatenate([np.zeros((0, k), bool), *(real for _, real in self.kept_batches)])
        scores = never_right(np.concatenate([np.zeros((0, k), np.float32), *(found for found, _ in self.kept_batches)]), truth)
        precision = np.array([average_precision(scores[:, i], truth[:, i]) for i in range(k)])
        thresholds = np.array([self._threshold(i, scores[:, i], truth[:, i]) for i in range(k)])
        self.thresholds = tuple(thresholds.tolist())
        found = scores >= thresholds
        found[:, self.missing] = truth[:, self.missing] = False
        hits, sizes = (found & truth).sum(axis=0), found.sum(axis=0) + truth.sum(axis=0)
        f1 = ratios(2.0 * hits, sizes)
        values = {
            "mean_ap": mean_known(precision),
            "f1_macro": mean_known(f1),
            "f1_micro": float(ratios(np.array([2.0 * hits.sum()]), np.array([sizes.sum()]))[0]),
        }
        if k <= MAX_CLASSES_SHOWN:
            for i, label in enumerate(self.labels):
                values |= {f"label_ap/{label}": float(precision[i]), f"f1/{label}": float(f1[i])}
                values[f"threshold/{label}"] = float(thresholds[i])
        return values

    def _threshold(self, place: int, scores: np.ndarray, truth: np.ndarray) -> float:
        given = self.given.get(self.labels[place])
        return best_threshold(scores, truth) if given is None else given


def never_right(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Scores (N, K) in which what is no number misses a label that is true and finds one that is not: minus infinity for the
    first, plus infinity for the second of `truth` (N, K) bool."""
    return np.where(np.isfinite(scores), scores, np.where(truth, -np.inf, np.inf))


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """Of scores (N,) for truths (N,) bool: Σ (R_n − R_{n−1}) P_n over the scores from high to low (as scikit-learn's
    `average_precision_score`), in [0, 1]; NaN without a true one. What has a score of minus infinity is never found."""
    if not truth.any():
        return float("nan")
    precision, recall, _ = _curve(scores, truth)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def best_threshold(scores: np.ndarray, truth: np.ndarray) -> float:
    """The threshold with the best F1 of `scores` (N,) in [0, 1] against `truth` (N,) bool when everything from it on counts; 0.5
    where no picture is true. It lies midway between the last score that counts and the next one, so that a score which comes out
    a rounding error lower in another batch is on the same side."""
    if not truth.any():
        return THRESHOLD
    precision, recall, values = _curve(scores, truth)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(np.argmax(f1))
    if not np.isfinite(values[best]):
        return THRESHOLD
    below = values[best + 1] if best + 1 < len(values) and np.isfinite(values[best + 1]) else 0.0
    return (float(values[best]) + float(below)) / 2


def _curve(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision and recall when everything from a score on counts, for each distinct score from high to low; the scores."""
    order = np.argsort(-scores, kind="stable")
    sorted_scores, hits = scores[order], np.cumsum((truth & (scores > -np.inf))[order])
    last = np.append(np.flatnonzero(sorted_scores[1:] != sorted_scores[:-1]), len(scores) - 1)  # of each run of equal scores
    return hits[last] / (last + 1.0), hits[last] / truth.sum(), sorted_scores[last]
