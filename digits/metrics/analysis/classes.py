"""Of classes: curves of each against all others, the k best, averages over the classes, calibration, intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from digits.domain.metrics import LOSS
from digits.metrics.accuracy import TOP
from digits.metrics.analysis.base import Analysis, Evaluated
from digits.metrics.base import mean_known
from digits.metrics.calibration import EachByItself, OneOfMany, calibration, reliability
from digits.metrics.curves import Curve, curve_of, described
from digits.metrics.intervals import of_mean, of_share, wilson
from digits.metrics.multi_label import LabelPrecision, never_right
from digits.storage.predictions import MAX_PROBABILITIES, Shares
from digits.utils.values import counted

PLACES = (1, 2, 3, 5, 10)
AT_ONCE = 1 << 24  # scores whose curves are drawn at a time


class ClassAnalysis(Analysis):
    """One class for each picture. A picture whose scores are no numbers is wrong in all of it: at every threshold its own class
    is missed and every other one found. Only calibration leaves it out, for it says nothing; that is said."""

    def __init__(self, class_labels: Sequence[str]) -> None:
        self.class_labels = list(class_labels)

    def intervals(self, done: Evaluated) -> dict[str, Any]:
        known = done.reader.labels() >= 0
        losses = done.reader.losses()[known]
        return {**self._shares(done), LOSS: of_mean(losses)} if known.any() else {}

    def _shares(self, done: Evaluated) -> dict[str, Any]:
        rank = self._rank(done)
        named = {"accuracy": 1, "accuracy_top5": TOP} if len(self.class_labels) > TOP else {"accuracy": 1}
        return {name: of_share(int((rank < k).sum()), len(rank)) for name, k in named.items()}

    def details(self, done: Evaluated, notes: list[str]) -> dict[str, Any]:
        labels = done.reader.labels()
        known = labels >= 0
        if not known.any():
            return {"curves": None, "top_k": [], "averages": None, "calibration": None, "per_class": []}
        true, best, probabilities = labels[known], done.reader.best()[0][known], done.reader.probabilities()
        rank, shares = self._rank(done), None if probabilities is None else probabilities.only(known)
        lost = int((best < 0).sum())
        if lost:
            notes.append(
                f"The scores of {counted(lost, 'picture')} are no numbers: wrong everywhere, and not in the calibration."
            )
        if shares is None:
            notes.append(
                f"Curves and the temperature need the probabilities of all classes, which are kept of at most"
                f" {MAX_PROBABILITIES:,} classes; the model has {len(self.class_labels):,}."
            )
        places = [k for k in PLACES if k < len(self.class_labels)]
        return {
            "curves": None if shares is None else self._curves(shares, true),
            "top_k": [
                {"k": k, "accuracy": float((rank < k).mean()), **of_share(int((rank < k).sum()), len(rank))} for k in places
            ],
            "averages": averages(true, best, len(self.class_labels)),
            "per_class": self._per_class(true, best),
            "calibration": self._calibration(done, shares, true, best, known),
        }

    def _rank(self, done: Evaluated) -> np.ndarray:
        """The place of the true class among those that were kept of each picture of which it is known, (n,); beyond them all
        where it is not among them."""
        table, labels = done.reader.table, done.reader.labels()
        classes = table["classes"].combine_chunks()
        width = classes.type.list_size
        numbers = classes.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)[labels >= 0]
        scores = table["scores"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, width)[labels >= 0]
        true = labels[labels >= 0]
        hit = (numbers == true[:, None]) & ~np.isnan(scores)
        return np.where(hit.any(axis=1), hit.argmax(axis=1), max(width, *PLACES))

    def _curves(self, shares: Shares, true: np.ndarray) -> dict[str, Any]:
        return described(self.class_labels, _curves_of(shares, true))

    def _per_class(self, true: np.ndarray, best: np.ndarray) -> list[dict[str, Any]]:
        size = len(self.class_labels)
        support, made = np.bincount(true, minlength=size), np.bincount(best[best >= 0], minlength=size)
        right = np.bincount(true[true == best], minlength=size)
        rows = zip(self.class_labels, support.tolist(), made.tolist(), right.tolist(), strict=True)
        return [
            {"label": label, "recall": list(wilson(hits, own)), "precision": list(wilson(hits, found))}
            for label, own, found, hits in rows
        ]

    def _calibration(
        self, done: Evaluated, shares: Shares | None, true: np.ndarray, best: np.ndarray, known: np.ndarray
    ) -> dict[str, Any] | None:
        sound = best >= 0
        if not sound.any():
            return None
        if shares is None:
            said = done.reader.best()[1][known][sound]
            before = {**reliability(said, (best == true)[sound]), "nll": None, "brier": None}
            return {"before": before, "after": None, "temperature": None, "how": "none", "fitted_by": ""}
        given = OneOfMany(shares.only(sound), true[sound])
        return calibration(given, is_validation=done.is_validation, fitted=done.temperature, fitted_by=done.fitted_by)


def _curves_of(shares: Shares, true: np.ndarray) -> Iterator[Curve]:
    """The curve of each class, of some classes at a time: memory does not grow with pictures times classes."""
    classes, step = shares.shape[1], max(1, AT_ONCE // max(len(true), 1))
    for start in range(0, classes, step):
        stop = min(start + step, classes)
        one = true[:, None] == np.arange(start, stop)[None]
        scores = never_right(shares.columns(start, stop), one)
        yield from (curve_of(scores[:, k], one[:, k]) for k in range(stop - start))


def averages(true: np.ndarray, best: np.ndarray, classes: int) -> dict[str, float]:
    """Of true and predicted classes (n,), -1 where none is predicted: precision, recall and F1 as means over the classes that
    occur among either (`macro_…`) and weighted by the true ones (`weighted_…`), as scikit-learn's with `zero_division=0`;
    `balanced_accuracy`, the mean recall of the true classes; `cohen_kappa` and `mcc` (Matthews, Gorodkin 2004)."""
    support, made = np.bincount(true, minlength=classes), np.bincount(best[best >= 0], minlength=classes)
    right = np.bincount(true[true == best], minlength=classes)
    rows = {
        "precision": right / np.maximum(made, 1),
        "recall": right / np.maximum(support, 1),
        "f1": 2 * right / np.maximum(made + support, 1),
    }
    occurs, total = (support + made) > 0, float(support.sum())
    found = {f"macro_{name}": float(values[occurs].mean()) for name, values in rows.items()}
    found |= {f"weighted_{name}": float((values * support).sum() / total) for name, values in rows.items()}
    found["balanced_accuracy"] = float(rows["recall"][support > 0].mean())
    missing = total - made.sum()  # pictures without a class: a column of their own
    chance = float((support * made).sum()) / total**2
    agreed = float(right.sum()) / total
    found["cohen_kappa"] = (agreed - chance) / (1 - chance) if chance < 1 else float("nan")
    below = (total**2 - float(np.square(made).sum()) - float(missing**2)) * (total**2 - float(np.square(support).sum()))
    found["mcc"] = (right.sum() * total - float((support * made).sum())) / below**0.5 if below > 0 else float("nan")
    return found


class LabelAnalysis(Analysis):
    """Any number of labels for each picture: a curve of each label by itself, and the calibration of all of them together."""

    def __init__(self, class_labels: Sequence[str], missing: Sequence[int] = ()) -> None:
        self.class_labels, self.missing = list(class_labels), set(missing)

    def details(self, done: Evaluated, notes: list[str]) -> dict[str, Any]:
        metric = next((metric for metric in done.metrics if isinstance(metric, LabelPrecision)), None)
        if metric is None or not metric.kept_batches:
            return {"curves": None, "calibration": None}
        probabilities = np.concatenate([scores for scores, _ in metric.kept_batches])
        truth = np.concatenate([real for _, real in metric.kept_batches])
        scores = never_right(probabilities, truth)
        told = [k for k in range(len(self.class_labels)) if k not in self.missing]
        curves = [curve_of(scores[:, k], truth[:, k]) if k in told else None for k in range(len(self.class_labels))]
        sound = np.isfinite(probabilities).all(axis=1)
        if not sound.all():
            lost = int((~sound).sum())
            notes.append(
                f"The scores of {counted(lost, 'picture')} are no numbers: wrong everywhere, and not in the calibration."
            )
        given = EachByItself(probabilities[sound][:, told], truth[sound][:, told])
        exact = (np.where(np.isfinite(probabilities), probabilities >= np.asarray(metric.thresholds), ~truth) == truth)[:, told]
        return {
            "curves": described(self.class_labels, curves),
            "averages": {
                "exact_match": float(exact.all(axis=1).mean()),
                "hamming_loss": mean_known(1.0 - exact.mean(axis=1)),
            },
            "calibration": calibration(given, is_validation=done.is_validation, fitted=done.temperature, fitted_by=done.fitted_by)
            if len(given) and told
            else None,
        }
