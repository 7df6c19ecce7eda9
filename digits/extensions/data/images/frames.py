"""The frame that an annotation file means: the size that it states of a picture, compared with the picture as it is read.

Pictures are read turned as their EXIF orientation says. A file that states the size before turning means its coordinates so: they
are turned too. One that states the same shape in another size was made before the picture was scaled: they are scaled. Every
other size belongs to another picture, or is wrong; the coordinates stay, and each difference is said with its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from digits.extensions.data.images.sizes import NO_SIZE, Size
from digits.images.place import nearest_pixels
from digits.utils.image import MAX_PIXELS
from digits.utils.stored import UPRIGHT

TURNED = (5, 6, 7, 8)  # width and height change places
SLACK = 1.0  # pixels that annotations may reach beyond the size they are for


@dataclass(frozen=True)
class Frame:
    """How coordinates in a frame of `stated` size come to the picture of `size`: turned by `orientation`, then scaled.

    `note` says what differs, empty where nothing does. Where `fits` is false they have nothing in common, and nothing moves.
    """

    size: Size
    stated: Size
    orientation: int = 1
    note: str = ""
    fits: bool = True

    def points(self, points: np.ndarray) -> np.ndarray:
        """Points (n, 2) of x, y as points of the picture, float64."""
        if not self.note or not self.fits:
            return points
        x, y = points[:, 0], points[:, 1]
        width, height = self.stated
        turned = {5: (y, x), 6: (height - y, x), 7: (height - y, width - x), 8: (y, width - x)}.get(self.orientation, (x, y))
        scale = np.array(self.size) / np.array(self._turned_size)
        return np.stack(turned, axis=1) * scale

    def boxes(self, corners: np.ndarray) -> np.ndarray:
        """Boxes (n, 4) of left, top, right, bottom as boxes of the picture, float64."""
        if not self.note or not self.fits:
            return corners
        first, second = self.points(corners[:, :2]), self.points(corners[:, 2:])
        return np.concatenate([np.minimum(first, second), np.maximum(first, second)], axis=1)

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """A map (height, width) of the stated frame as one of the picture, by the nearest pixel."""
        if not self.note or not self.fits:
            return mask
        turned = {5: mask.T, 6: mask.T[:, ::-1], 7: mask.T[::-1, ::-1], 8: mask.T[::-1]}.get(self.orientation, mask)
        return nearest_pixels(turned, self.size)

    @property
    def drawn_in(self) -> Size:
        """(width, height) of the frame that `mask` takes."""
        return self.stated if self.note and self.fits else self.size

    @property
    def _turned_size(self) -> Size:
        return (self.stated[1], self.stated[0]) if self.orientation in TURNED else self.stated


def frame_of(stated: Size, size: Size, orientation: int, reach: tuple[float, float] = (0.0, 0.0)) -> Frame:
    """The frame of a picture that is read with `size`, turned from the `orientation` of its file; no `stated` size says nothing.

    `reach` is the largest x and y of the annotations: beyond the stated size they contradict it.
    """
    if stated == size or 0 in stated:
        return Frame(size, size)
    as_stored = (size[1], size[0]) if orientation in TURNED else size
    differs = f"The annotations are for {stated[0]}x{stated[1]} pixels, the picture has {size[0]}x{size[1]}"
    if orientation in TURNED:
        differs += f" when turned as its EXIF orientation {orientation} says"
    if reach[0] > stated[0] + SLACK or reach[1] > stated[1] + SLACK:
        note = f"{differs}; they reach beyond what they are for, and are taken as they are. Check the file."
        return Frame(size, stated, 1, note, fits=False)
    if stated == as_stored:
        return Frame(size, stated, orientation, f"{differs}; they are turned with it.")
    if _same_shape(stated, size):
        return Frame(size, stated, 1, f"{differs}; they are scaled to it.")
    if _same_shape(stated, as_stored):
        return Frame(size, stated, orientation, f"{differs}; they are turned with it and scaled to it.")
    return Frame(size, stated, 1, f"{differs}, which is another shape; they are taken as they are. Check the file.", fits=False)


def unclear_turn(stated: Size, size: Size, orientation: int) -> str:
    """What is to be said where nothing tells whether annotations are for the picture of `size`, turned from an `orientation`, or
    for it as it is stored; empty where that is clear."""
    as_stored = (size[1], size[0]) if orientation in TURNED else size
    says_nothing = 0 in stated or stated == size == as_stored
    if orientation == UPRIGHT or not says_nothing:
        return ""
    taken = "they are taken as those of the turned picture. Check that they lie over it"
    return f"The picture is turned by its EXIF orientation ({orientation}), and its annotations fit both ways: {taken}."


def size_in(width: object, height: object) -> Size:
    """A stated size; none where it says nothing, or a size that no picture has."""
    try:
        size = (int(float(str(width))), int(float(str(height))))
    except (ValueError, OverflowError):
        return NO_SIZE
    return size if min(size) > 0 and size[0] * size[1] <= MAX_PIXELS else NO_SIZE


def size_of_two(before: Size, here: Size, *, has_objects: bool) -> tuple[Size, str]:
    """The stated size of a picture that is mentioned again, with objects; and why these are left out: the objects that it has
    already are for another size. Empty where they are not, or there are none."""
    if NO_SIZE in (before, here) or before == here:
        return (before if here == NO_SIZE else here), ""
    if not has_objects:
        return here, ""
    return before, f"The picture has {here[0]}x{here[1]} pixels here and {before[0]}x{before[1]}"


def _same_shape(first: Size, second: Size) -> bool:
    """Whether one is the other scaled, each side rounded to whole pixels."""
    (width, height), (other_width, other_height) = first, second
    across, down = abs(height * other_width / width - other_height), abs(width * other_height / height - other_width)
    return across <= 1 or down <= 1
