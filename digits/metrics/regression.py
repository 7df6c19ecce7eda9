"""Errors of numbers, and the quality of pictures."""

from __future__ import annotations

import numpy as np

from digits.metrics.base import Metric, ratio

SSIM_SIGMA = 1.5
SSIM_RADIUS = 5  # an 11×11 window, as the paper (Wang 2004) has it


class Errors(Metric):
    """`mae`, `rmse` and `r2` over all numbers of all samples (R²: 1 − residual over total sum of squares)."""

    def __init__(self) -> None:
        self.totals = np.zeros(5)

    def update(self, outputs: np.ndarray, labels: np.ndarray) -> None:
        """Add a batch: outputs and labels (N, …) of equally many numbers, in the units of the labels."""
        truth = labels.astype(np.float64)
        error = outputs.reshape(labels.shape).astype(np.float64) - truth
        self.totals += (error.size, np.abs(error).sum(), np.square(error).sum(), truth.sum(), np.square(truth).sum())

    def compute(self) -> dict[str, float]:
        count, absolute, squared, total, total_squared = self.totals
        spread = total_squared - total * ratio(total, count)
        return {
            "mae": ratio(absolute, count),
            "rmse": float(np.sqrt(ratio(squared, count))),
            "r2": 1.0 - squared / spread if spread > 0 else float("nan"),
        }


class PictureQuality(Metric):
    """`psnr` (decibel) and `ssim` of picture outputs, each as mean over pictures; `peak` is the value of full intensity.

    SSIM: Wang et al. 2004, Gaussian window 11×11 with sigma 1.5, borders reflected; left out where a side has under 6.
    """

    def __init__(self, peak: float) -> None:
        self.peak = peak
        self.totals = np.zeros(4)

    def update(self, outputs: np.ndarray, labels: np.ndarray) -> None:
        """Add a batch: outputs and labels (N, C, H, W), black 0 and white `peak`."""
        for made, truth in zip(outputs.astype(np.float64), labels.astype(np.float64), strict=True):
            error = max(float(np.mean(np.square(made - truth))), 1e-12 * self.peak**2)
            fits = min(truth.shape[-2:]) > SSIM_RADIUS
            similarity = ssim(made, truth, self.peak) if fits else 0.0
            self.totals += (1, 10 * np.log10(self.peak**2 / error), fits, similarity)

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
    """Gaussian window of SSIM over the last two axes; borders are reflected, as torchmetrics does it."""
    around = [(0, 0)] * (picture.ndim - 2) + [(SSIM_RADIUS, SSIM_RADIUS)] * 2
    picture = np.pad(picture, around, mode="reflect")
    offsets = np.arange(-SSIM_RADIUS, SSIM_RADIUS + 1)
    window = np.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    window /= window.sum()
    width = 2 * SSIM_RADIUS + 1
    rows = np.lib.stride_tricks.sliding_window_view(picture, width, axis=-1) @ window  # (C, H + 10, W)
    return np.lib.stride_tricks.sliding_window_view(rows, width, axis=-2) @ window
