"""YOLO's text files: `class x y width height` a line, the centre and size as shares of the picture, turned by its EXIF.

What may follow depends on what the set says of itself (`yolo_names`): with `kpt_shape` the key points, of which nothing is kept;
without it a sixth column is a score or track, which is left away, and a longer line is a polygon, of which the box around it is
taken (also four corners of a turned box). Records without an end of line between them (`… 0.4000001 0.3 …`) are read one by one
where their numbers have equally many digits. A picture without a file has no objects.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from digits.errors import DataError
from digits.extensions.data.files.listing import files_with
from digits.extensions.data.files.tables import number_of
from digits.extensions.data.files.text import lines_of
from digits.extensions.data.image_object_detection.boxes import RawBox, Reading
from digits.extensions.data.image_object_detection.formats.sources import (
    Boxes,
    Request,
    read_each,
    shown_line,
    text_lines,
    whole_number,
)
from digits.extensions.data.image_object_detection.formats.yolo_names import MOST_CLASSES, NAMES_FILES, Description, description

BOX = 4  # values of a box
SLACK = 1e-3  # rounding of the programs that write these files
LOOKED_AT = 200  # files
FORM = "Expected are a class number and the shares x y width height, each from 0 to 1."
SHARES = "A share is below 0 or above 1. Divide pixels by the width or height of the picture."
UNCLEAR = "This may be a polygon, or a box with key points. A data.yaml with kpt_shape (key points) or without (polygons) tells."


def read(request: Request) -> Reading:
    """Every picture with its boxes as shares; lines of another form are noted."""
    files = files_with(request.labels, (".txt",), request.may_read)
    others = {file for file in files if os.path.basename(file) in NAMES_FILES}
    lines = _Lines(description(request), [file for file in files if file not in others][:LOOKED_AT])
    pictures = read_each(
        request,
        ".txt",
        lambda picture, file: _boxes(file, lines, request),
        relative=True,
        without_file_is_empty=True,
        others=others,
    )
    if lines.scored:
        reason = f"{lines.scored} lines have a sixth column, a score or track; it is left away."
        request.findings.add("note", reason, request.labels, request.stage)
    return Reading(pictures, list(lines.names.values()), by_id=True)


def _boxes(file: str, lines: _Lines, request: Request) -> Boxes:
    found = Boxes()
    for line, text in text_lines(file):
        for words in lines.records(text.split()):
            box, reason = lines.box(words, line)
            if box is None:
                found.refused += 1
                request.findings.add("annotation", f"{shown_line(text)}: {reason} Left out.", file, request.stage, line)
            else:
                found.boxes.append(box)
    return found


class _Lines:
    """Reads lines as the set describes itself."""

    def __init__(self, described: Description, files: Sequence[str]) -> None:
        self.names, self.key_points = described.names, described.key_points
        self.polygons_are_clear = described.is_yaml or not _may_have_key_points(files)
        self.scored = 0

    def records(self, words: list[str]) -> list[list[str]]:
        """The words of each record of a line: several where boxes, or boxes with a score, stand without an end of line between
        them and each of them can be one; else the line itself."""
        if self.key_points:
            return [words]
        for count in (BOX, BOX + 1):
            parts = _separated(words, count)
            if len(parts) > 1 and all(self._can_be(part) for part in parts):
                return parts
        return [words]

    def _can_be(self, words: list[str]) -> bool:
        """Whether words are a class that there is and a box within the picture."""
        number, values = whole_number(words[0]), [number_of(word) for word in words[1 : 1 + BOX]]
        if number is None or (self.names and number not in self.names) or None in values:
            return False
        x, y, width, height = (value for value in values if value is not None)
        ends = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        return min(width, height) > 0 and min(ends) > -SLACK and max(ends) < 1 + SLACK

    def box(self, words: list[str], line: int) -> tuple[RawBox | None, str]:
        """The box of a line, or why it has none."""
        number = whole_number(words[0])
        values = [number_of(word) for word in words[1:]]
        known = [value for value in values if value is not None]
        if number is None or len(known) < max(len(values), BOX):
            return None, FORM
        if not all(map(math.isfinite, known)):
            return None, f"A value is no number. {FORM}"
        corners, reason = self._corners(known)
        if corners is None:
            return None, reason
        if not self.names and number > MOST_CLASSES:
            return None, f"The class {words[0]} is beyond all numbers of classes. {FORM}"
        if self.names and number not in self.names:
            return None, f"There is no class {number}; the names have {len(self.names)}. Add its name, or correct the number."
        return RawBox(*corners, self.names.get(number, str(number)), 0, line), ""

    def _corners(self, values: list[float]) -> tuple[tuple[float, float, float, float] | None, str]:
        if self.key_points:
            count = self.key_points[0] * self.key_points[1]
            if len(values) not in (BOX, BOX + count):
                shape = list(self.key_points)
                return None, f"It has {len(values) + 1} columns; with kpt_shape {shape} it has {1 + BOX} or {1 + BOX + count}."
            values = values[:BOX]
        elif len(values) == BOX + 1:
            values = values[:BOX]
            self.scored += 1
        elif len(values) > BOX and len(values) % 2:
            return None, f"It has {len(values) + 1} columns: no box, and no polygon. Key points need kpt_shape in a data.yaml."
        elif len(values) > BOX and not self.polygons_are_clear:
            return None, UNCLEAR
        if max(values) > 1 + SLACK or min(values) < -SLACK:
            return None, SHARES
        if len(values) > BOX:
            return (min(values[0::2]), min(values[1::2]), max(values[0::2]), max(values[1::2])), ""
        x, y, width, height = values
        return (x - width / 2, y - height / 2, x + width / 2, y + height / 2), ""


def _separated(words: list[str], count: int) -> list[list[str]]:
    """The records of a line of which each has a class and `count` numbers, of equally many decimals all; the class of the next
    one stands behind the last of them. None where a line has another form."""
    numbers = words[1:]
    if len(numbers) < 2 * count or len(numbers) % count:
        return []
    digits = [len(number.partition(".")[2]) for number in numbers]
    ends = range(count, len(numbers), count)
    if not digits[0] or any((n <= digits[0]) if place in ends else (n != digits[0]) for place, n in enumerate(digits, start=1)):
        return []
    found, name = [], words[0]
    for place in range(0, len(numbers), count):
        *first, last = numbers[place : place + count]
        end = last.index(".") + 1 + digits[0]
        found.append([name, *first, last[:end]])
        name = last[end:]
    return found


def _may_have_key_points(files: Sequence[str]) -> bool:
    """Whether all long lines of some files have one length and lie, past their first four values, in the box that these are."""
    lengths: set[int] = set()
    for file in files:
        for values in _long_lines(file):
            lengths.add(len(values))
            if len(lengths) > 1 or not _points_in_box(values):
                return False
    return bool(lengths)


def _long_lines(file: str) -> list[list[float]]:
    try:
        rows = [[number_of(word) for word in line.split()[1:]] for line in lines_of(file)]
    except DataError:
        return []
    return [[value for value in row if value is not None] for row in rows if len(row) > BOX + 1 and None not in row]


def _points_in_box(values: list[float]) -> bool:
    """Whether what follows a box are points within it, of x and y or of x, y and 0, 1 or 2; points at 0, 0 are not marked."""
    x, y, width, height = values[:BOX]
    for step in (2, 3):
        points = [values[place : place + step] for place in range(BOX, len(values), step)]
        if all(
            len(point) == step
            and (step == 2 or point[2] in (0, 1, 2))
            and (point[:2] == [0, 0] or (abs(point[0] - x) <= width / 2 + SLACK and abs(point[1] - y) <= height / 2 + SLACK))
            for point in points
        ):
            return True
    return False
