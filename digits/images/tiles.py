"""Weights and activations as pictures: a grid of heat maps, no wider than a page, no smaller than the eye needs."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image

from digits.utils.image import upscale, vis_square

MAX_SIDE = 1200  # pixels of the whole picture
MIN_SIDE = 100
COLORMAP = "jet"
PADDING = 1


def picture_png(feature: np.ndarray) -> bytes:
    """A prepared picture (C, H, W) as PNG: 1 or 3 channels as they are, else the first. Other types than uint8 are stretched
    to 8 bits."""
    shown = feature if feature.shape[0] in (1, 3) else feature[:1]
    values = shown if shown.dtype == np.uint8 else _stretched(shown)
    return _png(values[0] if len(values) == 1 else values.transpose(1, 2, 0))


def input_png(data: np.ndarray) -> bytes:
    """What the network sees, (C, H, W), as a picture: stretched to full contrast, no smaller than the tiles are."""
    if data.ndim != 3 or data.size == 0:
        return activations_png(data)
    shown = _stretched(data if data.shape[0] in (1, 3) else data[:1]).transpose(1, 2, 0)
    return _png(_visible(shown[..., 0] if shown.shape[2] == 1 else shown))


def activations_png(data: np.ndarray) -> bytes:
    """Activations of one layer, (C, H, W), (T, D) or (N,), as tiles; empty bytes where there is nothing to draw."""
    if data.size == 0 or data.ndim == 0 or data.ndim > 3:
        return b""
    if data.ndim == 3 and data.shape[0] == 3:
        return _tiles_png(data.transpose(1, 2, 0)[np.newaxis])
    shapes = {1: (-1, 1, 1), 2: (1, *data.shape), 3: data.shape}
    return _tiles_png(data.reshape(shapes[data.ndim]))


def weights_png(data: np.ndarray) -> bytes:
    """Weights of one layer, (N,) or (N, M, h, w), as tiles; empty bytes for those of fully connected layers, (N, M), which
    show nothing to the eye."""
    if data.size == 0 or data.ndim not in (1, 4):
        return b""
    if data.ndim == 1:
        return _tiles_png(data.reshape(-1, 1, 1))
    if data.shape[1] == 3:
        return _tiles_png(data.transpose(0, 2, 3, 1))
    return _tiles_png(data.reshape(-1, *data.shape[2:]))


def _tiles_png(tiles: np.ndarray) -> bytes:
    """(N, H, W) as heat maps or (N, H, W, 3) in colour; as many as fit."""
    fitting = max(1, MAX_SIDE // (max(tiles.shape[1:3]) + PADDING)) ** 2
    chosen = _finite(tiles[:fitting])  # (n, H, W) or (n, H, W, 3)
    grid = vis_square(chosen, padsize=PADDING, normalize=True, colormap=COLORMAP)
    return _png(_visible(grid))


def _visible(grid: np.ndarray) -> np.ndarray:
    """A picture (H, W) or (H, W, 3) uint8, between `MIN_SIDE` and `MAX_SIDE` large."""
    side = max(grid.shape[:2])
    if side < MIN_SIDE:
        return upscale(grid, math.ceil(MIN_SIDE / side))
    if side <= MAX_SIDE:
        return grid
    scale = MAX_SIDE / side
    size = (max(1, int(grid.shape[1] * scale)), max(1, int(grid.shape[0] * scale)))
    return np.asarray(Image.fromarray(grid).resize(size, Image.Resampling.BOX))


def _stretched(values: np.ndarray) -> np.ndarray:
    """An array of any shape as uint8, its smallest value 0 and its largest 255."""
    numbers = _finite(values)
    low, high = float(numbers.min()), float(numbers.max())
    return ((numbers - low) * (255 / (high - low) if high > low else 0)).round().astype(np.uint8)


def _finite(values: np.ndarray) -> np.ndarray:
    """An array of any shape as float64; what is not finite becomes 0 or the end of the range of the rest."""
    numbers = values.astype(np.float64)
    rest = numbers[np.isfinite(numbers)]
    low, high = (float(rest.min()), float(rest.max())) if rest.size else (0.0, 0.0)
    return np.nan_to_num(numbers, nan=0.0, posinf=high, neginf=low)


def _png(array: np.ndarray) -> bytes:
    """Of (H, W) or (H, W, 3) uint8."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(array)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
