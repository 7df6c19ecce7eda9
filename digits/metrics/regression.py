"""Errors of numbers, and the quality of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from digits.metrics.base import MAX_CLASSES_SHOWN, Metric, PictureColumns, ratio

SSIM_SIGMA = 1.5
SSIM_RADIUS = 5  # an 11×11 window, as the paper (Wang 2004) has it


class Errors(Metric):
    """`mae` and `rmse` over all numbers of all samples, `r2` as the mean over the columns, and `mae/<column>`, `rmse/<column>`,
    `r2/<column>` where columns have names.

    R² of a column is 1 − its squared errors over its squared distances from its own mean, as scikit-learn's `r2_score`: a column
    of equal labels is 1 where all answers are right, else 0; NaN of fewer than two samples. Of labels with places (N, C, …),
    such as pictures, the channels are the columns and every place is a sample; of all others each number is a column.
    `scale` is what outputs and labels were divided by: errors come out in the label's units.

    Distances from a mean are kept for each batch and joined (Chan 1983) instead of sums of squares, which lose all digits where
    labels lie far from 0.
    """

    def __init__(self, columns: Sequence[str] = (), scale: float = 1.0, has_places: bool = False) -> None:
        self.columns = list(columns)
        self.scale = scale
        self.has_places = has_places
        self.totals = np.zeros(1)
        self.sums: np.ndarray | None = None  # (5, K) of each column: samples, |error|, error², mean of the labels, distances²
        self.pictures: list[np.ndarray] = []  # (N, 3) float64 of each batch: numbers, |error|, error²

    def update(self, outputs: np.ndarray, labels: np.ndarray) -> None:
        """Add a batch: outputs and labels (N, …) of equally many numbers, divided by the scale."""
        truth = self._rows(labels)  # (n, K)
        error = self._rows(outputs.reshape(labels.shape)) - truth
        if not len(truth):
            return
        if self.keeps:
            each = error.reshape(len(labels), -1) * self.scale
            numbers = np.full(len(each), float(each.shape[1]))
            self.pictures.append(np.stack([numbers, np.abs(each).sum(axis=1), np.square(each).sum(axis=1)], axis=1))
        first = truth[0]
        mean = first + (truth - first).mean(axis=0)  # exact where all are equal
        distances = np.square(truth - mean).sum(axis=0)
        count = np.full(len(mean), float(len(truth)))
        self._join(np.stack([count, np.abs(error).sum(axis=0), np.square(error).sum(axis=0), mean, distances]))

    def takes(self, outputs: np.ndarray, labels: np.ndarray) -> bool:
        """As many numbers for each sample; a text's own loss may compare others."""
        return outputs.size == labels.size

    @property
    def is_empty(self) -> bool:
        return self.sums is None

    def kept(self) -> list[Any]:
        return self.pictures

    def take_kept(self, kept: list[Any]) -> None:
        self.pictures = kept

    def of_pictures(self, chosen: np.ndarray) -> PictureColumns:
        """`numbers` of a label, and the sums of their `absolute` and `squared` errors in its units."""
        rows = np.concatenate([np.zeros((0, 3)), *self.pictures])[chosen]
        return {"numbers": rows[:, 0], "absolute": rows[:, 1], "squared": rows[:, 2]}

    def parts(self) -> list[Any] | None:
        """The sums (5, K) of a process; none where it had no sample."""
        return [] if self.sums is None else [self.sums]

    def join(self, parts: Sequence[list[Any]]) -> None:
        """Take the sums (5, K) of all processes."""
        self.sums = None
        for sums in (sums for part in parts for sums in part):
            self._join(np.asarray(sums, np.float64))

    def compute(self) -> dict[str, float]:
        count, absolute, squared, _, distances = np.zeros((5, 0)) if self.sums is None else self.sums
        r2 = np.array([_r2(*numbers) for numbers in zip(count, squared, distances, strict=True)])
        values = {
            "mae": self.scale * ratio(absolute.sum(), count.sum()),
            "rmse": self.scale * float(np.sqrt(ratio(squared.sum(), count.sum()))),
            "r2": float(r2.mean()) if len(r2) else float("nan"),
        }
        if 1 < len(self.columns) == len(r2) <= MAX_CLASSES_SHOWN:
            for i, name in enumerate(self.columns):
                values[f"mae/{name}"] = self.scale * float(absolute[i] / count[i])
                values[f"rmse/{name}"] = self.scale * float(np.sqrt(squared[i] / count[i]))
                values[f"r2/{name}"] = float(r2[i])
        return values

    def _rows(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers (N, …) as float64 (n, K): a row for each sample, or for each place of each sample."""
        numbers = np.asarray(numbers, np.float64)
        if self.has_places and numbers.ndim > 2:
            return np.moveaxis(numbers, 1, -1).reshape(-1, numbers.shape[1])
        return numbers.reshape(len(numbers), -1)

    def _join(self, other: np.ndarray) -> None:
        """Add the sums (5, K) of other samples."""
        if self.sums is None:
            self.sums = other
            return
        count, *errors, mean, distances = self.sums
        apart = other[3] - mean
        total = count + other[0]
        share = other[0] / total
        distances = distances + other[4] + np.square(apart) * (count * share)
        self.sums = np.stack([total, errors[0] + other[1], errors[1] + other[2], mean + apart * share, distances])


def _r2(count: float, squared: float, distances: float) -> float:
    """R² of one column, as scikit-learn has it where labels are equal or few."""
    if count < 2:
        return float("nan")
    if not distances:
        return float(not squared)
    return float(1.0 - squared / distances)


class PictureQuality(Metric):
    """`psnr` (decibel) and `ssim` of picture outputs, each as mean over pictures; `peak` is the value of full intensity.

    SSIM: Wang et al. 2004, Gaussian window 11×11 with sigma 1.5, borders reflected; left out where a side has under 6.
    A picture with a pixel that is no number has neither, and so has the mean.
    """

    def __init__(self, peak: float) -> None:
        self.peak = peak
        self.totals = np.zeros(4)
        self.pictures: list[np.ndarray] = []  # (2,) of each picture: PSNR and SSIM

    def update(self, outputs: np.ndarray, labels: np.ndarray) -> None:
        """Add a batch: outputs and labels (N, C, H, W), black 0 and white `peak`."""
        for made, truth in zip(outputs.astype(np.float64), labels.astype(np.float64), strict=True):
            fits = min(truth.shape[-2:]) > SSIM_RADIUS
            if not np.isfinite(made).all():
                self._add(np.nan, np.nan, fits)
                continue
            error = max(float(np.mean(np.square(made - truth))), 1e-12 * self.peak**2)
            similarity = ssim(made, truth, self.peak) if fits else 0.0
            self._add(10 * np.log10(self.peak**2 / error), similarity, fits)

    def _add(self, psnr: float, similarity: float, fits: bool) -> None:
        self.totals += (1, psnr, fits, similarity)
        if self.keeps:
            self.pictures.append(np.array([psnr, similarity if fits else np.nan]))

    def kept(self) -> list[Any]:
        return self.pictures

    def take_kept(self, kept: list[Any]) -> None:
        self.pictures = kept

    def of_pictures(self, chosen: np.ndarray) -> PictureColumns:
        """`psnr` (NaN: a pixel is no number) and `ssim` (NaN too where a side has under 6 pixels)."""
        rows = np.array([self.pictures[n] for n in chosen]).reshape(-1, 2)
        return {"psnr": rows[:, 0], "ssim": rows[:, 1]}

    def takes(self, outputs: np.ndarray, labels: np.ndarray) -> bool:
        """Pictures of the same shape."""
        return outputs.shape == labels.shape

    @property
    def is_empty(self) -> bool:
        return not self.totals[0]

    def compute(self) -> dict[str, float]:
        count, psnr, fitting, similarity = self.totals
        return {"psnr": ratio(psnr, count)} | ({"ssim": ratio(similarity, fitting)} if fitting else {})


def ssim(a: np.ndarray, b: np.ndarray, peak: float) -> float:
    """Mean structural similarity (Wang 2004) of two pictures (C, H, W) over channels and positions, a scalar in [-1, 1];
    `peak` is the value of white."""
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_a, mean_b = _blur(a), _blur(b)  # (C, H, W)
    var_a, var_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    cov = _blur(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + c1) * (2 * cov + c2)
    return float(np.mean(top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))))


def _blur(picture: np.ndarray) -> np.ndarray:
    """Gaussian window of SSIM over each channel of (C, H, W) float64; borders are reflected, as torchmetrics does it."""
    import cv2  # ten times as fast as NumPy's windows; nothing else here needs it

    offsets = np.arange(-SSIM_RADIUS, SSIM_RADIUS + 1)
    window = np.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    window /= window.sum()
    return np.stack([cv2.sepFilter2D(one, cv2.CV_64F, window, window, borderType=cv2.BORDER_REFLECT_101) for one in picture])
