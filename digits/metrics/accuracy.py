"""Top-1 and top-5 accuracy, of trainings and evaluations."""

from __future__ import annotations

from typing import Any

import numpy as np

from digits.metrics.base import Metric, PictureColumns, ratio

TOP = 5


class Accuracy(Metric):
    """`accuracy` (top-1) and, with more than five classes, `accuracy_top5`: the share of samples whose class has a score
    among the highest one or five (see `rank`). Scores beyond `classes` do not count."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.totals = np.zeros(3)
        self.pictures: list[np.ndarray] = []  # (N, 3) int32 of each batch: place of the true class, class found, true class

    def update(self, outputs: np.ndarray, labels: np.ndarray) -> None:
        """Add a batch: scores (N, K) of any unit and the true classes (N,), integers in [0, K)."""
        scores = outputs[:, : self.classes].reshape(len(outputs), -1)
        found = rank(scores, labels)
        self.totals += (len(labels), (found < 1).sum(), (found < TOP).sum())
        if self.keeps:
            self.pictures.append(np.stack([found, predicted(scores, labels), labels], axis=1).astype(np.int32))

    def kept(self) -> list[Any]:
        return self.pictures

    def take_kept(self, kept: list[Any]) -> None:
        self.pictures = kept

    def of_pictures(self, chosen: np.ndarray) -> PictureColumns:
        """`rank` (0: right, see `rank`), `predicted` (-1: none) and `label`."""
        rows = np.concatenate([np.zeros((0, 3), np.int32), *self.pictures])[chosen]
        return {"rank": rows[:, 0], "predicted": rows[:, 1], "label": rows[:, 2]}

    def compute(self) -> dict[str, float]:
        count, first, five = self.totals
        values = {"accuracy": ratio(first, count)}
        return values | ({"accuracy_top5": ratio(five, count)} if self.classes > TOP else {})


def rank(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many other classes have a score at least as high as the true class: int64 (N,), 0 where it alone is the highest.

    `scores` (N, K), `labels` (N,) int in [0, K). Ties are broken against the model: a class that shares its score with others
    comes after them, so that equal scores for all are never right. Where any score is no number (see `comparable`) the true
    class is beyond all.
    """
    own = scores[np.arange(len(labels)), labels]  # (N,)
    others = (scores >= own[:, None]).sum(axis=1) - 1
    return np.where(comparable(scores), others, max(scores.shape[1], TOP))


def comparable(scores: np.ndarray) -> np.ndarray:
    """Of which of N pictures the scores (N, K) can be compared: bool (N,), False where one is NaN or plus infinity. Minus
    infinity is a score: networks write it for classes that cannot be."""
    return np.asarray((scores < np.inf).all(axis=1))


def predicted(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The class of the highest of `scores` (N, K), int64 (N,): where the true class, `labels` (N,), shares it with others, one
    of these (see `rank`); -1 where the scores cannot be compared."""
    found = np.where(comparable(scores), scores.argmax(axis=1), -1)  # (N,)
    unsure = np.flatnonzero((found == labels) & (found >= 0) & (rank(scores, labels) > 0))
    rest = scores[unsure].copy()
    rest[np.arange(len(unsure)), labels[unsure]] = -np.inf
    found[unsure] = rest.argmax(axis=1)
    return found
