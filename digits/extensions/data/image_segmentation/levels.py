"""Which grey values of masks are classes, and which only come from smoothing or from JPEG: edges between black and white have
every value between them, though nobody drew a class there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from digits.domain.datasets import IGNORED
from digits.extensions.data.image_segmentation.survey import Histogram

EDGE = 0.5  # share of a value's pixels that lie at edges, from which on it is no class
RARE = 0.001  # share of all pixels below which a value is no level of its own
END = 8  # an eighth of the whole range at either end is black or white
MOST = 0.5  # share of the pixels that are black or white, at least, in a mask of two classes
SEVERAL = 3  # so many further values, at least, speak for smoothing
MANY = 8
GAP = 4  # nearer levels are those of a picture
JPEG_GAP = 32  # levels nearer to each other cannot be told apart after JPEG


def threshold_of(found: Histogram, *, least: int = SEVERAL) -> int:
    """The value from which on pixels are object where masks are black and white with smoothed edges; 0 where they are not.

    `least` further values, all of them mostly at edges, are needed.
    """
    values = np.flatnonzero(found.counts)
    if len(values) < 2 + least:
        return 0
    whole = 255 if values[-1] < 256 else 65535
    dark, bright = values[values <= whole // END], values[values >= whole - whole // END]
    ends = found.counts[dark].sum() + found.counts[bright].sum()
    if not (len(dark) and len(bright)) or ends < MOST * found.counts.sum():
        return 0
    peaks = [dark[found.counts[dark].argmax()], bright[found.counts[bright].argmax()]]
    return (whole + 1) // 2 if _at_edges(found, np.setdiff1d(values, peaks)) else 0


def levels_of(found: Histogram, *, least: int = MANY) -> list[int]:
    """The values that are classes where many others, at least so many, only lie at edges between them; empty where it is not
    so."""
    values = np.flatnonzero(found.counts)
    counts, edges = found.counts[values], found.edges[values]
    is_level = (edges < EDGE * counts) & (counts >= RARE * counts.sum())
    levels, others = values[is_level], values[~is_level]
    if len(levels) < 2 or len(others) < (max(least, 2 * len(levels)) if least else 0) or not _at_edges(found, others):
        return []
    return list(map(int, levels)) if np.diff(levels).min() >= GAP else []


def tolerance_of(colours: np.ndarray) -> int:
    """How far a smoothed colour may be from one of the map (n, 3) to be that: half of the way between two colours, a quarter of
    the way to the nearest of several; 0 where they are too near to each other."""
    apart = np.abs(colours[:, np.newaxis] - colours).max(axis=2)
    least = int(apart[~np.eye(len(colours), dtype=bool)].min(initial=255))
    return 0 if least < JPEG_GAP else least // 2 + 1 if len(colours) == 2 else least // 4


def is_smoothed(codes: np.ndarray, known: np.ndarray) -> bool:
    """Whether a mask of colours (H, W) has many that are not among the known ones, but few pixels of them: smoothed edges."""
    unknown = codes[~np.isin(codes, known)]
    return unknown.size < MOST * codes.size and len(np.unique(unknown)) >= MANY


def are_apart(levels: Sequence[int]) -> bool:
    """Whether levels can be told apart after JPEG."""
    return bool(np.diff(levels).min(initial=JPEG_GAP) >= JPEG_GAP)


def around(levels: Sequence[int]) -> dict[int, int]:
    """Value to class number for all values from 0 to the end of the range: that of the level that is nearer than a quarter of
    the way to the next one; others, in the middle of an edge between two classes, do not count."""
    whole = 255 if levels[-1] < 256 else 65535
    values = np.arange(whole + 1)
    ends = np.array(levels)
    numbers = np.full(whole + 1, IGNORED)
    gaps = np.diff(ends)
    before, after = np.append(ends[0] + 1, gaps // 4), np.append(gaps // 4, whole)
    for number, (level, low, high) in enumerate(zip(ends, before, after, strict=True)):
        numbers[(values >= level - low) & (values <= level + high)] = number
    return dict(zip(map(int, values), map(int, numbers), strict=True))


def _at_edges(found: Histogram, values: np.ndarray) -> bool:
    return bool(found.edges[values].sum() >= EDGE * found.counts[values].sum())
