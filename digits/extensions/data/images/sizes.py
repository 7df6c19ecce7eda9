"""Pictures of several sizes: what becomes of them is one choice, the same for every image source, made before anything is read.

`pad` pads all at the right and the bottom to the largest, in steps of 32 pixels; `resize` brings all to the size of most; `keep`
leaves each as it is; `auto` pads where records must be of one shape, else keeps. A width and height in the form stand above it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

from PIL import Image

from digits.utils.confinement import open_file

PAD, RESIZE, KEEP, AUTO = "pad", "resize", "keep", "auto"
PAD_TO = 32  # networks halve the picture five times
SIZES_BETWEEN_STOPS = 500
Size = tuple[int, int]  # width, height; (0, 0) is none
NO_SIZE: Size = (0, 0)


@dataclass(frozen=True)
class Choice:
    """What is done: pictures are padded to `padding`, or resized to `size`, or keep theirs. `words` say it, empty where all are
    of one size."""

    how: str = ""
    padding: Size = NO_SIZE
    size: Size = NO_SIZE
    words: str = ""


def picture_size(path: str) -> Size:
    """(width, height) as the picture will be read, out of its header; (0, 0) for a file that cannot be read."""
    try:
        with open_file(path) as file, Image.open(file) as image:
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            return (image.height, image.width) if turned else image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return NO_SIZE


def sizes_of(paths: Iterable[str], check_stop: Callable[[], None]) -> list[Size]:
    """The size of each picture."""
    found = []
    for number, path in enumerate(paths):
        if number % SIZES_BETWEEN_STOPS == 0:
            check_stop()
        found.append(picture_size(path))
    return found


def choose(sizes: Iterable[Size], how: str, mode: str) -> Choice:
    """What becomes of pictures of these sizes; `mode` is how they are resized."""
    counts = Counter(size for size in sizes if size != NO_SIZE)
    if len(counts) < 2:
        return Choice()
    smallest, largest = (min(counts, key=_area), max(counts, key=_area))
    differ = f"The pictures have {len(counts):,} sizes, from {_text(smallest)} to {_text(largest)}"
    if how == KEEP:
        return Choice(how, words=f"{differ}; each keeps its own.")
    if how == RESIZE:
        size, count = max(counts.items(), key=lambda item: (item[1], _area(item[0])))
        return Choice(how, size=size, words=f"{differ}; all are resized to {_text(size)}, the size of {count:,}, by {mode!r}.")
    padding = up_to_step((max(size[0] for size in counts), max(size[1] for size in counts)))
    empty = 1 - sum(_area(size) * count for size, count in counts.items()) / (counts.total() * _area(padding))
    advice = " Give a width and height to resize to, and less of each record is empty." if empty > 0.5 else ""
    return Choice(how, padding, words=f"{differ}; all are padded to {_text(padding)}, {empty:.0%} of which is empty.{advice}")


def up_to_step(size: Size) -> Size:
    """A size in steps that networks can halve."""
    width, height = (-(-side // PAD_TO) * PAD_TO for side in size)
    return width, height


def scale_between(sizes: Iterable[Size], others: Iterable[Size]) -> tuple[Fraction, Fraction] | None:
    """By how much each of `others` is larger than its partner, across and down; None where that differs from pair to pair."""
    scales = {
        (Fraction(other[0], size[0]), Fraction(other[1], size[1]))
        for size, other in zip(sizes, others, strict=True)
        if NO_SIZE not in (size, other)
    }
    return scales.pop() if len(scales) == 1 else None


def scaled(size: Size, scale: tuple[Fraction, Fraction]) -> Size | None:
    """A size in another scale; None where that is no whole number of pixels."""
    width, height = size[0] * scale[0], size[1] * scale[1]
    return (int(width), int(height)) if width.denominator == height.denominator == 1 else None


def _area(size: Size) -> int:
    return size[0] * size[1]


def _text(size: Size) -> str:
    return f"{size[0]}×{size[1]}"
