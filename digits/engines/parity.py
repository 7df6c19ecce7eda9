"""How far what an exporter wrote is from the predictor it was written from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from digits.engines.base import Predictor, Program
from digits.errors import ExportError

CLOSE = 1e-4  # float32 through two implementations; what is further apart is reported
WRONG = 1e-2  # another network
PICTURES = 3
EXPORT_SHAPE = (
    "export_shape"  # key of a predictor's metadata: (C, H, W) of the numbers that exports take in the place of pictures
)


def noise_features(meta: Mapping[str, Any], count: int = PICTURES) -> np.ndarray:
    """Made-up features (count, C, H, W) float32 in stored units: the mean and spread of the training's, the same each time. Where
    exports take numbers in their place: normal ones."""
    if meta.get(EXPORT_SHAPE):
        return np.random.default_rng(0).normal(size=(count, *meta[EXPORT_SHAPE])).astype(np.float32)
    preprocessing = meta["preparation"]
    shape = tuple(int(side) for side in preprocessing["stored_shape"])
    mean = np.array(preprocessing.get("pixel_mean") or [0.0], np.float32).reshape(-1, 1, 1)
    found = mean + np.random.default_rng(0).normal(scale=float(preprocessing.get("std", 1.0)), size=(count, *shape))
    dtype = np.dtype(str(preprocessing.get("dtype", "uint8")))
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        found = np.rint(found).clip(limits.min, limits.max)
    return found.astype(np.float32)


def parity(predictor: Predictor, program: Program, features: np.ndarray) -> float:
    """The largest difference between the two over all outputs, for all features (N, C, H, W) at once and for the first alone.

    Of each output the absolute difference, divided by the output's largest value where that is above 1: probabilities count as
    they are, numbers in the label's units relative to their size. Infinite where shapes, names or the number of boxes differ.
    """
    batches = [features] if len(features) == 1 else [features, features[:1]]
    return worst(difference(predictor.predict(batch), program(batch)) for batch in batches)


def worst(differences: Iterable[float]) -> float:
    """The largest, 0 of none; NaN where one is."""
    return float(np.max(list(differences), initial=0.0))


def check_parity(value: float, *, lossy: bool = False) -> None:
    """ExportError where the difference cannot be one of rounding; of `lossy` formats, which may find other boxes, where it is no
    number."""
    if math.isnan(value):
        raise ExportError(
            "The model, or what was written of it, gives values that are no numbers (NaN), so the two cannot be compared.",
            advice="Nothing of it is kept. Test this snapshot on a picture; choose an earlier one where its training diverged.",
        )
    if value > WRONG and not lossy:
        raise ExportError(
            f"What was written does not compute what the model does: the largest difference is {value:.2g}.",
            advice="Nothing of it is kept. The network may draw random numbers or branch on what it sees; choose another format.",
        )


def difference(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> float:
    """That of the outputs (N, …) of one batch, as `parity` has it."""
    if set(ours) != set(theirs):
        return float("inf")
    return worst(_of_boxes(ours[n], theirs[n]) if n == "boxes" else _of_arrays(ours[n], theirs[n]) for n in ours)


def _of_arrays(ours: np.ndarray, theirs: np.ndarray) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    if not ours.size:
        return 0.0
    scale = max(1.0, float(np.abs(ours).max()))
    return float(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max()) / scale


def _of_boxes(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Boxes (N, M, 6), rows of score 0 fill up. Each must be near one of the other's: scores all but equal have no order."""
    return worst(_distance(_real(a), _real(b)) for a, b in zip(ours, theirs, strict=True))


def _distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    if len(ours) != len(theirs):
        return float("inf")
    if not len(ours):
        return 0.0
    scale = max(1.0, float(np.abs(ours[:, :4]).max())) * np.array([1, 1, 1, 1, 0, 0]) + np.array([0, 0, 0, 0, 1, 1])
    apart = np.abs((ours[:, None] - theirs[None]) / scale).max(axis=2)  # (n, n)
    return worst((apart.min(axis=0).max(), apart.min(axis=1).max()))


def _real(rows: np.ndarray) -> np.ndarray:
    """Those of a score above 0 or of one that is no number."""
    table = np.asarray(rows, np.float64)
    return table[~(table[:, 4] <= 0)]
