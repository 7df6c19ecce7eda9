"""From a mask file to class numbers: index and palette masks by a table of values, colour masks by a table of colours.

A mask in records is (H, W) uint8 with classes from 0 on and 255 where a pixel does not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from digits.domain.datasets import IGNORED
from digits.errors import LoadImageError
from digits.utils.confinement import open_file
from digits.utils.stored import Stored, check_size, read_stored, tiff_orientation, turn_upright

MOST_CLASSES = 255
VALUES = 1 << 16
BY_PALETTE, BY_KNOWN_COLOURS = "palette", "known colours"
FEW_COLOURS = 2  # fewer known ones may be those of a palette by chance, and nothing tells which counts, they or their numbers
TOGETHER = 4096  # colours that are compared at a time
COLOUR_ADVICE = (
    "Choose the colour map from a text file, or one of the known label sets, or save the masks as class numbers. COCO's panoptic "
    "masks are numbers of objects: say that the masks are a COCO file, and name the JSON file that belongs to them."
)
LOSSY = "is a JPEG or a lossy WebP, which changes the numbers of classes"
LOSSY_ADVICE = "Save the masks as PNG, from what they were made of: what JPEG changed cannot be undone."


@dataclass(frozen=True)
class MaskRules:
    """`values` maps the value of a pixel to a class (or IGNORED); `colours` maps `R<<16 | G<<8 | B` to one.

    With `by_colour` masks are read as colours (palettes are applied first). `unknown_void`: values and colours in neither
    table do not count, in place of being an error. `threshold`, where it is not 0, makes two classes: values from it on are
    class 1, but for those that do not count. `refuse_lossy`: a JPEG is an error. `tolerance`, where it is not 0: a colour of no
    class is that of the nearest one that differs by no more in any of red, green and blue; others do not count. `by_palette`:
    masks with a palette are read by its colours, where the table has all of them (BY_KNOWN_COLOURS), or else not at all
    (BY_PALETTE).
    """

    values: Mapping[int, int] = field(default_factory=dict)
    colours: Mapping[int, int] = field(default_factory=dict)
    by_colour: bool = False
    unknown_void: bool = False
    threshold: int = 0
    refuse_lossy: bool = False
    tolerance: int = 0
    by_palette: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "values": [list(pair) for pair in self.values.items()],
            "colours": [list(pair) for pair in self.colours.items()],
            "by_colour": self.by_colour,
            "unknown_void": self.unknown_void,
            "threshold": self.threshold,
            "refuse_lossy": self.refuse_lossy,
            "tolerance": self.tolerance,
            "by_palette": self.by_palette,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> MaskRules:
        return cls(
            dict(value["values"]),
            dict(value["colours"]),
            bool(value["by_colour"]),
            bool(value["unknown_void"]),
            int(value.get("threshold", 0)),  # this and what follows jobs of older versions lack
            bool(value.get("refuse_lossy", False)),
            int(value.get("tolerance", 0)),
            str(value.get("by_palette", "")),
        )

    def read(self, path: str) -> tuple[np.ndarray, int]:
        """The classes (H, W) uint8 of a mask file, upright, and the orientation (1 to 8) that the file was turned from.

        Raises LoadImageError naming file, value or colour, place and remedy.
        """
        if self.by_colour:
            codes, orientation = _read_colours(path)
            return self._from_colours(codes, path), orientation
        stored = read_stored(path)
        if stored.is_lossy and self.refuse_lossy:
            raise LoadImageError(f"{path} {LOSSY}.", advice=LOSSY_ADVICE)
        mask = values_of(stored, path)
        if self.threshold:
            two = (mask >= self.threshold).astype(np.uint8)
            two[self._table[mask] == IGNORED] = IGNORED
            return two, stored.orientation
        if self.by_palette and stored.palette and (classes := self._from_palette(mask, stored.palette, path)) is not None:
            return classes, stored.orientation
        return self._from_values(mask, path), stored.orientation

    def _from_palette(self, mask: np.ndarray, palette: Sequence[int], path: str) -> np.ndarray | None:
        """The classes (H, W) uint8 that the colours of a palette say; None where not all are known and need not be, so that the
        numbers count. Raises LoadImageError for unknown ones, and for a single one of another class than its number."""
        used = np.flatnonzero(np.bincount(mask.reshape(-1))).tolist()
        if used[-1] >= len(palette) // 3:
            return None
        colours = {value: _colour_at(palette, value) for value in used}
        told = {value: self.colours.get(colour) for value, colour in colours.items()}
        if self.by_palette == BY_KNOWN_COLOURS:
            if None in told.values():
                return None
            told |= {value: self.values[value] for value in used if value in self.values and self._is_filler(palette, value)}
            if len(told) < FEW_COLOURS:
                self._check_agreement(used[0], told, colours, path)
                return None
        unknown = next((value for value, number in told.items() if number is None), None)
        if unknown is not None:
            raise LoadImageError(
                f"{path}: its palette gives the number {unknown} the colour {colour_text(colours[unknown])}, which no class has.",
                advice="Save all masks with one palette, or give a colour map.",
            )
        numbers = np.zeros(VALUES, np.uint8)
        numbers[list(told)] = [number for number in told.values() if number is not None]
        return numbers[mask]

    def _is_filler(self, palette: Sequence[int], value: int) -> bool:
        """Whether a value's colour is that of another class, and stands at a number of that class too: behind the end of a short
        palette all is black."""
        colour = _colour_at(palette, value)
        number = self.colours[colour]
        own = [place for place, one in self.values.items() if one == number and 3 * place < len(palette)]
        return self.values[value] != number and any(_colour_at(palette, place) == colour for place in own)

    def _check_agreement(self, value: int, told: Mapping[int, int | None], colours: Mapping[int, int], path: str) -> None:
        """Raises LoadImageError where the one number of a mask is of another class than its colour."""
        if self.values.get(value, told[value]) != told[value]:
            colour = colour_text(colours[value])
            raise LoadImageError(
                f"{path}: its one number, {value}, and the colour that its palette gives it, {colour}, are of different classes.",
                advice="Save the masks with the palette of the label set, each colour at its own number.",
            )

    def _from_values(self, mask: np.ndarray, path: str) -> np.ndarray:
        classes = self._table[mask]
        return self._checked(classes, path, lambda row, column: f"the class number {mask[row, column]}", self._value_remedy())

    def _from_colours(self, codes: np.ndarray, path: str) -> np.ndarray:
        keys, numbers = self._colour_table
        places = np.searchsorted(keys, codes).clip(0, len(keys) - 1)
        classes = np.where(keys[places] == codes, numbers[places], -1)
        if self.tolerance and (classes < 0).any():
            classes[classes < 0] = self._nearest(codes[classes < 0])
        remedy = "Add a line for it to the colour map, or let unknown colours not count. JPEG changes colours: save masks as PNG."
        return self._checked(classes, path, lambda row, column: f"the colour {colour_text(int(codes[row, column]))}", remedy)

    def _nearest(self, codes: np.ndarray) -> np.ndarray:
        """Classes (n,) of colours (n,) that no class has: those of the nearest colours, or IGNORED."""
        keys, numbers = self._colour_table
        unknown, places = np.unique(codes, return_inverse=True)
        found = np.full(len(unknown), IGNORED, np.int16)
        for start in range(0, len(unknown), TOGETHER):
            part = channels(unknown[start : start + TOGETHER])[:, np.newaxis]
            apart = np.abs(part - channels(keys)).max(axis=2)  # (colours, classes)
            nearest = apart.argmin(axis=1)
            is_near = apart[np.arange(len(nearest)), nearest] <= self.tolerance
            found[start : start + TOGETHER][is_near] = numbers[nearest[is_near]]
        return found[places]

    @cached_property
    def _table(self) -> np.ndarray:
        """Class of every value, int16 (65536,); -1: none."""
        table = np.full(VALUES, -1, np.int16)
        for value, number in self.values.items():
            table[value] = number
        return table

    @cached_property
    def _colour_table(self) -> tuple[np.ndarray, np.ndarray]:
        """Colours, sorted, and their classes."""
        keys = np.array(sorted(self.colours), np.int32)
        return keys, np.array([self.colours[int(key)] for key in keys], np.int16)

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
    """The numbers (H, W) of an index or palette mask: uint8, or uint16 where one is above 255. Raises LoadImageError."""
    return values_of(read_stored(path), path)


def values_of(stored: Stored, path: str) -> np.ndarray:
    """The numbers (H, W) of a mask that was read: uint8, or uint16 where one is above 255. Raises LoadImageError."""
    array = stored.values
    if array.ndim == 3:
        array = _one_channel(stored, path)
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.rint(array))).all():
        raise LoadImageError(f"{path} holds numbers that are no whole class numbers.", advice="Save the mask as whole numbers.")
    low, high = array.min(), array.max()
    if low < 0 or high >= VALUES:
        raise LoadImageError(f"{path} holds values from {low} to {high}.", advice=f"A mask has values from 0 to {VALUES - 1}.")
    return array.astype(np.uint8 if high < 256 else np.uint16)


def read_colours(path: str) -> np.ndarray:
    """The colours (H, W) of a mask as int32 `R<<16 | G<<8 | B`. Raises LoadImageError."""
    return _read_colours(path)[0]


def colour_code(colour: tuple[int, int, int]) -> int:
    """A colour as one number."""
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def _colour_at(palette: Sequence[int], value: int) -> int:
    """The colour of a value, as one number."""
    return palette[3 * value] << 16 | palette[3 * value + 1] << 8 | palette[3 * value + 2]


def colour_of(code: int) -> tuple[int, int, int]:
    """Red, green and blue of a colour that is one number."""
    return code >> 16, code >> 8 & 255, code & 255


def channels(codes: np.ndarray) -> np.ndarray:
    """Red, green and blue (n, 3), int32 from 0 to 255, of colours (n,) that are one number each."""
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1).astype(np.int32)


def colour_text(code: int) -> str:
    """A colour as it stands in a colour map file."""
    return " ".join(map(str, colour_of(code)))


def _read_colours(path: str) -> tuple[np.ndarray, int]:
    try:
        with open_file(path) as file, Image.open(file) as image:
            check_size(image, path)
            orientation = tiff_orientation(image)
            image.load()
            orientation = max(orientation, turn_upright(image))
            array = np.asarray(image.convert("RGB")).astype(np.int32)
    except LoadImageError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError, Image.DecompressionBombError) as error:
        raise LoadImageError(f"{path} cannot be read as a mask: {error}.") from error
    return (array[:, :, 0] << 16) | (array[:, :, 1] << 8) | array[:, :, 2], orientation


def _one_channel(stored: Stored, path: str) -> np.ndarray:
    """A grey mask that was saved with several equal channels. Raises LoadImageError for colours and stacks."""
    array = stored.values
    if stored.pages > 1 and array.shape[2] == stored.pages:
        raise LoadImageError(f"{path} has {stored.pages} pages.", advice="Save each page as a mask of its own.")
    colour = array[:, :, :3] if array.shape[2] >= 3 else array[:, :, :1]
    if not (colour == colour[:, :, :1]).all():
        raise LoadImageError(f"{path} has colours, not class numbers.", advice=COLOUR_ADVICE)
    if array.shape[2] in (2, 4) and _only_transparency_says_something(colour, array[:, :, -1]):
        raise LoadImageError(
            f"{path} has one colour everywhere; only its transparency differs.", advice="Save the mask as class numbers."
        )
    return colour[:, :, 0]


def _only_transparency_says_something(colour: np.ndarray, alpha: np.ndarray) -> bool:
    return bool((colour == colour[0, 0]).all() and (alpha != alpha[0, 0]).any())
