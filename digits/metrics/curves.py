"""What is found rightly and wrongly from each score on: the points of ROC and precision-recall curves, and what lies under
them.

Holds: pictures with the same score are on the same side of every threshold, so a curve has one point for each distinct score. A
score of minus infinity is never found, one of plus infinity at every threshold (see `multi_label.never_right`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from digits.metrics.base import mean_known

MOST_POINTS = 200  # of one curve that a page gets
MOST_OF_ALL = 6000  # of all curves of an evaluation together
FEWEST_POINTS = 20


@dataclass(frozen=True)
class Curve:
    """From high thresholds to low: of the scores (P,) what is found `right` and `wrong` (P,) when everything from each on
    counts, of `positives` true ones and `negatives` others. The first point is above all scores: its threshold is plus
    infinity."""

    thresholds: np.ndarray
    right: np.ndarray
    wrong: np.ndarray
    positives: int
    negatives: int

    @property
    def roc_auc(self) -> float:
        """The area under sensitivity over 1 − specificity, by trapezoids (as scikit-learn's `roc_auc_score`); NaN where there
        are only true or only false ones."""
        if not self.positives or not self.negatives:
            return float("nan")
        across = np.concatenate([[0.0], self.wrong / self.negatives, [1.0]])
        up = np.concatenate([[0.0], self.right / self.positives])
        up = np.append(up, up[-1])
        return float(np.sum(np.diff(across) * (up[1:] + up[:-1]) / 2))

    @property
    def precision(self) -> np.ndarray:
        """(P,), NaN where nothing is found."""
        found = self.right + self.wrong
        return np.divide(self.right, found, out=np.full(len(found), np.nan), where=found > 0)

    @property
    def average_precision(self) -> float:
        """Σ (Rₙ − Rₙ₋₁) Pₙ (as scikit-learn's `average_precision_score`); NaN without a true one."""
        if not self.positives:
            return float("nan")
        recall = np.append(0.0, self.right / self.positives)
        return float(np.sum(np.diff(recall) * np.nan_to_num(self.precision)))

    def points(self, most: int = MOST_POINTS) -> list[list[float]]:
        """`[threshold, right, wrong]` of at most `most` points, evenly along the ROC curve, the ends among them."""
        chosen = np.arange(len(self.thresholds))
        if len(chosen) > most:
            way = self.right / max(self.positives, 1) + self.wrong / max(self.negatives, 1)
            at = np.searchsorted(way, np.linspace(way[0], way[-1], most - 2))
            chosen = np.unique(np.concatenate([[0, 1], at, [len(chosen) - 1]]))
        rows = zip(self.thresholds[chosen], self.right[chosen], self.wrong[chosen], strict=True)
        return [[float(threshold), int(right), int(wrong)] for threshold, right, wrong in rows]


def curve_of(scores: np.ndarray, truth: np.ndarray, objects: int | None = None) -> Curve:
    """The curve of `scores` (N,) for `truth` (N,) bool. `objects` is how many true ones there are, where not all have a
    score."""
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], truth[order] & (scores[order] > -np.inf)
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1) if len(ranked) else np.zeros(0, int)
    last = last[ranked[last] > -np.inf]
    right, seen = np.cumsum(hits)[last], last + 1
    above = ranked[last] == np.inf  # found at every threshold, so before the first
    start = (int(right[above][-1]), int((seen - right)[above][-1])) if above.any() else (0, 0)
    keep = ~above
    positives = int(truth.sum()) if objects is None else objects
    return Curve(
        np.append(np.inf, ranked[last][keep]).astype(np.float64),
        np.append(start[0], right[keep]),
        np.append(start[1], (seen - right)[keep]),
        positives,
        int((~truth).sum()),
    )


def described(names: Sequence[str], curves: Iterable[Curve | None], *, has_negatives: bool = True) -> dict[str, Any]:
    """Curves of classes as JSON: `classes` with `label`, `positives`, `negatives`, `auc`, `ap` and `points`, and the means of
    the areas over the classes that have one (`macro_…`, and weighted by their true ones, `weighted_…`). None stands for a class
    of which nothing is known; without negatives (boxes) there is no ROC curve."""
    most = int(np.clip(MOST_OF_ALL // max(len(names), 1), FEWEST_POINTS, MOST_POINTS))
    rows: list[dict[str, Any]] = []
    for name, curve in zip(names, curves, strict=True):
        if curve is not None:
            auc = curve.roc_auc if has_negatives else float("nan")
            area = {"auc": auc, "ap": curve.average_precision, "points": curve.points(most)}
            rows.append({"label": name, "positives": curve.positives, "negatives": curve.negatives, **area})
    weights = np.array([row["positives"] for row in rows], float)
    means: dict[str, float] = {}
    for name in ("auc", "ap"):
        values = np.array([row[name] for row in rows], float)
        known = ~np.isnan(values)
        means[f"macro_{name}"] = mean_known(values)
        total = float(weights[known].sum())
        means[f"weighted_{name}"] = float((values[known] * weights[known]).sum() / total) if total else float("nan")
    return {"classes": rows, **means, "has_negatives": has_negatives}


def effect(row: dict[str, Any], threshold: float) -> dict[str, float | int | None]:
    """What a threshold does to one of the `classes` of `described`: `right`, `wrong` and `missed` and their `precision`,
    `recall`, `f1`, at the lowest known point that is not below it (`counted_at`)."""
    points = row["points"]
    fitting = [point for point in points if point[0] is None or point[0] >= threshold]
    at, right, wrong = fitting[-1] if fitting else points[0]
    missed = row["positives"] - right
    found = right + wrong
    return {
        "counted_at": at,
        "right": right,
        "wrong": wrong,
        "missed": missed,
        "precision": right / found if found else None,
        "recall": right / row["positives"] if row["positives"] else None,
        "f1": 2 * right / (found + row["positives"]) if found + row["positives"] else None,
    }
