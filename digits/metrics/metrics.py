"""Metrics over a whole validation set, in NumPy, the same for every engine.

Each metric keeps `totals`, a float64 vector of plain sums: adding the vectors of several processes gives the metric of all
their samples. Accuracies, Dice and IoU are fractions in [0, 1]; errors are in the label's units.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from digits.domain.datasets import IGNORED
from digits.domain.metrics import default_best_metric, is_lower_better

__all__ = [
    "Accuracy",
    "Errors",
    "Metric",
    "Overlap",
    "PictureQuality",
    "better",
    "default_best_metric",
    "is_lower_better",
    "metrics_for",
    "ssim",
]

MAX_CLASSES_SHOWN = 32  # per-class values of more classes would drown the charts
SSIM_SIGMA = 1.5
SSIM_RADIUS = 5  # an 11×11 window, as the paper (Wang 2004) has it


class Metric(ABC):
    """Sums over samples. `kinds` names what `compute` gives and its kind (`accuracy` or `other`)."""

    totals: np.ndarray

    @abstractmethod
    def update(self, outputs: np.ndarray, labels: np.ndarray) -> None:
        """Add a batch: raw outputs (N, …) float32 and labels (N, …), both in the units of the labels."""

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """The metrics of everything added; NaN where nothing was."""

    @property
    def kind(self) -> str:
        return "accuracy"


class Accuracy(Metric):
    """`accuracy` (top-1) and, with more than five classes, `accuracy_top5`: the share of samples whose class has a score
    among the highest one or five. Scores beyond `classes` do not count; ties go to the lower class."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.totals = np.zeros(3)

    def update(self, outputs: np.ndarray, labels: np.ndarray) -> None:
        scores = outputs[:, : self.classes].reshape(len(outputs), -1)
        rows = np.arange(len(labels))
        own = scores[rows, labels][:, None]
        earlier = np.arange(scores.shape[1])[None, :] < labels[:, None]
        rank = (scores > own).sum(axis=1) + ((scores == own) & earlier).sum(axis=1)
        self.totals += (len(labels), (rank < 1).sum(), (rank < 5).sum())

    def compute(self) -> dict[str, float]:
        count, first, five = self.totals
        values = {"accuracy": _ratio(first, count)}
        return values | ({"accuracy_top5": _ratio(five, count)} if self.classes > 5 else {})


class Overlap(Metric):
    """Dice and IoU of index maps, pooled over all pixels and as mean over pictures, and `pixel_accuracy`.

    A class that is neither in a picture nor in its prediction does not count for that picture. `mean_dice`, `mean_iou` are
    means over classes of the pooled values, `…_pictures` means over classes of the means over pictures; `dice/<label>`,
    `iou/<label>`, `dice_pictures/<label>` are those of one class. Pixels labelled `ignored` do not count.
    """

    def __init__(self, class_labels: Sequence[str], ignored: int = IGNORED) -> None:
        self.labels = list(class_labels)
        self.ignored = ignored
        k = len(self.labels)
        self.totals = np.zeros(k * k + 3 * k)

    def update(self, outputs: np.ndarray, labels: np.ndarray) -> None:
        """`outputs`: scores (N, K, H, W) or predicted classes (N, H, W); `labels`: (N, H, W)."""
        k = len(self.labels)
        predicted = outputs[:, :k].argmax(axis=1) if outputs.ndim == 4 else outputs
        for picture, truth in zip(predicted, labels, strict=True):
            counts = self._confusion(picture.ravel(), truth.ravel())
            inter, sizes = np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1)
            seen = sizes > 0
            dice = np.where(seen, 2 * inter / np.maximum(sizes, 1), 0)
            iou = np.where(seen, inter / np.maximum(sizes - inter, 1), 0)
            self.totals += np.concatenate([counts.ravel(), seen, dice, iou])

    def compute(self) -> dict[str, float]:
        k = len(self.labels)
        counts = self.totals[: k * k].reshape(k, k)
        seen, dice_sum, iou_sum = self.totals[k * k :].reshape(3, k)
        inter, sizes = np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1)
        pooled_dice, pooled_iou = _ratios(2 * inter, sizes), _ratios(inter, sizes - inter)
        dice_pictures, iou_pictures = _ratios(dice_sum, seen), _ratios(iou_sum, seen)
        values = {
            "mean_iou": _mean(pooled_iou),
            "mean_iou_pictures": _mean(iou_pictures),
            "mean_dice": _mean(pooled_dice),
            "mean_dice_pictures": _mean(dice_pictures),
            "pixel_accuracy": _ratio(inter.sum(), counts.sum()),
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
        joined = truth[kept].astype(np.int64) * k + predicted[kept].astype(np.int64)
        return np.bincount(joined, minlength=k * k).reshape(k, k).astype(np.float64)


class Errors(Metric):
    """`mae`, `rmse` and `r2` over all numbers of all samples (R²: 1 − residual over total sum of squares)."""

    def __init__(self) -> None:
        self.totals = np.zeros(5)

    def update(self, outputs: np.ndarray, labels: np.ndarray) -> None:
        truth = labels.astype(np.float64)
        error = outputs.reshape(labels.shape).astype(np.float64) - truth
        self.totals += (error.size, np.abs(error).sum(), np.square(error).sum(), truth.sum(), np.square(truth).sum())

    def compute(self) -> dict[str, float]:
        count, absolute, squared, total, total_squared = self.totals
        spread = total_squared - total * _ratio(total, count)
        return {
            "mae": _ratio(absolute, count),
            "rmse": float(np.sqrt(_ratio(squared, count))),
            "r2": 1.0 - squared / spread if spread > 0 else float("nan"),
        }

    @property
    def kind(self) -> str:
        return "other"


class PictureQuality(Metric):
    """`psnr` (decibel) and `ssim` of picture outputs, each as mean over pictures; `peak` is the value of full intensity.

    SSIM: Wang et al. 2004, Gaussian window 11×11 with sigma 1.5, borders reflected; left out where a side has under 6.
    """

    def __init__(self, peak: float) -> None:
        self.peak = peak
        self.totals = np.zeros(4)

    def update(self, outputs: np.ndarray, labels: np.ndarray) -> None:
        for made, truth in zip(outputs.astype(np.float64), labels.astype(np.float64), strict=True):
            error = max(float(np.mean(np.square(made - truth))), 1e-12 * self.peak**2)
            fits = min(truth.shape[-2:]) > SSIM_RADIUS
            similarity = ssim(made, truth, self.peak) if fits else 0.0
            self.totals += (1, 10 * np.log10(self.peak**2 / error), fits, similarity)

    def compute(self) -> dict[str, float]:
        count, psnr, fitting, similarity = self.totals
        return {"psnr": _ratio(psnr, count)} | ({"ssim": _ratio(similarity, fitting)} if fitting else {})

    @property
    def kind(self) -> str:
        return "other"


def metrics_for(
    task: str,
    label_kind: str,
    label_shape: tuple[int, ...] | None,
    class_labels: Sequence[str],
    ignored: int = IGNORED,
) -> list[Metric]:
    """The metrics a task is judged by. `PictureQuality` counts from 0 to 1: pass it scaled pictures. Pixels of the value
    `ignored` in maps of classes do not count."""
    if task == "segmentation" and class_labels:
        return [Overlap(class_labels, ignored)]
    if label_kind == "boxes":
        from digits.metrics.average_precision import BoxPrecision  # which builds on what is above

        return [BoxPrecision(class_labels)]
    if label_kind == "index" and class_labels:
        return [Accuracy(len(class_labels))]
    if label_kind in ("index", "vector", "array", "map"):
        picture = label_shape is not None and len(label_shape) == 3 and min(label_shape[1:]) > 1
        return [Errors(), PictureQuality(1.0)] if picture and task == "processing" else [Errors()]
    return []


def better(name: str, value: float, best: float | None) -> bool:
    """Whether `value` of a metric beats `best`: lower for losses and errors, higher for the rest; NaN never does."""
    if np.isnan(value):
        return False
    return best is None or (value < best if is_lower_better(name) else value > best)


def ssim(a: np.ndarray, b: np.ndarray, peak: float) -> float:
    """Mean structural similarity of two pictures (C, H, W) over channels and positions."""
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_a, mean_b = _blur(a), _blur(b)
    var_a, var_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    cov = _blur(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    return float(np.mean(top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))))


def _blur(picture: np.ndarray) -> np.ndarray:
    """Gaussian window of SSIM over the last two axes; borders are reflected, as torchmetrics does it."""
    around = [(0, 0)] * (picture.ndim - 2) + [(SSIM_RADIUS, SSIM_RADIUS)] * 2
    picture = np.pad(picture, around, mode="reflect")
    offsets = np.arange(-SSIM_RADIUS, SSIM_RADIUS + 1)
    window = np.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    window /= window.sum()
    width = 2 * SSIM_RADIUS + 1
    rows = np.lib.stride_tricks.sliding_window_view(picture, width, axis=-1) @ window
    return np.lib.stride_tricks.sliding_window_view(rows, width, axis=-2) @ window


def _ratio(top: float, bottom: float) -> float:
    return float(top / bottom) if bottom else float("nan")


def _ratios(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")
