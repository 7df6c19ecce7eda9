"""CSV with one box a line: `image, left, top, right, bottom, class`, with or without a line of column names.

Known names: image/filename/file/path, xmin/x0/x1/left, ymin/y0/y1/top, xmax/x1/x2/right, ymax/y1/y2/bottom or
width and height of the box (w, h), class/label/name/category, difficult, crowd, ignore. Empty coordinates: no object.
"""

from __future__ import annotations

import os
from collections import defaultdict

from digits.errors import DataError
from digits.extensions.data.files.tables import read_rows
from digits.extensions.data.image_object_detection.boxes import Annotated, RawBox, Reading
from digits.extensions.data.image_object_detection.formats.sources import Request, files_with
from digits.extensions.data.images.names import PictureNames
from digits.storage.records.reader import BOX_CROWD, BOX_DIFFICULT, BOX_IGNORED

IMAGE = ("image", "filename", "file", "path", "file_name", "image_path", "image_id")
CLASS = ("class", "label", "name", "category", "class_name")
CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("left", "top", "right", "bottom"),
    ("x1", "y1", "x2", "y2"),
    ("x0", "y0", "x1", "y1"),
)
SIZES = (("x", "y", "w", "h"), ("left", "top", "width", "height"), ("x", "y", "width", "height"), ("xmin", "ymin", "w", "h"))
FLAGS = {"difficult": BOX_DIFFICULT, "crowd": BOX_CROWD, "iscrowd": BOX_CROWD, "ignore": BOX_IGNORED}
FORM = "Expected is image, left, top, right, bottom, class."


class Columns:
    """Which column holds what. Raises DataError for a line of names that lacks something."""

    def __init__(self, names: list[str], path: str) -> None:
        self.names = names
        self.image, self.label = self._first(IMAGE), self._first(CLASS)
        self.by_size = False
        self.frame = self._all(CORNERS)
        if self.frame is None:
            self.frame, self.by_size = self._all(SIZES), True
        if self.image is None or self.label is None or self.frame is None:
            raise DataError(f"{path}, line 1: the columns are {', '.join(names)}.", advice=f"{FORM} (or width and height).")
        self.flags = {names.index(name): bit for name, bit in FLAGS.items() if name in names}

    def _first(self, known: tuple[str, ...]) -> int | None:
        return next((self.names.index(name) for name in known if name in self.names), None)

    def _all(self, known: tuple[tuple[str, ...], ...]) -> list[int] | None:
        for names in known:
            if all(name in self.names for name in names):
                return [self.names.index(name) for name in names]
        return None


def read(request: Request) -> Reading:
    """Every picture that the files name, in the order of its path."""
    files = [request.labels] if os.path.isfile(request.labels) else files_with(request.labels, (".csv",), request.may_read)
    names = PictureNames(request.root, request.pictures)
    boxes: dict[str, list[RawBox]] = defaultdict(list)
    for file in files:
        _read_file(file, names, boxes, request)
    if not boxes:
        raise DataError(f"No line of {request.labels} names a picture of {request.root}.", advice=FORM)
    return Reading([Annotated(picture, boxes[picture], request.labels) for picture in sorted(boxes)])


def _read_file(file: str, names: PictureNames, boxes: dict[str, list[RawBox]], request: Request) -> None:
    columns: Columns | None = None
    for number, cells in read_rows(file):
        if columns is None:
            columns = _columns(cells, file)
            if columns.names is not None and columns.names == [cell.lower() for cell in cells]:
                continue
        reason = _add(cells, number, columns, names, boxes)
        if reason:
            request.findings.add("annotation", f"{','.join(cells)[:100]!r}: {reason} Left out.", file, request.stage, number)


def _columns(cells: list[str], file: str) -> Columns:
    """Those of the first line where it holds names, else the usual order."""
    lowered = [cell.lower() for cell in cells]
    if any(name in lowered for name in (*IMAGE, *CLASS)):
        return Columns(lowered, file)
    return Columns(["image", "left", "top", "right", "bottom", "class"], file)


def _add(cells: list[str], line: int, columns: Columns, names: PictureNames, boxes: dict[str, list[RawBox]]) -> str:
    """Add a line's box to its picture; why not, where that is not possible."""
    assert columns.image is not None
    assert columns.label is not None
    assert columns.frame is not None
    if len(cells) <= max(columns.image, *columns.frame):
        return f"It has {len(cells)} columns. {FORM}"
    picture = names.find(cells[columns.image])
    if picture is None:
        return "The folder has no picture of this name."
    frame = [cells[place] for place in columns.frame]
    found = boxes[picture]
    if not any(frame):
        return ""
    try:
        a, b, c, d = (float(cell) for cell in frame)
    except ValueError:
        return f"The corners {', '.join(frame)} are no numbers."
    label = cells[columns.label] if len(cells) > columns.label else ""
    if not label:
        return "It names no class."
    flags = sum(bit for place, bit in columns.flags.items() if place < len(cells) and cells[place] in ("1", "true", "True"))
    corners = (a, b, a + c, b + d) if columns.by_size else (a, b, c, d)
    found.append(RawBox(*corners, label, flags, line))
    return ""
