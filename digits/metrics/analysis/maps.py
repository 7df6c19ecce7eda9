"""Of maps of classes: how far outlines lie from the true ones, of each picture and of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from digits.metrics.analysis.base import Analysis, Evaluated, Spacing
from digits.metrics.base import Arrays, mean_known
from digits.metrics.boundaries import compared
from digits.storage.predictions import Column
from digits.utils.values import counted


class MapAnalysis(Analysis):
    """Adds `boundary_f`, `hd95` (pixels) and, where the size of pixels is known, `hd95_mm` of each picture: means over the
    classes that are in the picture or its prediction, as of Dice. Pixels that are to be ignored are of no class in either."""

    def __init__(self, class_labels: Sequence[str], ignored: int, *, in_mm: bool) -> None:
        self.class_labels, self.ignored, self.in_mm = list(class_labels), ignored, in_mm
        self.f: list[list[float]] = [[] for _ in self.class_labels]
        self.hd95: list[list[float]] = [[] for _ in self.class_labels]
        self.hd95_mm: list[list[float]] = [[] for _ in self.class_labels]
        names = ("boundary_f", "hd95", "hd95_mm") if in_mm else ("boundary_f", "hd95")
        self.columns = tuple(Column(name, "float64") for name in names)

    def add(self, outputs: Arrays, truths: Arrays | None, spacings: Sequence[Spacing | None]) -> dict[str, Any]:
        from digits.images.prepare_for_model import centre_of

        rows: list[tuple[float, ...]] = []
        for number, output in enumerate(outputs):
            spacing = spacings[number]
            if truths is None or output.ndim != 2:
                rows.append((float("nan"),) * len(self.columns))
                continue
            truth = np.asarray(truths[number])
            rows.append(self._one(output, centre_of(truth.reshape(truth.shape[-2:]), output.shape), spacing))
        return {column.name: [row[place] for row in rows] for place, column in enumerate(self.columns)}

    def _one(self, made: np.ndarray, real: np.ndarray, spacing: Spacing | None) -> tuple[float, ...]:
        counted = (real != self.ignored) & (real >= 0)
        found: list[tuple[float, float, float]] = []
        for k in sorted({*np.unique(made[counted]).tolist(), *np.unique(real[counted]).tolist()}):
            if not 0 <= k < len(self.class_labels):
                continue
            one, other = (made == k) & counted, (real == k) & counted
            pixels = compared(one, other)
            if pixels is None:
                continue
            mm = compared(one, other, spacing) if self.in_mm and spacing else None
            found.append((pixels.f, pixels.hd95, mm.hd95 if mm else float("nan")))
            for values, value in zip((self.f[k], self.hd95[k], self.hd95_mm[k]), found[-1], strict=True):
                values.append(value)
        means = [mean_known(np.array(values, float)) for values in zip(*found, strict=True)] if found else [float("nan")] * 3
        return tuple(means[: len(self.columns)])

    def details(self, done: Evaluated, notes: list[str]) -> dict[str, Any]:
        if not any(self.f):
            return {"boundaries": None}
        rows: list[dict[str, Any]] = []
        for k, label in enumerate(self.class_labels):
            far = np.array(self.hd95[k], float)
            row = {
                "label": label,
                "pictures": len(far),
                "boundary_f": mean_known(np.array(self.f[k], float)),
                "hd95": mean_known(far),
                "in_one_only": int(np.isnan(far).sum()),
            }
            rows.append({**row, **({"hd95_mm": mean_known(np.array(self.hd95_mm[k], float))} if self.in_mm else {})})
        names = [column.name for column in self.columns]
        means = {name: mean_known(done.reader.table[name].to_numpy()) for name in names}
        lost = sum(row["in_one_only"] for row in rows)
        if lost:
            notes.append(
                f"{counted(lost, 'time')} a class is in a picture or its prediction alone: boundary F is 0, no distance counts."
            )
        return {"boundaries": {"per_class": rows, "means": means, "unit": "mm" if self.in_mm else "pixels"}}
