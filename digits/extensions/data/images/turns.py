"""Whether labels without an EXIF orientation lie over their pictures as these are stored, or as they are turned.

The shape tells it of most labels, not of square ones. A set is made in one way: labels whose shape tells decide for the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from digits.extensions.data.images.sizes import NO_SIZE, Size
from digits.utils.confinement import open_file
from digits.utils.stored import DIAGONAL, ORIENTATION, UPRIGHT, may_be_turned, turned

AS_STORED, AS_TURNED, UNKNOWN = "stored", "turned", ""
LOOKED_AT = 1000  # pairs, from all parts of a set
Notes = list[tuple[str, str]]  # kind and reason


def way_of_most(pairs: Sequence[tuple[str, str]]) -> str:
    """How most labels of a set lie, out of the headers of some (picture, label): one of the words above."""
    votes: Counter[tuple[bool, bool]] = Counter()
    for picture, label in _some(pairs):
        size, orientation = _header(picture)
        if orientation < DIAGONAL:
            continue
        label_size, own = _header(label)
        if own == UPRIGHT and NO_SIZE not in (size, label_size):
            votes[_fits(label_size, (size[1], size[0]), orientation)] += 1
    stored, upright = votes[False, True], votes[True, False]
    return AS_STORED if stored > upright else AS_TURNED if upright > stored else UNKNOWN


def turned_alike(
    label: np.ndarray, turned_from: int, size: tuple[int, int], orientation: int, word: str, most: str = UNKNOWN
) -> tuple[np.ndarray, Notes]:
    """A label (H, W) or (H, W, C), dtype kept, as it lies over its picture of `size` (height, width), which was turned from
    `orientation`; and what there is to say. A label without an orientation of its own may belong to the picture as it is stored:
    its shape tells, where height and width differ and change places, else what `most` labels of the set are."""
    if orientation == UPRIGHT or turned_from != UPRIGHT:
        return label, []
    fits, fits_stored = _fits((label.shape[1], label.shape[0]), (size[1], size[0]), orientation)
    if fits_stored and not fits:
        reason = f"The {word} is turned like its picture, by the EXIF orientation {orientation}: it fits in no other way."
        return turned(label, orientation), [(word, reason)]
    if not fits_stored:
        return label, []
    both = f"The picture is turned by its EXIF orientation ({orientation}), its {word} has none and fits both ways"
    if most == UNKNOWN:
        return label, [(word, f"{both}. Check that it lies over the turned picture; else store the picture turned.")]
    done = "is turned with it" if most == AS_STORED else "is not turned"
    reason = f"{both}: it {done}, as most that fit one way alone show. Check that it lies over the turned picture."
    return (turned(label, orientation) if most == AS_STORED else label), [(word, reason)]


def _header(path: str) -> tuple[Size, int]:
    """(width, height) as a file stores them and its orientation, as far as its beginning says; no size of what is no picture."""
    try:
        with open_file(path) as file, Image.open(file) as image:
            orientation = image.getexif().get(ORIENTATION, UPRIGHT) if may_be_turned(image) else UPRIGHT
            return image.size, orientation if orientation in range(1, 9) else UPRIGHT
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return NO_SIZE, UPRIGHT


def _fits(label: Size, picture: Size, orientation: int) -> tuple[bool, bool]:
    """Whether a label of this (width, height) lies over the picture as it is turned from an orientation, and as it is stored."""
    fits = _has_shape(label, picture)
    return fits, _has_shape(label, (picture[1], picture[0])) if orientation >= DIAGONAL else fits


def _has_shape(label: Size, size: Size) -> bool:
    """Whether a label has this size, or a multiple or part of it."""
    return abs(label[1] * size[0] - label[0] * size[1]) <= max(*label, *size) // 2


def _some(pairs: Sequence[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    return pairs[:: -(-len(pairs) // LOOKED_AT) or 1]
