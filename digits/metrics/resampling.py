"""Metrics of a whole split measured anew on other mixtures of its pictures, from the numbers that training keeps of each.

A corpus metric is no mean over pictures: sums over pictures (or ranked detections) are put together again for each mixture.
Names of the columns are those of `Metric.of_pictures`. Holds: with every picture once, the value is the metric's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from digits.metrics.accuracy import TOP
from digits.metrics.base import mean_known, ratios
from digits.metrics.box_matches import THRESHOLDS
from digits.storage.validation_pictures import Ragged

RESAMPLES = 1000
MOST_GROUPS = 2000  # more pictures are drawn in groups made at random
MOST_WORK = 20_000_000  # detections looked at for one value: beyond it fewer resamples, never under …
FEWEST_RESAMPLES = 100
AT_ONCE = 400  # pictures that are measured alone together
SCORE = 0.5
RECALLS = np.linspace(0, 1, 101)


Columns = Mapping[str, Any]  # (N,), (N, K) or Ragged


@dataclass(frozen=True)
class Draws:
    """How often each picture counts in each of B resamples: `weights` (B, G) of groups, `groups` (N,) the group of a picture."""

    weights: np.ndarray
    groups: np.ndarray

    def sums(self, numbers: np.ndarray) -> np.ndarray:
        """Sums (B, …) over pictures of numbers (N, …), each as often as its picture counts."""
        whole = np.zeros((self.weights.shape[1], *numbers.shape[1:]))
        np.add.at(whole, self.groups, numbers)
        return np.tensordot(self.weights, whole, axes=1)


def once(pictures: int) -> Draws:
    """Every picture once."""
    return Draws(np.ones((1, 1)), np.zeros(pictures, np.int64))


def draws(pictures: int, resamples: int = RESAMPLES, seed: int = 0) -> Draws:
    """Pictures drawn with replacement: the same for every run that is compared, which makes the comparison a paired one."""
    rng = np.random.default_rng(seed)
    groups = np.arange(pictures) if pictures <= MOST_GROUPS else rng.permutation(pictures) % MOST_GROUPS
    count = min(pictures, MOST_GROUPS)
    return Draws(rng.multinomial(count, np.full(count, 1 / count), resamples).astype(np.float64), groups)


def resampled(name: str, columns: Columns, drawn: Draws) -> np.ndarray:
    """The metric `name` of each resample: float64 (B,), NaN where nothing counts. Average precision may be that of the first
    resamples alone where there are very many detections; the rest are NaN. KeyError of a metric that cannot be had."""
    return MEASURES[name](columns, drawn)


def swap_test(name: str, first: Columns, second: Columns, pictures: int, swaps: int = RESAMPLES) -> float:
    """Two-sided p that two runs on the same pictures differ in a metric, by exchanging their answers picture by picture at random
    (Fisher's randomization test; Pitman 1937): of equal models it is below 5 % in one case of twenty at most, whatever the
    metric and however few the pictures. 0 where none of the exchanges did as much as what was seen."""
    groups = draws(pictures, 1).groups
    count = int(groups.max(initial=-1)) + 1
    drawn = np.random.default_rng(1).integers(0, 2, (swaps, count)).astype(np.float64)
    both = {column: _joined(first[column], second[column], pictures) for column in first if column in second}
    joined = np.concatenate([groups, groups + count])
    as_they_are = np.concatenate([np.ones((1, count)), np.zeros((1, count))], axis=1)
    ways = np.concatenate([as_they_are, np.concatenate([drawn, 1 - drawn], axis=1)])
    apart = resampled(name, both, Draws(1 - ways, joined)) - resampled(name, both, Draws(ways, joined))
    made = apart[1:][np.isfinite(apart[1:])]
    beyond = int((np.abs(made) >= abs(apart[0]) * (1 - 1e-12)).sum())
    return (1 + beyond) / (1 + len(made)) if beyond else 0.0


def _joined(one: Any, other: Any, pictures: int) -> Any:
    """A column (2 N, …) of two runs' pictures."""
    if isinstance(one, Ragged):
        values = np.concatenate([one.values, other.values])
        return Ragged(values, np.concatenate([one.pictures, other.pictures + pictures]))
    return np.concatenate([one, other])


def picture_values(name: str, columns: Columns, pictures: int) -> np.ndarray:
    """The metric `name` of each picture alone, float64 (N,), NaN where it has none; of an accuracy whether it is right, of
    average precisions the F1 of the boxes with a score of at least 0.5 at IoU .5."""
    if {"rank"} <= NEEDED[name]:
        return (columns["rank"] < (1 if name == "accuracy" else TOP)).astype(np.float64)
    if NEEDED[name] == _BOXES:
        shown = (columns["scores"].values >= SCORE) & (columns["void"].values & 1 == 0)
        owners = columns["scores"].pictures
        right = np.bincount(owners[shown & (columns["right"].values & 1 == 1)], minlength=pictures)
        sizes = np.bincount(owners[shown], minlength=pictures) + np.bincount(columns["objects"].pictures, minlength=pictures)
        return ratios(2.0 * right, sizes.astype(np.float64))
    values = [np.zeros(0)]
    for start in range(0, pictures, AT_ONCE):
        rows = np.arange(start, min(start + AT_ONCE, pictures))
        some = {n: c.chosen(rows) if isinstance(c, Ragged) else c[rows] for n, c in columns.items()}
        values.append(resampled(name, some, Draws(np.eye(len(rows)), np.arange(len(rows)))))
    return np.concatenate(values)


def measurable(columns: Columns) -> list[str]:
    """Metrics that these columns are enough for."""
    return [name for name, needed in NEEDED.items() if needed <= set(columns)]


def _hits(places: int) -> Callable[[Columns, Draws], np.ndarray]:
    def measure(columns: Columns, drawn: Draws) -> np.ndarray:
        hits = (columns["rank"] < places).astype(np.float64)
        top, bottom = drawn.sums(np.stack([hits, np.ones_like(hits)], axis=1)).T
        return ratios(top, bottom)

    return measure


def _by_class(columns: Columns, numbers: np.ndarray, drawn: Draws) -> np.ndarray:
    """Sums (B, K) of numbers (T,) that belong to `classes` (T,) of pictures."""
    classes, pictures = columns["classes"].values, columns["classes"].pictures
    count = int(classes.max(initial=-1)) + 1
    whole = np.zeros((drawn.weights.shape[1], count))
    np.add.at(whole, (drawn.groups[pictures], classes), numbers)
    return drawn.weights @ whole


def _overlap(is_dice: bool, of_pictures: bool) -> Callable[[Columns, Draws], np.ndarray]:
    def measure(columns: Columns, drawn: Draws) -> np.ndarray:
        shared, pixels = (columns[name].values.astype(np.float64) for name in ("shared", "pixels"))
        top, bottom = (2 * shared, pixels) if is_dice else (shared, pixels - shared)
        if of_pictures:
            top, bottom = top / np.maximum(bottom, 1), np.ones_like(top)
        tops, bottoms = _by_class(columns, top, drawn), _by_class(columns, bottom, drawn)
        return _mean_known(np.divide(tops, bottoms, out=np.full(tops.shape, np.nan), where=bottoms > 0))

    return measure


def _pixel_accuracy(columns: Columns, drawn: Draws) -> np.ndarray:
    shared, labelled = (_by_class(columns, columns[n].values.astype(np.float64), drawn) for n in ("shared", "labelled"))
    return ratios(shared.sum(axis=1), labelled.sum(axis=1))


def _error(name: str) -> Callable[[Columns, Draws], np.ndarray]:
    def measure(columns: Columns, drawn: Draws) -> np.ndarray:
        top, bottom = drawn.sums(np.stack([columns[name], columns["numbers"]], axis=1)).T
        means = ratios(top, bottom)
        return means if name == "absolute" else np.sqrt(means)

    return measure


def _mean(name: str) -> Callable[[Columns, Draws], np.ndarray]:
    def measure(columns: Columns, drawn: Draws) -> np.ndarray:
        values = columns[name]
        known = ~np.isnan(values) if name == "ssim" else np.ones(len(values), bool)
        top, bottom = drawn.sums(np.stack([np.where(known, values, 0.0), known], axis=1)).T
        return ratios(top, bottom)

    return measure


def _mean_known(values: np.ndarray) -> np.ndarray:
    """Means (B,) over those of (B, K) that are not NaN."""
    known = ~np.isnan(values)
    return ratios(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64))


def _f1(micro: bool) -> Callable[[Columns, Draws], np.ndarray]:
    def measure(columns: Columns, drawn: Draws) -> np.ndarray:
        found, true = columns["found"].astype(np.float64), columns["true"].astype(np.float64)
        hits, sizes = drawn.sums(2 * found * true), drawn.sums(found + true)  # (B, K)
        if micro:
            return ratios(hits.sum(axis=1), sizes.sum(axis=1))
        return _mean_known(np.divide(hits, sizes, out=np.full(hits.shape, np.nan), where=sizes > 0))

    return measure


def _label_precision(columns: Columns, drawn: Draws) -> np.ndarray:
    """`mean_ap`: see `metrics.multi_label.average_precision`."""
    scores, true = columns["scores"], columns["true"] > 0
    orders = [np.argsort(-scores[:, k], kind="stable") for k in range(scores.shape[1])]
    values = np.full(len(drawn.weights), np.nan)
    for b in range(_affordable(drawn, scores.size)):
        counts = drawn.weights[b][drawn.groups]
        values[b] = mean_known(np.array([_average(scores[o, k], true[o, k], counts[o]) for k, o in enumerate(orders)]))
    return values


def _average(scores: np.ndarray, true: np.ndarray, counts: np.ndarray) -> float:
    """Average precision of scores (N,) from high to low, each counted so often; ties together."""
    hits, seen = np.cumsum(counts * (true & (scores > -np.inf))), np.cumsum(counts)
    positives = float((counts * true).sum())
    if not positives:
        return float("nan")
    last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)
    hits, seen = hits[last], seen[last]
    precision = np.divide(hits, seen, out=np.zeros(len(seen)), where=seen > 0)
    return float(np.sum(np.diff(hits / positives, prepend=0.0) * precision))


def _box_precision(places: tuple[int, ...]) -> Callable[[Columns, Draws], np.ndarray]:
    """Mean average precision over thresholds of IoU (their places in `THRESHOLDS`) and the classes that have objects."""

    def measure(columns: Columns, drawn: Draws) -> np.ndarray:
        objects, scores = columns["objects"], columns["scores"].values
        order = np.argsort(-scores, kind="stable")
        classes = columns["classes"].values[order]
        by_class = [order[classes == k] for k in range(int(objects.values.max(initial=-1)) + 1)]
        wanted = [objects.pictures[objects.values == k] for k in range(len(by_class))]
        values = np.full(len(drawn.weights), np.nan)
        for b in range(_affordable(drawn, len(scores) * len(places) + 2000 * len(by_class) * len(places))):
            counts = drawn.weights[b][drawn.groups]
            found = [
                _interpolated(columns, rows, counts, float(counts[pictures].sum()), place)
                for rows, pictures in zip(by_class, wanted, strict=True)
                for place in places
            ]
            values[b] = mean_known(np.array(found))
        return values

    return measure


def _interpolated(columns: Columns, rows: np.ndarray, counts: np.ndarray, objects: float, place: int) -> float:
    """COCO's average precision of one class at one threshold: precision at 101 recalls, each the highest at that or more."""
    if not objects:
        return float("nan")
    often = counts[columns["scores"].pictures[rows]] * (columns["void"].values[rows] >> place & 1 == 0)
    right = columns["right"].values[rows] >> place & 1
    hits, seen = np.cumsum(often * right), np.cumsum(often)
    precision = np.divide(hits, seen, out=np.zeros(len(seen)), where=seen > 0)
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best[np.searchsorted(hits / objects, RECALLS, side="left")].mean())


def _affordable(drawn: Draws, work: int) -> int:
    """How many of the resamples are made, of so much work each."""
    return min(len(drawn.weights), max(FEWEST_RESAMPLES, MOST_WORK // max(work, 1)))


MEASURES: dict[str, Callable[[Columns, Draws], np.ndarray]] = {
    "accuracy": _hits(1),
    "accuracy_top5": _hits(TOP),
    "mean_dice": _overlap(is_dice=True, of_pictures=False),
    "mean_dice_pictures": _overlap(is_dice=True, of_pictures=True),
    "mean_iou": _overlap(is_dice=False, of_pictures=False),
    "mean_iou_pictures": _overlap(is_dice=False, of_pictures=True),
    "pixel_accuracy": _pixel_accuracy,
    "mae": _error("absolute"),
    "rmse": _error("squared"),
    "psnr": _mean("psnr"),
    "ssim": _mean("ssim"),
    "mean_ap": _label_precision,
    "f1_macro": _f1(micro=False),
    "f1_micro": _f1(micro=True),
    "map": _box_precision(tuple(range(len(THRESHOLDS)))),
    "map50": _box_precision((0,)),
    "map75": _box_precision((5,)),
}
_OVERLAP, _LABELS = {"classes", "shared", "pixels", "labelled"}, {"scores", "true", "found"}
_BOXES = {"scores", "classes", "right", "void", "objects"}
NEEDED: dict[str, set[str]] = {
    "accuracy": {"rank"},
    "accuracy_top5": {"rank"},
    **dict.fromkeys(("mean_dice", "mean_dice_pictures", "mean_iou", "mean_iou_pictures", "pixel_accuracy"), _OVERLAP),
    "mae": {"absolute", "numbers"},
    "rmse": {"squared", "numbers"},
    "psnr": {"psnr"},
    "ssim": {"ssim"},
    **dict.fromkeys(("mean_ap", "f1_macro", "f1_micro"), _LABELS),
    **dict.fromkeys(("map", "map50", "map75"), _BOXES),
}
