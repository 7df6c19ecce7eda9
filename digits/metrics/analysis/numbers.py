"""Of numbers: what is left between them and the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from digits.metrics.analysis.base import Analysis, Evaluated, Spacing, distribution
from digits.metrics.base import Arrays
from digits.utils.values import counted

MOST_POINTS = 2000  # of one column that a page gets, evenly chosen
MOST_COLUMNS = 32


class NumberAnalysis(Analysis):
    """Residuals are predicted − true, in the label's units."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.names = list(columns)
        self.made: list[np.ndarray] = []  # (K,) float64 of each picture with a truth
        self.real: list[np.ndarray] = []
        self.rows: list[int] = []
        self.seen = 0

    def add(self, outputs: Arrays, truths: Arrays | None, spacings: Sequence[Spacing | None]) -> dict[str, Any]:
        for number, output in enumerate(outputs):
            if truths is not None and np.asarray(truths[number]).size == output.size:
                self.made.append(np.asarray(output, np.float64).ravel())
                self.real.append(np.asarray(truths[number], np.float64).ravel())
                self.rows.append(self.seen + number)
        self.seen += len(outputs)
        return {}

    def details(self, done: Evaluated, notes: list[str]) -> dict[str, Any]:
        if not self.made or len({len(one) for one in self.made}) != 1:
            return {"residuals": None}
        made, real, rows = np.stack(self.made), np.stack(self.real), np.array(self.rows)
        lost = int((~np.isfinite(made)).any(axis=1).sum())
        if lost:
            notes.append(f"The outputs of {counted(lost, 'picture')} are no numbers: wrong, and not in the residuals.")
        names = self.names if len(self.names) == made.shape[1] else [f"column {k}" for k in range(1, made.shape[1] + 1)]
        if len(names) > MOST_COLUMNS:
            notes.append(f"Residuals are shown of the first {MOST_COLUMNS} of {len(names):,} columns.")
        columns = [_column(name, made[:, k], real[:, k], rows) for k, name in enumerate(names[:MOST_COLUMNS])]
        return {"residuals": {"columns": columns}}


def _column(label: str, made: np.ndarray, real: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
    """Of predicted and true numbers (N,) and the rows (N,) of their pictures: `count`, `bias` (mean residual), `deviation` (n −
    1), `mae`, `rmse`, `r2` and `pearson`, the `distribution` of the residuals, and `points`: true, predicted, row."""
    known = np.isfinite(made) & np.isfinite(real)
    made, real, rows = made[known], real[known], rows[known]
    left = made - real
    count = len(left)
    spread = float(np.square(real - real.mean()).sum()) if count else 0.0
    varies = count > 1 and real.std() > 0 and made.std() > 0
    stride = -(-count // MOST_POINTS) or 1
    points = zip(real[::stride].tolist(), made[::stride].tolist(), rows[::stride].tolist(), strict=True)
    return {
        "label": label,
        "count": count,
        "bias": float(left.mean()) if count else None,
        "deviation": float(left.std(ddof=1)) if count > 1 else None,
        "mae": float(np.abs(left).mean()) if count else None,
        "rmse": float(np.sqrt(np.square(left).mean())) if count else None,
        "r2": 1 - float(np.square(left).sum()) / spread if spread else None,
        "pearson": float(np.corrcoef(made, real)[0, 1]) if varies else None,
        "distribution": distribution(left),
        "points": [list(point) for point in points],
        "every": stride,
    }
