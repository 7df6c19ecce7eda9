"""Whether probabilities mean what they say: reliability, expected calibration error, and the temperature that mends them.

Sources: Guo et al. 2017, *On Calibration of Modern Neural Networks* (ECE over bins of equal width, temperature scaling); Brier
1950. docs/evaluation.md has the formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from digits.metrics.base import mean_known

BINS = 15
LOWEST, HIGHEST = 0.05, 20.0  # temperatures beyond them are these
MOST_NUMBERS = 500_000  # a temperature is fitted on evenly chosen pictures of so many probabilities
LEAST = float(np.finfo(np.float32).tiny)
Slope = Callable[[float], tuple[float, float]]


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> dict[str, Any]:
    """How often what was said with a `confidence` (n,) in [0, 1] is `right` (n,) bool: `bins` of equal width, (low, high], with
    `count`, mean `confidence` and `accuracy` (None of an empty one), `ece` (mean distance of the two, weighted by count) and
    `mce` (the largest)."""
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins).astype(np.float64)
    sums = [np.bincount(place, weights=values.astype(np.float64), minlength=bins) for values in (confidence, right)]
    said, true = (np.divide(total, count, out=np.full(bins, np.nan), where=count > 0) for total in sums)
    apart = np.nan_to_num(np.abs(said - true))
    edges = np.linspace(0, 1, bins + 1)
    rows = zip(edges[:-1], edges[1:], count, said, true, strict=True)
    return {
        "bins": [
            {"low": float(low), "high": float(high), "count": int(n), "confidence": float(a), "accuracy": float(b)}
            for low, high, n, a, b in rows
        ],
        "ece": float((apart * count).sum() / count.sum()) if count.sum() else float("nan"),
        "mce": float(apart.max()) if count.sum() else float("nan"),
    }


class OneOfMany:
    """One class for each picture: logarithms of probabilities (N, K) and true classes (N,), all finite and known. What is
    said is the most probable class."""

    def __init__(self, probabilities: np.ndarray, labels: np.ndarray) -> None:
        self.logs = np.log(np.maximum(probabilities, LEAST)).astype(np.float64)
        self.labels = labels.astype(np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def chosen(self, rows: Any) -> OneOfMany:
        return OneOfMany(np.exp(self.logs[rows]), self.labels[rows])

    def slope(self, beta: float) -> tuple[float, float]:
        """First and second derivative of the mean loss by β = 1 / T."""
        shares = softmax(beta * self.logs)
        mean = (shares * self.logs).sum(axis=1)
        spread = (shares * np.square(self.logs)).sum(axis=1) - np.square(mean)
        return float((mean - self._own(self.logs)).mean()), float(spread.mean())

    def measured(self, temperature: float) -> dict[str, Any]:
        """`reliability`, `nll` and `brier` (Σ over the classes) of what the temperature makes of it."""
        shares = softmax(self.logs / temperature)
        best = shares.argmax(axis=1)
        own = self._own(shares)
        brier = np.square(shares).sum(axis=1) - 2 * own + 1
        found = reliability(shares.max(axis=1), best == self.labels)
        return {**found, "nll": float(-np.log(np.maximum(own, LEAST)).mean()), "brier": float(brier.mean())}

    def _own(self, values: np.ndarray) -> np.ndarray:
        return values[np.arange(len(self.labels)), self.labels]


class EachByItself:
    """A probability for each label: probabilities (N, K) and whether each is true (N, K) bool, of labels about which all is
    known. What is said is the probability of each label."""

    def __init__(self, probabilities: np.ndarray, truth: np.ndarray) -> None:
        within = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
        self.scores = np.log(within) - np.log1p(-within)
        self.truth = truth.astype(bool)

    def __len__(self) -> int:
        return len(self.truth)

    def chosen(self, rows: Any) -> EachByItself:
        return EachByItself(1 / (1 + np.exp(-self.scores[rows])), self.truth[rows])

    def slope(self, beta: float) -> tuple[float, float]:
        """First and second derivative of the mean loss by β = 1 / T."""
        shares = 1 / (1 + np.exp(-beta * self.scores))
        first = (self.scores * (shares - self.truth)).mean()
        return float(first), float((np.square(self.scores) * shares * (1 - shares)).mean())

    def measured(self, temperature: float) -> dict[str, Any]:
        """`reliability`, `nll` and `brier`, each a mean over all labels of all pictures."""
        shares = 1 / (1 + np.exp(-self.scores / temperature))
        nll = -np.log(np.where(self.truth, shares, 1 - shares)).mean()
        found = reliability(shares.ravel(), self.truth.ravel())
        return {**found, "nll": float(nll), "brier": float(np.square(shares - self.truth).mean())}


Probabilities = OneOfMany | EachByItself


def softmax(logs: np.ndarray) -> np.ndarray:
    """(N, K) float64 that add up to 1."""
    parts = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(parts / parts.sum(axis=1, keepdims=True))


def temperature_of(given: Probabilities) -> float:
    """The T in [`LOWEST`, `HIGHEST`] with the smallest loss when scores are divided by it: the loss is convex in 1 / T, whose
    slope is brought to 0 by Newton's steps, halved where they leave the bracket."""
    low, high, beta = 1 / HIGHEST, 1 / LOWEST, 1.0
    for _ in range(60):
        first, second = given.slope(beta)
        low, high = (beta, high) if first < 0 else (low, beta)
        step = beta - first / second if second > 0 else (low + high) / 2
        new = step if low < step < high else (low + high) / 2
        if abs(new - beta) < 1e-7 * beta:
            break
        beta = new
    return 1 / beta


def calibration(given: Probabilities, *, is_validation: bool, fitted: float | None, fitted_by: str) -> dict[str, Any]:
    """`before` and `after` a temperature (None where there is none) with what `measured` gives, `temperature`, and `how`:
    `validation` (fitted on these pictures, which are the validation split; `after` is measured on the half that a temperature was
    not fitted on), or `given` (fitted before by `fitted_by`, an evaluation of the validation split), or `none`."""
    before = given.measured(1.0)
    found: dict[str, Any] = {"before": before, "after": None, "temperature": None, "how": "none", "fitted_by": ""}
    if len(given) < 4:
        return found
    if is_validation:
        some = _some(given)
        halves = [np.arange(len(some)) % 2 == n for n in (0, 1)]
        others = [temperature_of(some.chosen(half)) for half in halves]
        parts = [some.chosen(half).measured(other) for half, other in zip(halves, reversed(others), strict=True)]
        return {**found, "temperature": temperature_of(some), "how": "validation", "after": _joined(parts)}
    if fitted is None:
        return found
    return {**found, "temperature": fitted, "how": "given", "fitted_by": fitted_by, "after": given.measured(fitted)}


def _some(given: Probabilities) -> Probabilities:
    size = given.logs.size if isinstance(given, OneOfMany) else given.scores.size
    stride = -(-size // MOST_NUMBERS)
    return given if stride <= 1 else given.chosen(np.arange(0, len(given), stride))


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """What was measured of the halves of some pictures, as of all of them."""
    bins: list[dict[str, Any]] = []
    for rows in zip(*(part["bins"] for part in parts), strict=True):
        count = sum(row["count"] for row in rows)
        means = {
            name: sum(row["count"] * row[name] for row in rows if row["count"]) / count if count else float("nan")
            for name in ("confidence", "accuracy")
        }
        bins.append({**rows[0], "count": count, **means})
    total = sum(row["count"] for row in bins)
    apart = [(row["count"], abs(row["confidence"] - row["accuracy"])) for row in bins if row["count"]]
    return {
        "bins": bins,
        "ece": sum(count * distance for count, distance in apart) / total if total else float("nan"),
        "mce": max((distance for _, distance in apart), default=float("nan")),
        **{name: mean_known(np.array([part[name] for part in parts])) for name in ("nll", "brier")},
    }
