"""What some files are as masks, seen from a few of them: for whoever proposes a data source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from digits.errors import LoadImageError
from digits.extensions.data.image_segmentation import levels
from digits.extensions.data.image_segmentation.masks import read_colours
from digits.extensions.data.image_segmentation.survey import Histogram, Survey, survey

CLASSES, BINARY, COLOURS, OBJECTS, PANOPTIC = "classes", "black and white", "colours", "numbers of objects", "panoptic"
MOST_VALUES = 64  # a grey picture with more different values is no mask


def kind_of(paths: Sequence[str]) -> str:
    """One of the words above; empty for what are no masks. Two files at least tell colours from panoptic numbers."""
    found = survey(paths, lambda: None)
    if len(found.errors) < found.masks:
        return _kind_of_grey(found)
    return _kind_of_colours(paths)


def _kind_of_grey(found: Survey) -> str:
    together = Histogram(found.kept.counts + found.lossy.counts, found.kept.edges + found.lossy.edges)
    values = together.values
    if set(values) <= {0, 255} or levels.threshold_of(together, least=0 if found.lossy_files else levels.SEVERAL):
        return BINARY
    if found.counts_objects():
        return OBJECTS
    return CLASSES if len(values) <= MOST_VALUES or levels.levels_of(together) else ""


def _kind_of_colours(paths: Sequence[str]) -> str:
    """Colours of classes come again in other masks; 24-bit numbers of objects do not."""
    sets: list[set[int]] = []
    for path in paths:
        try:
            sets.append(set(np.unique(read_colours(path)).tolist()) - {0})
        except LoadImageError:
            continue
    if not sets or max(map(len, sets)) > MOST_VALUES:
        return ""
    several = sum(map(len, sets))
    is_panoptic = len(sets) > 1 and several > 2 * len(sets) and len(set.union(*sets)) > 0.9 * several
    return PANOPTIC if is_panoptic else COLOURS
