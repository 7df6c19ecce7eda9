"""Which detections of one picture find an object, at each of COCO's thresholds: what average precision is counted from.

The rules are those of `pycocotools.cocoeval.COCOeval.evaluateImg` (greedy by score; objects that count before those that do not).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from digits.metrics.box_overlap import covered, iou
from digits.storage.records.boxes import BOX_CROWD, BOX_DIFFICULT, BOX_IGNORED, CUT, coordinates

THRESHOLDS = np.linspace(0.5, 0.95, 10)
REGION = BOX_CROWD | BOX_IGNORED
UNASKED = BOX_DIFFICULT | CUT
LEAST_DETECTIONS = 100


def most_detections(pictures: Iterable[tuple[np.ndarray, np.ndarray]]) -> int:
    """How many detections of one class in a picture count, as COCO has it: 100, or as many as a picture has objects. Pictures are
    detections (n, 6) and boxes (m,) each."""
    return max([LEAST_DETECTIONS, *(len(boxes) for _, boxes in pictures)])


def matched(found: np.ndarray, boxes: np.ndarray, k: int, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the detections (n, 6) of class `k`, at most `most`, the best first: their scores (n,), and as bits, the lowest for
    IoU .5, where each is right and where it does not count: int32 (n,), (n,). `boxes` (m,) are of `BOX_DTYPE`."""
    found = found[found[:, 5] == k]
    found = found[np.argsort(-found[:, 4], kind="stable")][:most]
    wanted = boxes[(boxes["class"] == k) | (boxes["flags"] & BOX_IGNORED != 0)]
    region = wanted["flags"] & REGION != 0
    uncounted = region | (wanted["flags"] & UNASKED != 0)
    order = np.argsort(uncounted, kind="stable")
    region, uncounted, places = region[order], uncounted[order], coordinates(wanted[order]).astype(np.float64)
    overlaps = np.where(region, covered(found[:, :4], places), iou(found[:, :4], places))  # (n, m)
    free = np.ones((len(THRESHOLDS), len(region)), bool)
    right, void = np.zeros(len(found), np.int32), np.zeros(len(found), np.int32)
    bits = 1 << np.arange(len(THRESHOLDS))
    near = np.flatnonzero(overlaps.max(axis=1) >= THRESHOLDS[0]) if len(region) else ()  # all others match nothing
    for n in near:
        row = overlaps[n]
        fits = (free | region) & (row >= np.minimum(THRESHOLDS, 1 - 1e-10)[:, None])  # (10, m)
        counted = fits & ~uncounted
        has = counted.any(axis=1)
        fits = np.where(has[:, None], counted, fits)
        best = fits.shape[1] - 1 - np.where(fits, row, -1)[:, ::-1].argmax(axis=1)  # of equal ones the last, as there
        hit = fits.any(axis=1)
        free[hit, best[hit]] = False
        right[n] = int(bits[hit & ~uncounted[best]].sum())
        void[n] = int(bits[hit & uncounted[best]].sum())
    return found[:, 4], right, void


def counting(boxes: np.ndarray) -> np.ndarray:
    """The classes (m,) of the objects that must be found."""
    return np.asarray(boxes["class"][boxes["flags"] & (REGION | UNASKED) == 0])
