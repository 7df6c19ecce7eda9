"""Whether probabilities mean what they say: reliability, expected calibration error, and the temperature that mends them.

Sources: Guo et al. 2017, *On Calibration of Modern Neural Networks* (ECE over bins of equal width, temperature scaling); Brier
1950. docs/evaluation.md has the formulas.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from digits.metrics.base import mean_known

BINS = 15
LOWEST, HIGHEST = 0.05, 20.0  # temperatures beyond them are these
MOST_NUMBERS = 500_000  # a temperature is fitted on evenly chosen pictures of so many probabilities,
FEWEST_PICTURES = 2_000  # but not on fewer pictures
AT_ONCE = 1 << 20  # probabilities that are measured at a time
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


class Rows(Protocol):
    """Probabilities (N, K) of which some rows are read at a time: an array, or a file."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: Any, /) -> np.ndarray: ...


class OneOfMany:
    """One class for each picture: probabilities (N, K) and true classes (N,), all finite and known. What is said is the most
    probable class. Only what a temperature is fitted on is in memory as a whole."""

    def __init__(self, probabilities: Rows, labels: np.ndarray) -> None:
        self.probabilities = probabilities
        self.labels = labels.astype(np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def numbers(self) -> int:
        """How many a picture has."""
        return self.probabilities.shape[1]

    @functools.cached_property
    def logs(self) -> np.ndarray:
        """Logarithms of all probabilities, (N, K) float64."""
        return _logs(self.probabilities[np.arange(len(self))])

    def chosen(self, rows: np.ndarray) -> OneOfMany:
        """Those of a mask (N,) or of ascending numbers (n,)."""
        numbers = np.arange(len(self))[rows]
        return OneOfMany(self.probabilities[numbers], self.labels[numbers])

    def slope(self, beta: float) -> tuple[float, float]:
        """First and second derivative of the mean loss by β = 1 / T."""
        shares = softmax(beta * self.logs)
        mean = (shares * self.logs).sum(axis=1)
        spread = (shares * np.square(self.logs)).sum(axis=1) - np.square(mean)
        own = self.logs[np.arange(len(self)), self.labels]
        return float((mean - own).mean()), float(spread.mean())

    def measured(self, temperature: float) -> dict[str, Any]:
        """`reliability`, `nll` and `brier` (Σ over the classes) of what the temperature makes of it."""
        confidence, own, squares = (np.zeros(len(self)) for _ in range(3))
        right = np.zeros(len(self), bool)
        step = max(1, AT_ONCE // self.numbers)
        for start in range(0, len(self), step):
            rows = np.arange(start, min(start + step, len(self)))
            shares = softmax(_logs(self.probabilities[rows]) / temperature)
            confidence[rows], squares[rows] = shares.max(axis=1), np.square(shares).sum(axis=1)
            right[rows] = shares.argmax(axis=1) == self.labels[rows]
            own[rows] = shares[np.arange(len(rows)), self.labels[rows]]
        nll = float(-np.log(np.maximum(own, LEAST)).mean())
        return {**reliability(confidence, right), "nll": nll, "brier": float((squares - 2 * own + 1).mean())}


class EachByItself:
    """A probability for each label: probabilities (N, K) and whether each is true (N, K) bool, of labels about which all is
    known. What is said is the probability of each label."""

    def __init__(self, probabilities: np.ndarray, truth: np.ndarray) -> None:
        within = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
        self.scores = np.log(within) - np.log1p(-within)
        self.truth = truth.astype(bool)

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def numbers(self) -> int:
        """How many a picture has."""
        return self.truth.shape[1]

    def chosen(self, rows: np.ndarray) -> EachByItself:
        """Those of a mask (N,) or of ascending numbers (n,)."""
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


def _logs(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, LEAST)).astype(np.float64)


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
    most = max(MOST_NUMBERS // given.numbers, FEWEST_PICTURES)
    stride = -(-len(given) // most)
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
