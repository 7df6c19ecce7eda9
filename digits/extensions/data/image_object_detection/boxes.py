"""Boxes as the formats give them, and the check that one can be a box at all."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import lru_cache

from digits.extensions.data.files.names import plain
from digits.storage.records.reader import BOX_IGNORED

DONT_CARE = "dontcare"
OVERSHOOT = 1.0  # pixels that a box may stick out of its picture without being worth a word


@lru_cache(maxsize=1024)  # asked for every box
def is_dont_care(name: str) -> bool:
    """Whether a class's name says that its boxes do not count: `DontCare` in any capitals, `dont_care`, `don't care`."""
    return re.sub(r"[\W_]+", "", name).lower() == DONT_CARE


@lru_cache(maxsize=1024)
def plain_class(text: str) -> str:
    """The one spelling of a class's name: without blanks around it, in composed Unicode."""
    return plain(text).strip()


@dataclass(frozen=True)
class RawBox:
    """Left, top, right, bottom, the class's name in its one spelling, flags as in records, and the line of the file (0: not
    known)."""

    x0: float
    y0: float
    x1: float
    y1: float
    name: str
    flags: int = 0
    line: int = 0

    def __post_init__(self) -> None:
        if (name := plain_class(self.name)) != self.name:
            object.__setattr__(self, "name", name)

    @property
    def does_not_count(self) -> bool:
        return bool(self.flags & BOX_IGNORED) or is_dont_care(self.name)

    def fault(self, relative: bool) -> str:
        """Why this is no box, in shares of the picture where it is `relative`, else in pixels; empty where it is one."""
        corners = (self.x0, self.y0, self.x1, self.y1)
        text = ", ".join(f"{value:g}" for value in corners)
        if not all(math.isfinite(value) for value in corners):
            return f"The box of {self.name!r} ({text}) holds a value that is no number; left out. Correct or delete it."
        if self.x1 < self.x0 or self.y1 < self.y0:
            return f"The box of {self.name!r} ({text}) is inverted; left out. Write left, top, right, bottom in this order."
        if self.x1 == self.x0 or self.y1 == self.y0:
            return f"The box of {self.name!r} ({text}) is empty; left out. Delete it, or give it a width and a height."
        if not relative and all(abs(value) <= 1 for value in corners) and not all(value.is_integer() for value in corners):
            return (
                f"The box of {self.name!r} ({text}) is smaller than a pixel, as shares of a picture are; left out. Write pixels."
            )
        return ""


@dataclass(frozen=True)
class Annotated:
    """A picture and its boxes; `relative` ones are shares of its width and height. `source` is the file they stand in.

    `size` is the (width, height) that the file states of the picture (0, 0: none). `refused` objects of the file could not be
    read, `id` is the number that the file gives the picture. `has_file` is false where the format takes a picture without a
    label file for one without objects.
    """

    picture: str
    boxes: list[RawBox]
    source: str
    relative: bool = False
    size: tuple[int, int] = (0, 0)
    refused: int = 0
    has_file: bool = True
    id: int | str | None = None


@dataclass
class Reading:
    """What a format reader found: pictures in order, and the class names that the format itself declares, in order.

    With `by_id` the files tell classes apart by a number, so that two names that differ in capitals are two classes;
    `category_ids` has these numbers by the names, where they are to be kept.
    """

    pictures: list[Annotated] = field(default_factory=list)
    declared: list[str] = field(default_factory=list)
    by_id: bool = False
    category_ids: dict[str, int | str] = field(default_factory=dict)
