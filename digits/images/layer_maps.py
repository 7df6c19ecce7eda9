"""Arrays of layers and maps over pictures as PNG files in colours that everybody can tell apart: viridis, cividis, grey; blue to
orange where a map has two directions. What is no number is red, what lies between tiles is clear."""

from __future__ import annotations

import functools
import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from digits.domain.inside import MAP_COLOURS

GAP, NO_NUMBER, FIRST_LEVEL = 0, 1, 2  # places of the palette; from the last on up to 255 lie the values
RED = (214, 39, 40)
BLUE, WHITE, ORANGE = (33, 102, 172), (247, 247, 247), (179, 88, 6)  # of two directions
SIGNED = "signed"
LARGEST_SIDE = 2400  # pixels of a drawing
WANTED_SIDE = 1100
MOST_TILES = 64
BETWEEN = 2  # pixels at least
WIDEST_BETWEEN = 10
LARGEST_TILE = 256  # that small ones are enlarged to
MAP_SIDE = 512  # of a map that lies over a picture
MOST_EXTREME = 99.0  # percentile of a signed map's sizes that is drawn as strongest


@dataclass(frozen=True)
class Drawing:
    """A PNG file, empty where `reason` says why there is none. `low` and `high` are the values of its first and last colour,
    `shown` of `total` tiles are in it, `note` says what was changed to fit."""

    png: bytes = b""
    low: float = 0.0
    high: float = 0.0
    shown: int = 0
    total: int = 0
    reason: str = ""
    note: str = ""


def draw_array(
    array: np.ndarray,
    colours: str = MAP_COLOURS[0],
    *,
    first: int = 0,
    most: int = MOST_TILES,
    low: float | None = None,
    high: float | None = None,
) -> Drawing:
    """An array of any shape: two axes as one heat map, more as tiles (the last two axes each), `most` of them from tile `first`
    on; a single axis wrapped. Colours go from `low` to `high`, by default the smallest and the largest value of all tiles."""
    if array.size == 0:
        return Drawing(reason="It is empty.")
    if array.size == 1:
        return Drawing(reason=f"It is a single number: {float(array.reshape(-1)[0]):.6g}.")
    tiles = _tiles(array)  # (N, H, W)
    finite = tiles[np.isfinite(tiles)]
    if not finite.size:
        return Drawing(reason="None of its values is a number.")
    ends = float(finite.min()) if low is None else low, float(finite.max()) if high is None else high
    fitting = max(1, LARGEST_SIDE // (max(tiles.shape[1:]) + BETWEEN)) ** 2
    start = min(first, len(tiles) - 1)
    chosen = tiles[start : start + min(most, fitting)]
    height, width = chosen.shape[1:]
    note = ""
    if max(height, width) > LARGEST_SIDE:  # then it is one tile
        chosen = _shrunk(chosen[0], LARGEST_SIDE)[None]
        note = f"Shrunk from {width}×{height}; a pixel is a mean."
    grid = _grid(_levels(chosen, *ends))
    return Drawing(_png(grid, palette(colours)), *ends, len(chosen), len(tiles), note=note)


def draw_colour_filters(array: np.ndarray, *, first: int = 0, most: int = MOST_TILES) -> Drawing:
    """Kernels (O, 3, h, w) that look at red, green and blue, as tiles in these colours, all by one scale."""
    finite = array[np.isfinite(array)]
    if not finite.size:
        return Drawing(reason="None of its values is a number.")
    low, high = float(finite.min()), float(finite.max())
    chosen = array[min(first, len(array) - 1) :][:most]
    shown = np.nan_to_num((chosen - low) / ((high - low) or 1.0), nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    channels = [_grid((shown[:, c] * 253).astype(np.uint8) + FIRST_LEVEL) for c in range(3)]
    grid = np.stack([*channels, np.where(channels[0] == GAP, 0, 255).astype(np.uint8)], axis=-1)  # (H, W, 4)
    buffer = io.BytesIO()
    Image.fromarray(grid, "RGBA").save(buffer, "PNG", compress_level=1)
    return Drawing(buffer.getvalue(), low, high, len(chosen), len(array))


def draw_map(values: np.ndarray, colours: str, *, signed: bool, from_zero: bool = True) -> Drawing:
    """A map (H, W) over a picture. Of two directions 0 is white, and the strongest colour is the 99th percentile of the sizes,
    which single pixels do not decide; else colours go from 0, or from the smallest, to the largest."""
    finite = values[np.isfinite(values)]
    sizes = np.abs(finite)
    top = float(np.percentile(sizes, MOST_EXTREME) if signed else sizes.max()) if sizes.size else 0.0
    top = top or (float(sizes.max()) if sizes.size else 0.0) or 1.0
    low = -top if signed else 0.0 if from_zero or not finite.size else float(finite.min())
    levels = _levels(_shrunk(values, MAP_SIDE), low, top)
    return Drawing(_png(levels, palette(SIGNED if signed else colours)), low, top, 1, 1)


@functools.lru_cache(maxsize=8)
def palette(colours: str) -> bytes:
    """The 256 colours of a drawing, three bytes each: gap, no number, then from the lowest value to the highest."""
    return bytes([0, 0, 0, *RED, *_ramp(colours)[: 256 - FIRST_LEVEL].reshape(-1).tolist()])


def _ramp(colours: str) -> np.ndarray:
    """Colours (254, 3) uint8."""
    import cv2

    count = 256 - FIRST_LEVEL
    if colours == SIGNED:
        places = np.linspace(0, 2, count)
        parts = [np.interp(places, [0, 1, 2], channel) for channel in zip(BLUE, WHITE, ORANGE, strict=True)]
        return np.stack(parts, axis=1).round().astype(np.uint8)
    levels = np.linspace(0, 255, count).round().astype(np.uint8)
    if colours == "grey":
        return np.repeat(levels[:, None], 3, axis=1)
    table = {"viridis": cv2.COLORMAP_VIRIDIS, "cividis": cv2.COLORMAP_CIVIDIS}[colours]
    return np.asarray(cv2.applyColorMap(levels, table)).reshape(-1, 3)[:, ::-1]  # OpenCV has blue first


def _tiles(array: np.ndarray) -> np.ndarray:
    """(N, H, W) of an array of any shape: kernels of one pixel are a matrix, a single axis is wrapped."""
    if array.ndim > 2 and math.prod(array.shape[2:]) == 1:
        array = array.reshape(array.shape[:2])
    if array.ndim == 2 and 1 in array.shape:
        array = array.reshape(-1)
    if array.ndim > 2:
        return array.reshape(-1, *array.shape[-2:])
    if array.ndim == 2:
        return array[None]
    columns = math.ceil(math.sqrt(len(array)))
    wrapped = np.full(columns * -(-len(array) // columns), np.nan, np.float32)
    wrapped[: len(array)] = array
    return wrapped.reshape(1, -1, columns) if len(wrapped) == len(array) else _padded_last(wrapped, len(array), columns)


def _padded_last(wrapped: np.ndarray, count: int, columns: int) -> np.ndarray:
    """A wrapped axis as (1, H, W) whose rest repeats the last value: it is no value of its own, and no red either."""
    wrapped[count:] = wrapped[count - 1]
    return wrapped.reshape(1, -1, columns)


def _levels(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Places of the palette, uint8, of values of any shape."""
    span = 255 - FIRST_LEVEL
    finite = np.isfinite(values)
    scaled = (np.where(finite, values, low).astype(np.float64) - low) * (span / (high - low) if high > low else 0.0)
    return np.where(finite, scaled.clip(0, span).round() + FIRST_LEVEL, NO_NUMBER).astype(np.uint8)


def _grid(tiles: np.ndarray) -> np.ndarray:
    """Tiles (N, H, W) uint8 in rows and columns, small ones enlarged so that each pixel is a square, with clear lines between."""
    count = len(tiles)
    columns = min(count, max(1, math.ceil(math.sqrt(count * tiles.shape[1] / tiles.shape[2]))))
    rows = -(-count // columns)
    room = WANTED_SIDE // max(columns * tiles.shape[2], rows * tiles.shape[1])
    largest = (LARGEST_TILE if count > 1 else WANTED_SIDE) // max(tiles.shape[1:])
    zoom = max(1, min(room, largest))
    large = tiles.repeat(zoom, axis=1).repeat(zoom, axis=2)
    _, height, width = large.shape
    gap = min(WIDEST_BETWEEN, max(BETWEEN, zoom // 3))  # kernels of few large pixels are told apart too
    grid = np.full((rows * columns, height + gap, width + gap), GAP, np.uint8)
    grid[:count, :height, :width] = large
    whole = grid.reshape(rows, columns, height + gap, width + gap).transpose(0, 2, 1, 3)
    return whole.reshape(rows * (height + gap), columns * (width + gap))[:-gap, :-gap]


def _shrunk(values: np.ndarray, side: int) -> np.ndarray:
    """A map (H, W) whose sides are at most `side`, each pixel the mean of what it stands for."""
    largest = max(values.shape)
    if largest <= side:
        return values
    width, height = (max(1, round(have * side / largest)) for have in values.shape[::-1])
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize((width, height), Image.Resampling.BOX))


def _png(levels: np.ndarray, colours: bytes) -> bytes:
    """Places (H, W) uint8 of a palette."""
    image = Image.fromarray(np.ascontiguousarray(levels), "L")
    image.putpalette(colours)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1, transparency=GAP)
    return buffer.getvalue()
