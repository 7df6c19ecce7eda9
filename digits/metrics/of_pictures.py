"""Which pictures of a validation or an evaluation are kept in a file, and with which numbers, whatever their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from digits.metrics.base import Metric

MOST_BYTES = 2**26  # of one file, before compression
LOOKED_AT = 500  # pictures by which the size of all is estimated


def numbers_of(metrics: Sequence[Metric], records: np.ndarray) -> tuple[np.ndarray, dict[str, Any], int]:
    """The records (n,) that are kept, their columns (see `Metric.of_pictures`) and the stride; `records` (N,) are those that were
    added to the metrics, in that order. No columns where the metrics keep none."""
    metrics = [metric for metric in metrics if metric.keeps]
    sample = _columns(metrics, np.arange(min(len(records), LOOKED_AT)))
    size = sum(_bytes(column) for column in sample.values()) * len(records) / max(min(len(records), LOOKED_AT), 1)
    stride = 1
    while size / stride > MOST_BYTES:
        stride *= 2
    chosen = np.flatnonzero(records % stride == 0)
    return records[chosen], _columns(metrics, chosen), stride


def _columns(metrics: Sequence[Metric], chosen: np.ndarray) -> dict[str, Any]:
    return {name: column for metric in metrics for name, column in metric.of_pictures(chosen).items()}


def _bytes(column: Any) -> int:
    return sum(part.nbytes for part in column) if isinstance(column, list) else int(column.nbytes)
