"""Vectors in two dimensions: principal components of any number of them, by what was added up in one pass (Pearson, 1901)."""

from __future__ import annotations

import numpy as np

NEIGHBOUR_SIZE = 50  # components that UMAP is given


class Moments:
    """Mean and covariance of vectors of D numbers that come in parts: sums are kept around the first part's mean, in float64."""

    def __init__(self, size: int) -> None:
        self.count = 0
        self._shift: np.ndarray | None = None
        self._sum = np.zeros(size)
        self._products = np.zeros((size, size))

    def add(self, vectors: np.ndarray) -> None:
        """Vectors (n, D) of finite numbers."""
        if not len(vectors):
            return
        values = vectors.astype(np.float64)
        if self._shift is None:
            self._shift = values.mean(axis=0)
        values -= self._shift
        self.count += len(values)
        self._sum += values.sum(axis=0)
        self._products += values.T @ values

    @property
    def mean(self) -> np.ndarray:
        """(D,) float64."""
        shift = np.zeros(len(self._sum)) if self._shift is None else self._shift
        return shift + self._sum / max(1, self.count)

    @property
    def covariance(self) -> np.ndarray:
        """(D, D) float64, over the count."""
        centre = self._sum / max(1, self.count)
        return self._products / max(1, self.count) - np.outer(centre, centre)


def components(moments: Moments, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` directions of most variance as columns (D, k) of length 1, and which share of the whole each has, (k,). The
    largest number of each is above zero, so that the same vectors lie the same way each time."""
    values, directions = np.linalg.eigh(moments.covariance)  # ascending
    order = np.argsort(-values, kind="stable")[:count]
    chosen = directions[:, order]
    signs = np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(chosen.shape[1])])
    whole = float(np.maximum(values, 0).sum())
    shares = np.maximum(values[order], 0) / whole if whole > 0 else np.zeros(len(order))
    return chosen * np.where(signs == 0, 1, signs), shares
