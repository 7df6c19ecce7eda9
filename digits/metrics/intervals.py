"""How far a number might be off because only so many pictures were looked at: Wilson's interval of a share, the bootstrap of all
others. docs/evaluation.md says when which is used."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np

from digits.metrics.resampling import draws, measurable, resampled
from digits.metrics.significance import CONFIDENCE, normal_quantile

RESAMPLES = 400
MOST_PICTURES = 20_000  # beyond it the bootstrap would take longer than it tells


def wilson(hits: float, count: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval in [0, 1] of a share of `count` pictures (Wilson 1927, without continuity correction); NaN of none."""
    if count <= 0:
        return float("nan"), float("nan")
    z, share = normal_quantile(confidence), hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def of_share(hits: float, count: float) -> dict[str, Any]:
    low, high = wilson(hits, count)
    return {"low": low, "high": high, "how": "Wilson"}


def of_mean(values: np.ndarray) -> dict[str, Any]:
    """Of the mean of values (n,): ± z · s / √n."""
    if len(values) < 2 or not np.isfinite(values).all():
        return {"low": float("nan"), "high": float("nan"), "how": "normal"}
    half = normal_quantile(CONFIDENCE) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return {"low": float(values.mean()) - half, "high": float(values.mean()) + half, "how": "normal"}


def bootstrapped(columns: dict[str, Any], pictures: int, known: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Of every metric that the numbers of single pictures are enough for (see `metrics.resampling`), but those `known` already:
    the range that holds 95 % of its values when the pictures are drawn anew with replacement (Efron's percentile interval)."""
    names = [name for name in measurable(columns) if name not in known]
    if not names or not 2 <= pictures <= MOST_PICTURES:
        return {}
    drawn = draws(pictures, RESAMPLES)
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        values = resampled(name, columns, drawn)
        finite = values[np.isfinite(values)]
        if len(finite) >= RESAMPLES // 8:
            low, high = np.quantile(finite, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
            found[name] = {"low": float(low), "high": float(high), "how": "bootstrap"}
    return found
