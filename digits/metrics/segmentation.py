"""Dice and IoU of index maps, pooled over all pixels and as mean over pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from digits.domain.classes import NO_CLASS
from digits.domain.datasets import IGNORED
from digits.metrics.base import MAX_CLASSES_SHOWN, Metric, PictureColumns, mean_known, ratio, ratios


class Overlap(Metric):
    """Dice and IoU of index maps, pooled over all pixels and as mean over pictures, and `pixel_accuracy`.

    A class that is neither in a picture nor in its prediction does not count for that picture. `mean_dice`, `mean_iou` are
    means over classes of the pooled values, `…_pictures` means over classes of the means over pictures; `dice/<label>`,
    `iou/<label>`, `dice_pictures/<label>` are those of one class. Pixels labelled `ignored` do not count. A predicted pixel
    of `NO_CLASS` (255 in a map of bytes, which has at most 255 classes) is wrong: it misses the class that it is labelled with.
    """

    def __init__(self, class_labels: Sequence[str], ignored: int = IGNORED) -> None:
        self.labels = list(class_labels)
        self.ignored = ignored
        k = len(self.labels)
        self.totals = np.zeros(k * (k + 1) + 3 * k)
        self.pictures: list[np.ndarray] = []  # (4, n) int64 of each picture: see `of_pictures`

    def update(self, outputs: np.ndarray, labels: np.ndarray) -> None:
        """Add a batch: `outputs` scores (N, K, H, W) or predicted classes (N, H, W); `labels` classes (N, H, W), integers."""
        k = len(self.labels)
        predicted = best_class(outputs[:, :k], axis=1) if outputs.ndim == 4 else outputs  # (N, H, W)
        for picture, truth in zip(predicted, labels, strict=True):
            counts = self._confusion(picture.ravel(), truth.ravel())  # (K, K + 1): truth by prediction
            inter, sizes = np.diag(counts), counts[:, :k].sum(axis=0) + counts.sum(axis=1)
            seen = sizes > 0
            dice = np.where(seen, 2 * inter / np.maximum(sizes, 1), 0)
            iou = np.where(seen, inter / np.maximum(sizes - inter, 1), 0)
            self.totals += np.concatenate([counts.ravel(), seen, dice, iou])
            if self.keeps:
                found = np.flatnonzero(seen)
                self.pictures.append(np.stack([found, inter[found], sizes[found], counts.sum(axis=1)[found]]).astype(np.int64))

    def kept(self) -> list[Any]:
        return self.pictures

    def take_kept(self, kept: list[Any]) -> None:
        self.pictures = kept

    def of_pictures(self, chosen: np.ndarray) -> PictureColumns:
        """Of the classes that are in a picture or its prediction: `classes`, `shared` pixels that are found right, `pixels`
        labelled plus those predicted, `labelled` pixels."""
        rows = [self.pictures[n] for n in chosen]
        return {name: [row[i] for row in rows] for i, name in enumerate(("classes", "shared", "pixels", "labelled"))}

    def compute(self) -> dict[str, float]:
        k = len(self.labels)
        counts = self.totals[: k * (k + 1)].reshape(k, k + 1)  # truth by prediction, the last of no class
        seen, dice_sum, iou_sum = self.totals[k * (k + 1) :].reshape(3, k)
        inter, sizes = np.diag(counts), counts[:, :k].sum(axis=0) + counts.sum(axis=1)
        pooled_dice, pooled_iou = ratios(2 * inter, sizes), ratios(inter, sizes - inter)
        dice_pictures, iou_pictures = ratios(dice_sum, seen), ratios(iou_sum, seen)
        values = {
            "mean_iou": mean_known(pooled_iou),
            "mean_iou_pictures": mean_known(iou_pictures),
            "mean_dice": mean_known(pooled_dice),
            "mean_dice_pictures": mean_known(dice_pictures),
            "pixel_accuracy": ratio(inter.sum(), counts.sum()),
        }
        if k <= MAX_CLASSES_SHOWN:
            for i, label in enumerate(self.labels):
                values[f"dice/{label}"] = float(pooled_dice[i])
                values[f"dice_pictures/{label}"] = float(dice_pictures[i])
                values[f"iou/{label}"] = float(pooled_iou[i])
        return values

    def _confusion(self, predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
        k = len(self.labels)
        kept = (truth != self.ignored) & (truth >= 0) & (truth < k)
        made = predicted[kept].astype(np.int64)
        made = np.where((made < 0) | (made >= k), k, made)
        joined = truth[kept].astype(np.int64) * (k + 1) + made
        return np.bincount(joined, minlength=k * (k + 1)).reshape(k, k + 1).astype(np.float64)


def best_class(scores: np.ndarray, axis: int) -> np.ndarray:
    """The class of the highest score, int64, of scores (…, K, …) along `axis`; `NO_CLASS` where one of them is NaN or plus
    infinity."""
    return np.where((scores < np.inf).all(axis=axis), scores.argmax(axis=axis), NO_CLASS)


def dice_of_picture(
    predicted: np.ndarray, truth: np.ndarray, class_labels: Sequence[str], ignored: int = IGNORED
) -> float | None:
    """`mean_dice` of one picture, classes (H, W) against classes (H, W): the mean over the classes, a background as well, that
    are in either; None where no pixel counts."""
    metric = Overlap(class_labels, ignored)
    metric.update(predicted[None], truth[None])
    value = metric.compute()["mean_dice"]
    return value if np.isfinite(value) else None
