"""What an answer loses where a part of the picture is covered (Zeiler and Fergus, 2014): takes nothing but predictions, so it
checks what gradients say, with any engine. And the score of an answer, which it looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np

from digits.domain.inference import main_output
from digits.domain.inside import GRID
from digits.engines.inside import Target
from digits.metrics.box_overlap import iou
from digits.tasks import Labels, of

BATCH = 16
Predict = Callable[[np.ndarray], dict[str, np.ndarray]]


def occlusion(predict: Predict, feature: np.ndarray, meta: Mapping[str, Any], target: Target, grid: int = GRID) -> np.ndarray:
    """The map (H, W) float32 of a feature (C, H, W): how far the score falls, at a pixel the mean over the squares that cover it.

    The squares are two strides wide, a stride is the `grid`-th part of each side; they are filled with the mean of each channel.
    """
    height, width = feature.shape[1:]
    strides = max(1, -(-height // grid)), max(1, -(-width // grid))
    fill = _mean_colour(feature)
    whole = float(scores(predict(feature[None]), meta, target)[0])
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for places in _groups(height, width, strides):
        batch = np.repeat(feature[None], len(places), axis=0)
        for one, (rows, columns) in zip(batch, places, strict=True):
            one[:, rows, columns] = fill
        for (rows, columns), score in zip(places, scores(predict(batch), meta, target), strict=True):
            total[rows, columns] += whole - score
            count[rows, columns] += 1
    return (total / np.maximum(count, 1)).astype(np.float32)


def scores(outputs: Mapping[str, np.ndarray], meta: Mapping[str, Any], target: Target) -> np.ndarray:
    """The score (N,) that a map explains, of what `Predictor.predict` gives for N pictures: a probability; of a map of classes
    its mean over the region; of a detection the best score times overlap with the box; else the number itself."""
    task = of(meta["task"], Labels.of_snapshot(dict(meta)))
    output = np.asarray(main_output(outputs), np.float64)  # (N, …)
    if task.moves == "boxes":
        return np.array([_of_box(rows, target) for rows in output])
    if output.ndim == 4:
        chosen = output[:, target.index]  # (N, H, W)
        return chosen[:, target.region].mean(axis=1) if _fits(target, chosen) else chosen.mean(axis=(1, 2))
    flat = output.reshape(len(output), -1)
    return flat[:, target.index]


def _fits(target: Target, chosen: np.ndarray) -> bool:
    return target.region is not None and target.region.shape == chosen.shape[1:] and bool(target.region.any())


def _of_box(rows: np.ndarray, target: Target) -> float:
    """Of detections (M, 6)."""
    own = rows[(rows[:, 5] == target.index) & (rows[:, 4] > 0)]
    if not len(own) or target.box is None:
        return 0.0
    overlaps = iou(np.asarray([target.box], np.float64), own[:, :4])[0]  # (m,)
    return float((overlaps * own[:, 4]).max())


def _mean_colour(feature: np.ndarray) -> np.ndarray:
    """(C, 1, 1) of the feature's type; of what is not finite nothing counts."""
    values = np.where(np.isfinite(feature), feature, np.nan).astype(np.float64)
    with np.errstate(invalid="ignore"):
        mean = np.nan_to_num(np.nanmean(values, axis=(1, 2), keepdims=True))
    return mean.round().astype(feature.dtype) if feature.dtype.kind in "iub" else mean.astype(feature.dtype)


def _groups(height: int, width: int, strides: tuple[int, int]) -> Iterator[list[tuple[slice, slice]]]:
    """Squares two strides wide, a few at a time: from one stride before the picture on, so that its edge counts as its middle."""
    tops, lefts = range(-strides[0], height, strides[0]), range(-strides[1], width, strides[1])
    places = [
        (slice(max(0, top), top + 2 * strides[0]), slice(max(0, left), left + 2 * strides[1]))
        for top, left in product(tops, lefts)
    ]
    for start in range(0, len(places), BATCH):
        yield places[start : start + BATCH]
