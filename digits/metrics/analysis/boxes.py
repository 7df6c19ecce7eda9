"""Of boxes: precision and recall over all scores, average precision by the size of the objects, and why boxes are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from digits.metrics.analysis.base import Analysis, Evaluated
from digits.metrics.average_precision import BoxPrecision
from digits.metrics.box_errors import errors_of
from digits.metrics.box_matches import counting, matched, most_detections
from digits.metrics.curves import Curve, curve_of, described

ALL = "all classes"


class BoxAnalysis(Analysis):
    """A detection is right at IoU .5; those on what does not count are left out."""

    def __init__(self, class_labels: Sequence[str], missing: Sequence[int] = ()) -> None:
        self.class_labels, self.missing = list(class_labels), set(missing)

    def details(self, done: Evaluated, notes: list[str]) -> dict[str, Any]:
        metric = next((metric for metric in done.metrics if isinstance(metric, BoxPrecision)), None)
        if metric is None or not metric.pictures:
            return {"curves": None, "sizes": [], "errors": None}
        return {
            "curves": self._curves(metric),
            "sizes": metric.by_size(),
            "errors": errors_of(metric.pictures, len(self.class_labels)),
        }

    def _curves(self, metric: BoxPrecision) -> dict[str, Any]:
        parts: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in self.class_labels]
        objects = np.zeros(len(self.class_labels), int)
        most = most_detections(metric.pictures)
        for found, boxes in metric.pictures:
            objects += np.bincount(counting(boxes), minlength=len(objects))
            for k in np.unique(found[:, 5]).astype(int):
                scores, right, void = matched(found, boxes, k, most)
                keep = void & 1 == 0
                parts[k].append((scores[keep], right[keep] & 1 == 1))
        told = [k for k in range(len(objects)) if k not in self.missing]
        curves: list[Curve | None] = [_curve(parts[k], int(objects[k])) if k in told else None for k in range(len(objects))]
        names = list(self.class_labels)
        described_ones = described(names, curves, has_negatives=False)
        if len(told) > 1:
            every = _curve([pair for k in told for pair in parts[k]], int(objects[told].sum()))
            row = described([ALL], [every], has_negatives=False)["classes"][0]
            described_ones["classes"] = [{**row, "is_all": True}, *described_ones["classes"]]
        return described_ones


def _curve(pairs: Sequence[tuple[np.ndarray, np.ndarray]], objects: int) -> Curve:
    scores = np.concatenate([np.zeros(0), *(scores for scores, _ in pairs)])
    right = np.concatenate([np.zeros(0, bool), *(hits for _, hits in pairs)])
    return curve_of(scores, right, objects)
