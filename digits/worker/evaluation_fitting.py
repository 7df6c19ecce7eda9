"""Records of another data set as a model wants them, and what it makes of them back at their own size.

Where an output belongs to places of the picture, sizes are squashed: a place at x of a width w comes to lie at x · W / w. Other
models get the picture as their own data set would have resized it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from digits.domain.inference import output_kind
from digits.errors import DataError
from digits.images.arrays import resize_array, with_channels

OF_PLACES = ("map", "boxes", "pictures")


class Fitting:
    """What one model wants of a picture; `wanted` is (C, H, W)."""

    def __init__(self, meta: Mapping[str, Any]) -> None:
        how = meta.get("image") or {}
        self.kind = output_kind(meta)
        self.wanted = tuple(int(n) for n in meta.get("stored_shape") or meta["input_shape"])
        self.least = tuple(int(n) for n in meta["input_shape"][1:])
        self.any_size = bool(how.get("keep_size")) or not meta.get("one_size", True)
        self.mode = "squash" if self.kind in OF_PLACES else str(how.get("resize_mode") or "squash")
        self.dtype = np.dtype((meta.get("preparation") or {}).get("dtype") or "uint8")

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether pictures of a shape need no fitting."""
        if self.any_size and shape[0] == self.wanted[0]:
            return shape[1] >= self.least[0] and shape[2] >= self.least[1]
        return tuple(shape) == self.wanted

    def fitted(self, feature: np.ndarray) -> np.ndarray:
        """A feature (C, H, W) with the model's channels and size. DataError for other types, LoadImageError for channels that
        cannot be converted."""
        if self.takes(feature.shape):
            return feature
        if feature.dtype != self.dtype:
            raise DataError(
                f"The records hold {feature.dtype} values, the model was trained on {self.dtype}.",
                advice="Choose a data set of the same type.",
            )
        picture = with_channels(feature.transpose(1, 2, 0), self.wanted[0])
        return resize_array(picture, *self._size(feature.shape), self.mode).transpose(2, 0, 1)

    def restored(self, output: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A kept output of a picture that had `size` (H, W) before it was fitted, as it would lie in that picture."""
        if self.kind not in OF_PLACES:
            return output
        y, x = (own / used for own, used in zip(size, self._size((0, *size)), strict=True))
        if self.kind == "boxes":
            return output * np.array([x, y, x, y, 1, 1], output.dtype)
        height, width = (max(1, round(side * by)) for side, by in zip(output.shape[-2:], (y, x), strict=True))
        if self.kind == "map":
            return output[nearest(output.shape[0], height)][:, nearest(output.shape[1], width)]
        return resize_array(output.transpose(1, 2, 0), height, width).transpose(2, 0, 1)

    def _size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Height and width that a picture of a shape is given."""
        if not self.any_size:
            return self.wanted[1], self.wanted[2]
        enough = max(1.0, *(least / side for least, side in zip(self.least, shape[1:], strict=True)))
        height, width = (max(least, round(side * enough)) for least, side in zip(self.least, shape[1:], strict=True))
        return height, width


def nearest(used: int, wanted: int) -> np.ndarray:
    """Which of `used` places is the nearest to each of `wanted` (int64)."""
    return ((np.arange(wanted) + 0.5) * used / wanted).astype(np.int64)
