"""Arrays made into something to look at: stretched to 8 bits, tiled, coloured, enlarged. Reached through `digits.utils.image`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def display_image(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Any (H, W) or (H, W, C) array as uint8 (H, W) or (H, W, 3) for the eye.

    uint8 stays; other types are stretched from the 1st to the 99th percentile of their finite values. Of two channels the
    first is shown, of more than three the first three.
    """
    values = np.asarray(array)
    if values.ndim == 3:
        values = values[:, :, :3] if values.shape[2] >= 3 else values[:, :, 0]
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    scaled = values.astype(np.float64)
    finite = scaled[np.isfinite(scaled)]
    low, high = np.percentile(finite, (1, 99)) if finite.size else (0.0, 0.0)
    if high <= low and finite.size:
        low, high = finite.min(), finite.max()
    unit = (np.where(np.isfinite(scaled), scaled, low) - low) / ((high - low) or 1.0)
    return (unit.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def vis_square(images: ArrayLike, padsize: int = 1, normalize: bool = False, colormap: str | None = None) -> NDArray[np.uint8]:
    """Tile pictures into a grid that is as square as possible: (N, H, W) or (N, H, W, C) in, uint8 (rows, columns, 3) out.

    `normalize` stretches the whole of it to [0, 1] first; otherwise floats are taken to lie in [0, 1] and integers in
    [0, 255]. Grey tiles are coloured by `colormap` (see `get_color_map`).
    """
    tiles = np.asarray(images)
    if tiles.ndim not in (3, 4):
        raise ValueError(f"the shape is {tiles.shape}, expected (N, H, W) or (N, H, W, C)")
    scaled = _unit_range(tiles, normalize)
    coloured = _colour(scaled, colormap or "white") if tiles.ndim == 3 else _three_channels(scaled)
    return _grid((coloured * 255).round().astype(np.uint8), padsize)


def get_color_map(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Red, green and blue of a colour map, each float64 (256,) in [0, 255]. An unknown name gives `jet`."""
    points = COLOR_MAPS.get(name, COLOR_MAPS["jet"])
    red, green, blue = (_interpolate(channel) for channel in points)
    return red, green, blue


def upscale(image: NDArray[Any], ratio: float) -> NDArray[Any]:
    """Enlarge (H, W) or (H, W, C) by `ratio` ≥ 1 with hard pixel edges; the dtype stays."""
    if ratio < 1:
        raise ValueError(f"the ratio is {ratio}, at least 1 is needed")
    rows = (np.arange(int(image.shape[0] * ratio)) / ratio).astype(int)
    columns = (np.arange(int(image.shape[1] * ratio)) / ratio).astype(int)
    return image[rows][:, columns]


# Control points of red, green, blue between 0 and 1, evenly spaced.
COLOR_MAPS: dict[str, tuple[list[float], list[float], list[float]]] = {
    "white": ([0, 1], [0, 1], [0, 1]),
    "simple": ([0, 1, 2 / 3, 1], [0, 2 / 3, 1, 1], [0, 1 / 3, 1 / 3, 1]),
    "hot": ([0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]),
    "rainbow": ([1, 1, 0, 0, 0, 1], [0, 1, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1]),
    "winter": ([0, 0], [0, 1], [1, 0.5]),
    "jet": ([0, 0, 0, 0, 0.5, 1, 1, 1, 0.5], [0, 0, 0.5, 1, 1, 1, 0.5, 0, 0], [0.5, 1, 1, 1, 0.5, 0, 0, 0, 0]),
}


def _unit_range(values: NDArray[Any], normalize: bool) -> NDArray[np.float64]:
    scaled = values.astype(np.float64)
    if normalize:
        low, high = float(scaled.min(initial=0)), float(scaled.max(initial=0))
        if values.size:
            low, high = float(scaled.min()), float(scaled.max())
        return (scaled - low) / (high - low) if high > low else np.zeros_like(scaled)
    if values.dtype.kind in "ui":
        scaled /= 255
    return np.nan_to_num(scaled).clip(0, 1)


def _colour(tiles: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """(…, H, W) in [0, 1] to (…, H, W, 3) in [0, 1]."""
    index = (tiles * 255).round().astype(np.uint8)
    return np.stack([channel[index] / 255 for channel in get_color_map(name)], axis=-1)


def _three_channels(tiles: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.repeat(tiles, 3, axis=-1) if tiles.shape[-1] == 1 else tiles[..., :3]


def _grid(tiles: NDArray[np.uint8], padsize: int) -> NDArray[np.uint8]:
    count, height, width, channels = tiles.shape
    columns = max(1, int(np.ceil(np.sqrt(count))))
    rows = max(1, -(-count // columns))
    canvas = np.zeros((rows * (height + padsize) - padsize, columns * (width + padsize) - padsize, channels), np.uint8)
    for i, tile in enumerate(tiles):
        top, left = (i // columns) * (height + padsize), (i % columns) * (width + padsize)
        canvas[top : top + height, left : left + width] = tile
    return canvas


def _interpolate(points: list[float]) -> NDArray[np.float64]:
    return 255.0 * np.interp(np.linspace(0, 1, 256), np.linspace(0, 1, len(points)), points)
