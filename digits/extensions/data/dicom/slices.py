"""The entries of the DICOM source: one frame of one file, and where its mask is. What they hold is frozen with a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from digits.extensions.data.dicom.geometry import Placement, Plane
from digits.extensions.data.dicom.pixels import Kind

Values = tuple[tuple[int, str], ...]  # value of a pixel, label; "" for the background


@dataclass(frozen=True)
class Part:
    """What one frame of a segmentation adds to a mask; values from `least` on are its segment, or each value is one."""

    path: str
    name: str
    frame: int
    least: int
    values: Values
    placement: Placement | None = None


@dataclass(frozen=True)
class Mask:
    """The label of a slice: a picture file, a slice of a volume (`placement`), or parts of segmentations. `problem`: why there
    is none, `note` what was assumed."""

    path: str = ""
    name: str = ""
    placement: Placement | None = None
    parts: tuple[Part, ...] | None = None
    problem: str = ""
    note: str = ""


@dataclass(frozen=True)
class Slice:
    """One frame of one file. `name` is its path below the folder, `patient` a mark of this data set's own; `uid`, `series` and
    `space` (frame of reference) lead to its labels, and `plane` says where it lies."""

    path: str
    frame: int
    patient: str
    rows: int
    columns: int
    uid: str
    name: str = ""  # these are not there in data sets of older versions
    series: str = ""
    space: str = ""
    number: int = 0
    plane: Plane | None = None
    kind: Kind | None = None
    mask: Mask | None = None

    def __str__(self) -> str:
        name = self.name or Path(self.path).name
        return f"{name}#{self.frame}" if self.frame else name
