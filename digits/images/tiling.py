"""Large pictures in overlapping tiles: where the tiles lie, and how what was made of them becomes one again.

One rule of blending for everything that lies over the picture: at an inner seam the outer quarter of the overlap counts nothing,
for there a network sees the edge of its tile, and the rest of the overlap fades from one tile to the next, so that weights add up
to 1 at every pixel. What looks no further than that quarter gives the same with and without tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

UNUSED = 4  # one part in so many of the overlap lies too near the edge of a tile


@dataclass(frozen=True)
class Side:
    """One side of a picture, `length` pixels, in tiles of `tile` that overlap by at least `overlap` (up to half a tile)."""

    length: int
    tile: int
    overlap: int

    @cached_property
    def starts(self) -> list[int]:
        """The first pixel of each tile; the last one ends with the picture."""
        step = max(1, self.tile - self.overlap)
        count = 1 + max(0, -(-(self.length - self.tile) // step))
        return [min(number * step, self.length - self.tile) for number in range(count)]

    @cached_property
    def weights(self) -> np.ndarray:
        """How much each pixel of each tile counts, float32 (n, w) in [0, 1]; those of one pixel of the picture add up to 1."""
        own = np.stack([self._fading(start) for start in self.starts])
        total = np.zeros(self.length)
        for start, weights in zip(self.starts, own, strict=True):
            total[start : start + self.tile] += weights
        parts = [weights / total[start : start + self.tile] for start, weights in zip(self.starts, own, strict=True)]
        return np.stack(parts).astype(np.float32)

    def _fading(self, start: int) -> np.ndarray:
        """Of a tile, (tile,): 1 in its middle, less towards its inner seams."""
        unused = self.overlap // UNUSED
        if not self.overlap:
            return np.ones(self.tile)
        rising = ((np.arange(self.tile) + 0.5 - unused) / (self.overlap - 2 * unused)).clip(0, 1)
        whole = np.ones(self.tile)
        first, last = start == 0, start + self.tile == self.length
        return np.minimum(whole if first else rising, whole if last else rising[::-1])


@dataclass(frozen=True)
class Tile:
    """A part of a picture: `top` and `left` are its first pixel, `row` and `column` its place among the tiles."""

    row: int
    column: int
    top: int
    left: int


@dataclass(frozen=True)
class Grid:
    """The tiles of a picture."""

    rows: Side
    columns: Side

    @classmethod
    def of(cls, size: tuple[int, int], tile: tuple[int, int], overlap: float) -> Grid:
        """Of a picture of `size` (H, W) at least as large as a `tile` (h, w); `overlap` is a share of the tile, 0 to 0.5."""
        sides = [Side(length, part, min(int(round(part * overlap)), part // 2)) for length, part in zip(size, tile, strict=True)]
        return cls(*sides)

    def __len__(self) -> int:
        return len(self.rows.starts) * len(self.columns.starts)

    def __iter__(self) -> Iterator[Tile]:
        for row, top in enumerate(self.rows.starts):
            for column, left in enumerate(self.columns.starts):
                yield Tile(row, column, top, left)

    def part(self, picture: np.ndarray, tile: Tile) -> np.ndarray:
        """The tile (…, h, w) of a picture (…, H, W), a view."""
        return picture[..., tile.top : tile.top + self.rows.tile, tile.left : tile.left + self.columns.tile]

    def weights(self, tile: Tile) -> np.ndarray:
        """How much each pixel of a tile counts, float32 (h, w)."""
        return self.rows.weights[tile.row][:, None] * self.columns.weights[tile.column]

    def seams(self, tile: Tile) -> tuple[bool, bool, bool, bool]:
        """Whether the left, top, right and bottom of a tile lie inside of the picture."""
        right, bottom = tile.left + self.columns.tile < self.columns.length, tile.top + self.rows.tile < self.rows.length
        return tile.left > 0, tile.top > 0, right, bottom


class Blend:
    """Puts what was made of tiles, (C, h, w) each, together to (C, H, W), float32."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._sum: np.ndarray | None = None

    def add(self, tile: Tile, made: np.ndarray) -> None:
        """What was made of a tile, (C, h, w)."""
        if self._sum is None:
            self._sum = np.zeros((len(made), self._grid.rows.length, self._grid.columns.length), np.float32)
        self._grid.part(self._sum, tile)[...] += made * self._grid.weights(tile)

    def whole(self) -> np.ndarray:
        """Of all tiles, (C, H, W)."""
        assert self._sum is not None
        return self._sum
