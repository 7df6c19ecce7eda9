"""Why boxes are wrong: the six kinds of error of TIDE (Bolya et al. 2020), and what average precision each of them costs.

A detection that matches no object of its class at IoU .5 is one of: *class* (IoU ≥ .5 with an object of another class),
*location* (.1 ≤ IoU < .5 with one of its class), *both* (neither, and not background), *duplicate* (IoU ≥ .5 with an object that
a better detection has), *background* (IoU ≤ .1 with every object). An object that was found by none, and that no class or
location error would find, is *missed*. Detections on what does not count are left out, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from digits.metrics.base import mean_known
from digits.metrics.box_matches import REGION, UNASKED, matched, most_detections
from digits.metrics.box_overlap import iou
from digits.storage.records.boxes import coordinates

FOREGROUND, BACKGROUND = 0.5, 0.1
KINDS = ("class", "location", "both", "duplicate", "background", "missed")
RECALLS = np.linspace(0, 1, 101)


@dataclass
class Found:
    """Detections of all pictures that count, by parts that are joined at the end: `score`, `label`, `kind` (place in `KINDS`,
    -1: right), `target` (the object that it would find if it were mended, -1: none), and the class of every object."""

    score: list[np.ndarray] = field(default_factory=list)
    label: list[np.ndarray] = field(default_factory=list)
    kind: list[np.ndarray] = field(default_factory=list)
    target: list[np.ndarray] = field(default_factory=list)
    objects: list[np.ndarray] = field(default_factory=list)
    used: list[np.ndarray] = field(default_factory=list)
    total: int = 0

    def add(self, found: np.ndarray, boxes: np.ndarray, most: int) -> None:
        """One picture: detections (n, 6), of each class at most `most`, and boxes (m,) of `BOX_DTYPE`."""
        rows = [found[found[:, 5] == k] for k in np.unique(found[:, 5])]
        rows = [one[np.argsort(-one[:, 4], kind="stable")][:most] for one in rows]
        parts = [matched(one, boxes, int(one[0, 5]), most) for one in rows]
        kept = np.concatenate([np.zeros((0, 6)), *rows])
        right = np.concatenate([np.zeros(0, int), *(part[1] for part in parts)]) & 1 == 1
        void = np.concatenate([np.zeros(0, int), *(part[2] for part in parts)]) & 1 == 1
        kept, right = kept[~void], right[~void]
        objects = boxes[boxes["flags"] & (REGION | UNASKED) == 0]
        overlap = iou(kept[:, :4], coordinates(objects).astype(np.float64))  # (n, m)
        same = kept[:, 5][:, None] == objects["class"][None]
        used = _used(kept, right, np.where(same, overlap, 0))
        kind, target = _kinds(right, overlap, same, used)
        self.score.append(kept[:, 4])
        self.label.append(kept[:, 5].astype(int))
        self.kind.append(kind)
        self.target.append(np.where(target >= 0, target + self.total, -1))
        self.objects.append(objects["class"].astype(int))
        self.used.append(used)
        self.total += len(objects)


def errors_of(pictures: Sequence[tuple[np.ndarray, np.ndarray]], classes: int) -> dict[str, Any]:
    """Of pictures, detections (n, 6) and boxes (m,) each: `base`, the AP at IoU .5 (mean over the classes with objects), and of
    each of `KINDS` its `count` and the `gain` of that AP when these errors alone are mended; `false_positives` and
    `false_negatives` are the gains when all of those are."""
    found = Found()
    most = most_detections(pictures)
    for detections, boxes in pictures:
        found.add(detections, boxes, most)
    empty = np.zeros(0)
    score, label, kind, target = (
        np.concatenate([empty, *part]).astype(float if part is found.score else int)
        for part in (found.score, found.label, found.kind, found.target)
    )
    owner = np.concatenate([empty, *found.objects]).astype(int)
    used = np.concatenate([empty, *found.used]).astype(bool)
    claimed = np.zeros(len(owner), bool)
    claimed[target[target >= 0]] = True
    best = _best_of_each(score, target, used)
    missed = ~used & ~claimed
    wanted = np.bincount(owner, minlength=classes)
    base = _mean_ap(score, label, kind < 0, wanted)
    rows: list[dict[str, Any]] = []
    for place, name in enumerate(KINDS):
        if name == "missed":
            gain = _mean_ap(score, label, kind < 0, np.bincount(owner[~missed], minlength=classes)) - base
            rows.append({"kind": name, "count": int(missed.sum()), "gain": gain})
            continue
        own = kind == place
        mended = own & best
        keep = ~own | mended
        new_label = np.where(mended, owner[target] if len(owner) else label, label)
        gain = _mean_ap(score[keep], new_label[keep], ((kind < 0) | mended)[keep], wanted) - base
        rows.append({"kind": name, "count": int(own.sum()), "gain": gain})
    hits = kind < 0
    left = np.bincount(label[hits], minlength=classes)
    return {
        "base": base,
        "kinds": rows,
        "false_positives": _mean_ap(score[hits], label[hits], hits[hits], wanted) - base,
        "false_negatives": _mean_ap(score, label, hits, left) - base,
    }


def interpolated(right: np.ndarray, objects: int) -> float:
    """COCO's average precision of detections `right` (n,) bool from high scores to low: the mean over 101 recalls of the
    highest precision at that recall or more; NaN without objects."""
    if not objects:
        return float("nan")
    hits, seen = np.cumsum(right), np.arange(1, len(right) + 1)
    best = np.append(np.maximum.accumulate((hits / seen)[::-1])[::-1], 0.0)
    return float(best[np.searchsorted(hits / objects, RECALLS, side="left")].mean())


def _mean_ap(score: np.ndarray, label: np.ndarray, right: np.ndarray, wanted: np.ndarray) -> float:
    order = np.argsort(-score, kind="stable")
    label, right = label[order], right[order]
    return mean_known(np.array([interpolated(right[label == k], int(count)) for k, count in enumerate(wanted)]))


def _used(kept: np.ndarray, right: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Which objects (m,) the right detections have: the nearest free one of their class, `own` (n, m) IoU, the best first."""
    used = np.zeros(own.shape[1], bool)
    for row in np.flatnonzero(right)[np.argsort(-kept[right, 4], kind="stable")]:
        free = np.where(used, -1.0, own[row])
        used[int(free.argmax())] = True
    return used


def _kinds(right: np.ndarray, overlap: np.ndarray, same: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The kind (n,) of each detection and the object (n,) that it would find, in the order in which TIDE asks."""
    kind, target = np.full(len(right), KINDS.index("both")), np.full(len(right), -1)
    if not overlap.shape[1]:
        return np.where(right, -1, KINDS.index("background")), target
    own, other = np.where(same, overlap, -1.0), np.where(same, -1.0, overlap)
    taken = np.where(used[None], own, -1.0)
    kind[overlap.max(axis=1) <= BACKGROUND] = KINDS.index("background")
    kind[taken.max(axis=1) >= FOREGROUND] = KINDS.index("duplicate")
    is_class = other.max(axis=1) >= FOREGROUND
    is_place = (own.max(axis=1) >= BACKGROUND) & (own.max(axis=1) <= FOREGROUND)
    kind[is_class] = KINDS.index("class")
    kind[is_place] = KINDS.index("location")
    target = np.where(is_place, own.argmax(axis=1), np.where(is_class, other.argmax(axis=1), -1))
    return np.where(right, -1, kind), np.where(right, -1, target)


def _best_of_each(score: np.ndarray, target: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Which of the errors (n,) become right when they are mended: for each object that no detection has the best one, of a
    class or a location error; the others go."""
    found, taken = np.zeros(len(score), bool), used.copy()
    for row in np.argsort(-score, kind="stable"):
        if target[row] >= 0 and not taken[target[row]]:
            taken[target[row]] = found[row] = True
    return found
