"""One look at each mask before the start: which values there are, which of them are only found where two regions meet, which
files are JPEG, which colours their palettes give to the values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from digits.errors import LoadImageError
from digits.extensions.data.image_segmentation.masks import VALUES, values_of
from digits.extensions.data.image_segmentation.palettes import Palettes, unlike
from digits.utils.confinement import adopt, current, open_file
from digits.utils.stored import loses_something, read_stored

THREADS = 4  # decoding gives the interpreter free
TOGETHER = 256  # files between two looks at whether to stop
FEW = 2  # so many values in one file have no smoothed edges between them,
LOW = 32  # nor have such low ones that edges would show
MANY_MASKS = 10
WHITES = {255, 65535}
ONE_AND_WHITE = {1} | WHITES  # what objects on 0 are in black and white masks
STRAY = 0.01  # share of a mask's pixels
OBJECTS = 10  # masks that count up to less are not taken for numbered objects


@dataclass(frozen=True)
class Look:
    """One mask: its `values` with how many pixels have them and how many of those are at an `edges`, all (n,); or `error`.

    A pixel counts as an edge where its value lies between those of two opposite neighbours; in a JPEG, which also
    puts ripples around edges, where it differs from the next one.
    """

    path: str
    values: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    edges: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    palette: tuple[int, ...] = ()
    is_lossy: bool = False
    error: str = ""


@dataclass
class Histogram:
    """Pixels of some masks by value, int64 (65536,): all of them and those at edges; and how many masks have the value."""

    counts: np.ndarray = field(default_factory=lambda: np.zeros(VALUES, np.int64))
    edges: np.ndarray = field(default_factory=lambda: np.zeros(VALUES, np.int64))
    masks: np.ndarray = field(default_factory=lambda: np.zeros(VALUES, np.int64))

    def add(self, look: Look) -> None:
        self.counts[look.values] += look.counts
        self.edges[look.values] += look.edges
        self.masks[look.values] += 1

    def only(self, values: set[int]) -> Histogram:
        """The same without other values."""
        kept = np.isin(np.arange(VALUES), list(values))
        return Histogram(self.counts * kept, self.edges * kept, self.masks * kept)

    @property
    def values(self) -> list[int]:
        """The values that occur, in their order."""
        return list(map(int, np.flatnonzero(self.counts)))


@dataclass
class Survey:
    """What was seen in some masks."""

    masks: int = 0
    first: str = ""  # of those that could be read
    kept: Histogram = field(default_factory=Histogram)
    lossy: Histogram = field(default_factory=Histogram)
    lossy_files: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    palettes: Palettes = field(default_factory=Palettes)
    where: dict[int, str] = field(default_factory=dict)  # the first mask with a value
    objects: Counter[int] = field(default_factory=Counter)  # masks of 0 and 1, of 0 and white, by the other value
    beside_white: set[int] = field(default_factory=set)  # other values than 0 of the masks that have white
    tops: list[int] = field(default_factory=list)  # of the masks that hold every number from 0 (or 1) up to one, that one

    def add(self, look: Look) -> None:
        self.masks += 1
        if look.error:
            self.errors.append(look.error)
            return
        self.first = self.first or look.path
        (self.lossy if look.is_lossy else self.kept).add(look)
        if look.is_lossy:
            self.lossy_files.append(look.path)
        values = set(look.values.tolist())
        self.palettes.add(look.path, sorted(values), look.palette)
        for value in values - self.where.keys():
            self.where[value] = look.path
        of_object = values & ONE_AND_WHITE
        if len(of_object) == 1 and len(values) == 2 and 0 in values:
            self.objects.update(of_object)
        for white in values & WHITES:
            self.beside_white |= values - {0, white}
        if len(look.values) and look.values[-1] - look.values[0] + 1 == len(look.values) and look.values[0] <= 1:
            self.tops.append(int(look.values[-1]))

    def counts_objects(self) -> bool:
        """Whether the values seem to number the objects of each picture: almost every mask counts up to a number of its own."""
        is_gapless = len(self.tops) >= 0.9 * (self.masks - len(self.errors))
        return is_gapless and max(self.tops, default=0) >= OBJECTS and len(set(self.tops)) > 1

    def mixes_objects(self) -> bool:
        """Whether the object seems to be another one of 1, 255 and 65535 in some masks than in others."""
        return len(self.objects) > 1 and not self.beside_white & ONE_AND_WHITE and set(self.kept.values) <= {0} | ONE_AND_WHITE

    def strays(self) -> list[int]:
        """Values that a few pixels of a single mask have, where there are many masks."""
        if self.masks < MANY_MASKS:
            return []
        few = self.kept.counts < STRAY * self.kept.counts.sum() / self.masks
        return list(map(int, np.flatnonzero((self.kept.masks == 1) & few)))

    def only(self, values: set[int]) -> Survey:
        """The same without all pixels of other values."""
        return replace(self, kept=self.kept.only(values))


def survey(masks: Sequence[str], check_stop: Callable[[], None], most: int = 0) -> Survey:
    """Look at masks, each read once; with `most` at so many from all parts, and at those whose palettes differ from theirs. Those
    that cannot be read are left to the encoder to list."""
    found = Survey()
    chosen = spread(masks, most) if most else masks
    for look in _looks(chosen, check_stop):
        found.add(look)
    if len(chosen) < len(masks) and found.palettes.masks:
        looked_at = set(chosen)
        others = unlike([path for path in masks if path not in looked_at], found.palettes.whole)
        for look in _looks(others, check_stop):
            found.add(look)
    return found


def spread(items: Sequence[str], count: int) -> list[str]:
    """So many items, or all, from all parts."""
    rows = np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).astype(int))
    return [items[int(row)] for row in rows]


def lossy_among(masks: Sequence[str]) -> tuple[list[str], int]:
    """Those of some masks that are JPEG by their first bytes, and how many were looked at."""
    found = []
    for path in masks:
        try:
            with open_file(path) as handle:
                if loses_something(handle.read(16)):
                    found.append(path)
        except OSError:  # left to the encoder to list
            continue
    return found, len(masks)


def look_at(path: str) -> Look:
    """Read one mask."""
    try:
        stored = read_stored(path)
        mask = values_of(stored, path)
    except LoadImageError as error:
        return Look(path, error=str(error))
    counts = np.bincount(mask.reshape(-1))
    values = np.flatnonzero(counts)
    edges = np.zeros(len(values), np.int64)
    if len(values) > FEW and values[-1] >= LOW:
        edges = np.bincount(_edges(mask, stored.is_lossy), minlength=len(counts))[values]
    return Look(path, values, counts[values], edges, tuple(stored.palette), stored.is_lossy)


def _looks(masks: Sequence[str], check_stop: Callable[[], None]) -> Iterator[Look]:
    if len(masks) <= THREADS:
        yield from map(look_at, masks)
        return
    with ThreadPoolExecutor(THREADS, "masks", adopt, current()) as pool:
        for start in range(0, len(masks), TOGETHER):
            check_stop()
            yield from pool.map(look_at, masks[start : start + TOGETHER])


def _edges(mask: np.ndarray, is_lossy: bool) -> np.ndarray:
    """The values (n,) of the pixels at edges."""
    if is_lossy:
        here = mask[:-1, :-1]
        return here[(here != mask[1:, :-1]) | (here != mask[:-1, 1:])]
    at_edge = np.zeros(mask.shape, bool)
    at_edge[:, 1:-1] = _between(mask[:, 1:-1], mask[:, :-2], mask[:, 2:])
    at_edge[1:-1] |= _between(mask[1:-1], mask[:-2], mask[2:])
    return mask[at_edge]


def _between(values: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return (values > np.minimum(before, after)) & (values < np.maximum(before, after))
