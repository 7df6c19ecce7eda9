"""Pictures turned by quarters, mirrored and scaled, and what was found in them turned back exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from digits.utils.resizing import scaled


@dataclass(frozen=True)
class Turn:
    """First mirrored from left to right, then turned by `quarters` against the clock, then scaled."""

    quarters: int = 0
    mirrored: bool = False
    scale: float = 1.0

    @property
    def swaps(self) -> bool:
        """Whether width and height change places."""
        return self.quarters % 2 == 1

    @property
    def words(self) -> str:
        """What it does, for people."""
        turned = [f"turned by {90 * self.quarters}°"] if self.quarters else []
        size = [f"scaled by {self.scale:g}"] if self.scale != 1.0 else []
        return ", ".join([*(["mirrored"] if self.mirrored else []), *turned, *size]) or "as it is"

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(H, W) of what becomes of a picture of that size."""
        turned = (width, height) if self.swaps else (height, width)
        return max(1, round(turned[0] * self.scale)), max(1, round(turned[1] * self.scale))

    def of(self, pictures: np.ndarray) -> np.ndarray:
        """Pictures (N, C, H, W), dtype kept; a copy only where they are scaled."""
        found = np.rot90(pictures[..., ::-1] if self.mirrored else pictures, self.quarters, axes=(-2, -1))
        if self.scale == 1.0:
            return found
        return _resized(found, self.size(*pictures.shape[-2:]))

    def undone(self, maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """What lies over turned pictures, (N, C, h, w), as it lies over the given ones of `size` (H, W)."""
        turned = (size[1], size[0]) if self.swaps else size
        found = np.rot90(maps if self.scale == 1.0 else _resized(maps, turned), -self.quarters, axes=(-2, -1))
        return found[..., ::-1] if self.mirrored else found

    def undone_boxes(self, rows: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Boxes (n, 6) that begin with left, top, right, bottom in pixels of the turned picture, in those of the given one of
        `size` (H, W); dtype kept."""
        found = np.array(rows)
        turned = (size[1], size[0]) if self.swaps else size  # (height, width)
        scaled_to = self.size(*size)
        found[:, [0, 2]] *= turned[1] / scaled_to[1]
        found[:, [1, 3]] *= turned[0] / scaled_to[0]
        height, width = turned
        for _ in range(self.quarters % 4):
            left, top, right, bottom = found[:, :4].T.copy()
            found[:, :4] = np.stack([height - bottom, left, height - top, right], axis=1)
            height, width = width, height
        if self.mirrored:
            found[:, [0, 2]] = width - found[:, [2, 0]]
        return found


def _resized(arrays: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Arrays (N, C, H, W) at `size` (H, W), bilinear, dtype kept."""
    return np.stack([scaled(one.transpose(1, 2, 0), (size[1], size[0])).transpose(2, 0, 1) for one in arrays])


def all_turns(*, horizontal: bool, vertical: bool, quarters: bool) -> list[Turn]:
    """What the wished flips and turns make together, the picture as it is first."""
    if quarters:
        mirrors = (False, True) if horizontal or vertical else (False,)
        return [Turn(number, mirrored) for mirrored in mirrors for number in range(4)]
    found = [Turn()]
    found += [Turn(0, True)] if horizontal else []
    found += [Turn(2, True)] if vertical else []
    return [*found, Turn(2)] if horizontal and vertical else found
