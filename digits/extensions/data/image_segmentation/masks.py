"""From a mask file to class numbers: index and palette masks by a table of values, colour masks by a table of colours.

A mask in records is (H, W) uint8 with classes from 0 on and 255 where a pixel does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from digits.domain.datasets import IGNORED
from digits.errors import LoadImageError
from digits.utils.image import load_array

MOST_CLASSES = 255
VALUES = 1 << 16
SHOWN = 5
COLOUR_ADVICE = "Choose the colour map from a text file, or one of the known label sets, or save the masks as class numbers."


@dataclass(frozen=True)
class MaskRules:
    """`values` maps the value of a pixel to a class (or IGNORED); `colours` maps `R<<16 | G<<8 | B` to one.

    With `by_colour` masks are read as colours (palettes are applied first). `unknown_void`: values and colours in neither
    table do not count, in place of being an error.
    """

    values: Mapping[int, int] = field(default_factory=dict)
    colours: Mapping[int, int] = field(default_factory=dict)
    by_colour: bool = False
    unknown_void: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "values": [list(pair) for pair in self.values.items()],
            "colours": [list(pair) for pair in self.colours.items()],
            "by_colour": self.by_colour,
            "unknown_void": self.unknown_void,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> MaskRules:
        return cls(dict(value["values"]), dict(value["colours"]), bool(value["by_colour"]), bool(value["unknown_void"]))

    def read(self, path: str) -> np.ndarray:
        """The classes (H, W) uint8 of a mask file. Raises LoadImageError naming file, value or colour, place and remedy."""
        if self.by_colour:
            return self._from_colours(read_colours(path), path)
        return self._from_values(read_values(path), path)

    def _from_values(self, mask: np.ndarray, path: str) -> np.ndarray:
        table = np.full(VALUES, -1, np.int16)
        for value, number in self.values.items():
            table[value] = number
        classes = table[mask]
        return self._checked(classes, path, lambda row, column: f"the class number {mask[row, column]}", self._value_remedy())

    def _from_colours(self, codes: np.ndarray, path: str) -> np.ndarray:
        keys = np.array(sorted(self.colours), np.int64)
        numbers = np.array([self.colours[int(key)] for key in keys], np.int16)
        places = np.searchsorted(keys, codes).clip(0, len(keys) - 1)
        classes = np.where(keys[places] == codes, numbers[places], -1)
        remedy = "Add a line for it to the colour map, or let unknown colours not count. JPEG changes colours: save masks as PNG."
        return self._checked(classes, path, lambda row, column: f"the colour {colour_text(int(codes[row, column]))}", remedy)

    def _checked(self, classes: np.ndarray, path: str, what: Any, remedy: str) -> np.ndarray:
        unknown = classes < 0
        if unknown.any():
            if not self.unknown_void:
                row, column = np.argwhere(unknown)[0]
                count = int(unknown.sum())
                raise LoadImageError(
                    f"{path} has {what(row, column)} at x {column}, y {row} ({count} such pixels), which no class has.",
                    advice=remedy,
                )
            classes = np.where(unknown, IGNORED, classes)
        return classes.astype(np.uint8)

    def _value_remedy(self) -> str:
        known = sorted(value for value, number in self.values.items() if number != IGNORED)
        span = f"Known are {known[0]} to {known[-1]}. " if known else ""
        return f"{span}Add the missing class names, or list the value among those that do not count."


def read_values(path: str) -> np.ndarray:
    """The numbers (H, W) of an index or palette mask, as int64 from 0 to 65535. Raises LoadImageError."""
    array = load_array(path)
    if array.ndim == 3:
        array = _one_channel(array, path)
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.rint(array))).all():
        raise LoadImageError(f"{path} holds numbers that are no whole class numbers.", advice="Save the mask as whole numbers.")
    low, high = array.min(), array.max()
    if low < 0 or high >= VALUES:
        raise LoadImageError(f"{path} holds values from {low} to {high}.", advice=f"A mask has values from 0 to {VALUES - 1}.")
    return array.astype(np.int64)


def read_colours(path: str) -> np.ndarray:
    """The colours (H, W) of a mask as int64 `R<<16 | G<<8 | B`. Raises LoadImageError."""
    try:
        with Image.open(path) as image:
            array = np.asarray(image.convert("RGB")).astype(np.int64)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise LoadImageError(f"{path} cannot be read as a mask: {error}.") from error
    return (array[:, :, 0] << 16) | (array[:, :, 1] << 8) | array[:, :, 2]


def read_palette(path: str) -> list[int]:
    """The 768 numbers of a palette picture; empty for other pictures and for ones that cannot be read."""
    try:
        with Image.open(path) as image:
            found = image.getpalette("RGB") if image.mode == "P" else None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return []
    return (list(found) + [0] * 768)[:768] if found else []


def colour_code(colour: tuple[int, int, int]) -> int:
    """A colour as one number."""
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def colour_text(code: int) -> str:
    """A colour as it stands in a colour map file."""
    return f"{code >> 16} {code >> 8 & 255} {code & 255}"


def _one_channel(array: np.ndarray, path: str) -> np.ndarray:
    """A grey mask that was saved with several equal channels; transparency does not matter."""
    colour = array[:, :, :3] if array.shape[2] >= 3 else array[:, :, :1]
    if (colour == colour[:, :, :1]).all():
        return colour[:, :, 0]
    raise LoadImageError(f"{path} has colours, not class numbers.", advice=COLOUR_ADVICE)
