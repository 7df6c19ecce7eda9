"""Boxes of one picture that were found several times: in overlapping tiles of it, or in the picture turned and mirrored.

Boxes are rows (n, 6): left, top, right, bottom in pixels, score, class. Rows without a score fill up and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SAME = 0.5  # of intersection over union: beyond it two boxes of a class are the same object
MOST = 20_000  # boxes of one picture that are compared
EDGE = 2.0  # pixels: a box that reaches so near to a seam may be cut by it


def cut_by(rows: np.ndarray, area: Sequence[float], seams: Sequence[bool]) -> np.ndarray:
    """Which boxes (n, 6) reach to a seam of the area (left, top, right, bottom) that they were found in: bool (n,)."""
    near = np.abs(rows[:, :4] - np.asarray(area)) <= EDGE
    beyond = np.stack(
        [
            rows[:, 0] < area[0],
            rows[:, 1] < area[1],
            rows[:, 2] > area[2],
            rows[:, 3] > area[3],
        ],
        axis=1,
    )
    return ((near | beyond) & np.asarray(seams)).any(axis=1)


def across_seams(rows: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """Of the boxes (n, 6) of all tiles those (m, 6) that stay, best first.

    Whole boxes come first, the best first, then those that are `cut` (n,): a box goes where one of its class before it is the
    same, and a cut one also where it lies for the most part in one before it.
    """
    found, cut = _real(rows, cut)
    order = np.lexsort((-found[:, 4], cut))[:MOST]
    kept, count = np.empty((len(order), 6), found.dtype), 0
    for number in order:
        if not _is_known(found[number], kept[:count], bool(cut[number])):
            kept[count] = found[number]
            count += 1
    chosen = kept[:count]
    return chosen[np.argsort(-chosen[:, 4], kind="stable")]


def _is_known(box: np.ndarray, others: np.ndarray, is_cut: bool) -> bool:
    others = others[others[:, 5] == box[5]]
    if not len(others):
        return False
    shared, union, own = _overlaps(box, others)
    known = shared > SAME * union
    return bool((known | (shared > SAME * own)).any() if is_cut else known.any())


def fused(views: Sequence[np.ndarray]) -> np.ndarray:
    """Boxes (m, 6), best first, of those that several views of one picture gave, (n, 6) each, in its pixels.

    Boxes of a class that are the same object become one: its corners are their mean, weighted by score, its score the sum of the
    best of each view over the number of views, so that what only one of them saw counts less (Solovyev et al., 2021).
    """
    found = [_real(np.asarray(rows, np.float64), np.zeros(len(rows), bool))[0] for rows in views]
    owners = np.concatenate([np.full(len(rows), number) for number, rows in enumerate(found)]).astype(np.int64)
    joined = np.concatenate(found)
    order = np.argsort(-joined[:, 4], kind="stable")
    groups: list[list[int]] = []
    heads = np.zeros((0, 6))
    for number in order:
        box = joined[number]
        best = _best_match(box, heads)
        if best is None:
            groups.append([int(number)])
            heads = np.concatenate([heads, box[None]])
        else:
            groups[best].append(int(number))
            heads[best, :4] = _mean(joined[groups[best]])
    for place, group in enumerate(groups):
        best_of = {int(owners[number]): joined[number, 4] for number in reversed(group)}  # the best is the first of the group
        heads[place, 4] = sum(best_of.values()) / len(views)
    return heads[np.argsort(-heads[:, 4], kind="stable")].astype(np.float32)


def _best_match(box: np.ndarray, heads: np.ndarray) -> int | None:
    """Which of the boxes (m, 6) is the same as `box` (6,), the most alike of several."""
    if not len(heads):
        return None
    shared, union, _ = _overlaps(box, heads)
    alike = np.where(heads[:, 5] == box[5], shared / np.maximum(union, 1e-12), 0.0)
    best = int(alike.argmax())
    return best if alike[best] > SAME else None


def _mean(rows: np.ndarray) -> np.ndarray:
    weights = rows[:, 4:5]
    return np.asarray((rows[:, :4] * weights).sum(axis=0) / weights.sum())


def _overlaps(box: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Areas that a box (6,) shares with others (m, 6), those of both together, and its own."""
    width = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
    height = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
    shared = width.clip(0) * height.clip(0)
    own = float((box[2] - box[0]) * (box[3] - box[1]))
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    return shared, own + areas - shared, own


def _real(rows: np.ndarray, cut: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows that are boxes; one whose numbers are none stays, for it is an answer that is wrong."""
    kept = ~(rows[:, 4] <= 0)
    return rows[kept], cut[kept]
