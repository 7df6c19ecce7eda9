"""CSV with one box a line: `image, left, top, right, bottom, class`, with or without a line of column names (`csv_columns`).

A line with more cells than the others is none: records without an end of line between them, or a comma in a name. Empty
coordinates: no object. `1,5` is one and a half where `;` or a tab separates. Coordinates that are all from 0 to 1 are
shares of the picture. OpenImages' tables are such; their class names are looked for in a class-descriptions file near by.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice

from digits.errors import DataError
from digits.extensions.data.files.listing import files_with
from digits.extensions.data.files.names import FileNames
from digits.extensions.data.files.tables import read_table
from digits.extensions.data.image_object_detection.boxes import Annotated, RawBox, Reading
from digits.extensions.data.image_object_detection.formats.csv_columns import FORM, USUAL, Columns, is_header
from digits.extensions.data.image_object_detection.formats.sources import Boxes, Request
from digits.extensions.data.image_object_detection.formats.words import yes_or_no
from digits.extensions.data.images.frames import size_in, size_of_two
from digits.utils.values import counted

DESCRIPTIONS = "class-descriptions"  # OpenImages: a machine's name and a person's a line
LEVELS = 3  # folders above the table that are searched for them
SLACK = 1e-3  # rounding of shares
NO_CLASS = ("", "nan")  # pandas writes the second
LOOKED_AT = 100  # lines that show how many cells a line has
Numbers = Callable[[str], float | None]  # reads the numbers of a table


@dataclass
class _Found:
    """What the lines of all files say, by the name that they give a picture; `first` is the line of each name."""

    boxes: dict[str, Boxes] = field(default_factory=lambda: defaultdict(Boxes))
    first: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    largest: float = 0.0
    least: float = 0.0
    has_fractions: bool = False

    @property
    def are_shares(self) -> bool:
        return self.has_fractions and self.least >= -SLACK and self.largest <= 1 + SLACK


def read(request: Request) -> Reading:
    """Every picture that the files name, in the order of its path."""
    files = [request.labels] if os.path.isfile(request.labels) else files_with(request.labels, (".csv",), request.may_read)
    readable = _descriptions(request)
    boxes: dict[str, Annotated] = {}
    pictures = FileNames(request.root, request.pictures)
    for file in files:
        if DESCRIPTIONS in os.path.basename(file):
            continue
        found = _read_file(file, pictures, request)
        if found is not None:
            _add(boxes, found, pictures, file, readable, request)
    if not boxes:
        raise DataError(f"No line of {request.labels} names a picture of {request.root}.", advice=FORM)
    return Reading([boxes[picture] for picture in sorted(boxes)])


def _add(
    boxes: dict[str, Annotated],
    found: _Found,
    pictures: FileNames,
    file: str,
    readable: dict[str, str],
    request: Request,
) -> None:
    """Put what a file says to the pictures that it names."""
    files = pictures.find_all(found.boxes)
    for name, said in found.boxes.items():
        picture = files[name]
        if not picture:
            _, line, text = found.first[name]
            more = f" So are {lines} more lines of it." if (lines := len(said.boxes) + said.refused - 1) > 0 else ""
            reason = f"{text!r}: {picture.reason.replace('no file of', 'no picture of')} Left out.{more}"
            request.findings.add("annotation", reason, file, request.stage, line, lost=True)
            continue
        named = [replace(box, name=readable.get(box.name, box.name)) for box in said.boxes]
        before = boxes.get(picture.path)
        if before and before.relative != found.are_shares and before.boxes and named:
            reason = f"{file} gives its boxes in another measure than the files before; they are left out."
            request.findings.add("annotation", reason, picture.path, request.stage)
            continue
        kept = before or Annotated(picture.path, [], request.labels, found.are_shares, said.size)
        relative = found.are_shares if named else kept.relative
        size, refused = kept.size, kept.refused + said.refused
        if named and not relative:
            size, differs = size_of_two(kept.size, said.size, has_objects=bool(kept.boxes))
            if differs:
                reason = f"{differs} before: {counted(len(named), 'box', 'boxes')} of {file} left out."
                request.findings.add("annotation", reason, picture.path, request.stage)
                named, refused = [], refused + len(named)
        boxes[picture.path] = replace(kept, boxes=kept.boxes + named, refused=refused, relative=relative, size=size)


def _read_file(file: str, pictures: FileNames, request: Request) -> _Found | None:
    found = _Found()
    try:
        table = read_table(file, several_lines=False)
        first = list(islice(table.rows, LOOKED_AT)) if table.delimiter == "," else list(table.rows)
        rows = [cells for _, cells in first[:LOOKED_AT]]
        has_names = bool(rows) and is_header(rows[0])
        columns = Columns(rows[0] if has_names else USUAL, file, rows[has_names:], lambda name: bool(pictures.find(name)))
        width = _width(rows)
        frames = [cells[place] for _, cells in first[has_names:] for place in columns.frame if place < len(cells)]
        marks = table.marks(frames)
        if remark := marks.remark(table, frames):
            request.findings.add("column", f"In a corner {remark}", file, request.stage)
        numbers = partial(table.number, thousands=marks.thousands)
        for number, cells in chain(first[has_names:], table.rows):
            if reason := _take(cells, number, columns, width, numbers, found, file):
                text = ",".join(cells)[:100]
                request.findings.add("annotation", f"{text!r}: {reason} Left out.", file, request.stage, number)
    except DataError as error:
        if os.path.isfile(request.labels):
            raise
        request.findings.add("annotation", f"{error} The file is left out.", file, request.stage)
        return None
    if columns.remark:
        request.findings.add("column", f"{columns.remark} Rename the others if that is wrong.", file, request.stage)
    for fault in table.faults:
        request.findings.add("annotation", f"{fault.reason} Left out.", file, request.stage, fault.line)
        if name := fault.cells[columns.image] if len(fault.cells) > columns.image else "":
            found.first.setdefault(name, (file, fault.line, ",".join(fault.cells)[:100]))
            found.boxes[name].refused += 1
    return found


def _width(lines: Sequence[list[str]]) -> int:
    """How many cells a line may have, from the first ones: those of the column names, and more where every line has more."""
    header, rows = (lines[0], lines[1:]) if lines and is_header(lines[0]) else (USUAL, lines)
    filled = [max(place for place, cell in enumerate(cells, start=1) if cell) for cells in rows]
    least = min((count for count in filled if count >= len(header)), default=0)
    return least if len(header) < least < 2 * len(header) - 1 else len(header)


def _take(cells: list[str], line: int, columns: Columns, width: int, numbers: Numbers, found: _Found, file: str) -> str:
    """Take in a line; why not, where that is not possible."""
    if len(cells) < columns.least:
        return f"It has {len(cells)} columns. {FORM}"
    name = cells[columns.image]
    if not name:
        return "It names no picture."
    said = found.boxes[name]
    found.first.setdefault(name, (file, line, ",".join(cells)[:100]))
    if any(cells[width:]):
        said.refused += 1
        return f"It has {len(cells)} columns, others have {width}. Put each box on a line, and text with commas between quotes."
    if columns.size:
        size = size_in(*(numbers(cells[place]) if place < len(cells) else None for place in columns.size))
        said.size, differs = size_of_two(said.size, size, has_objects=bool(said.boxes))
        if differs:
            said.refused += 1
            return f"{differs} in a line before."
    frame = [cells[place] for place in columns.frame]
    if not any(frame):
        return ""
    box, reason = _box(cells, line, columns, numbers)
    if box is None:
        said.refused += 1
        return reason
    said.boxes.append(box)
    corners = (box.x0, box.y0, box.x1, box.y1)
    found.largest, found.least = max(found.largest, *corners), min(found.least, *corners)
    found.has_fractions = found.has_fractions or any(0 < corner < 1 for corner in corners)
    return ""


def _box(cells: list[str], line: int, columns: Columns, numbers: Numbers) -> tuple[RawBox | None, str]:
    frame = [cells[place] for place in columns.frame]
    values = [numbers(cell) for cell in frame]
    a, b, c, d = (0.0 if value is None else value for value in values)
    if None in values:
        return None, f"The corners {', '.join(frame)} are no numbers."
    label = cells[columns.label] if len(cells) > columns.label else ""
    if label.lower() in NO_CLASS:
        return None, "It names no class."
    flags = 0
    for place, bit in columns.flags.items():
        said = yes_or_no(cells[place]) if place < len(cells) else False
        if said is None:
            return None, f"{columns.names[place]} is {cells[place]!r}, expected yes or no."
        flags |= bit if said else 0
    corners = (a, b, a + c, b + d) if columns.by_size else (a, b, c, d)
    return RawBox(*corners, label, flags, line), ""


def _descriptions(request: Request) -> dict[str, str]:
    """OpenImages' names of classes by their machine names, from the file of the form or the nearest one; else empty."""
    path = request.names_file or _near(request)
    if not path:
        return {}
    return {cells[0]: cells[1] for _, cells in read_table(path).rows if len(cells) > 1 and cells[0].startswith("/")}


def _near(request: Request) -> str:
    folder = request.labels if os.path.isdir(request.labels) else os.path.dirname(request.labels)
    for _ in range(LEVELS):
        try:
            names = sorted(name for name in os.listdir(folder) if DESCRIPTIONS in name and name.lower().endswith(".csv"))
        except OSError:
            names = []
        for name in names:
            if request.may_read(path := os.path.join(folder, name)):
                return path
        folder = os.path.dirname(folder)
    return ""
