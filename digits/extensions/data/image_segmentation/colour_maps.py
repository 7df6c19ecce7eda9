"""Files that say which colour is which class, in the forms that people have: `R G B name` (CamVid), `name R G B`, CVAT's
`labelmap.txt` (`name:R,G,B:parts:actions`), tables with columns r, g, b and name (`class_dict.csv`)."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

from digits.errors import DataError
from digits.extensions.data.files.text import lines_of
from digits.extensions.data.image_segmentation.label_sets import Colour
from digits.utils.values import is_digits

ADVICE = "Write one class a line: red, green and blue from 0 to 255, and the class name if you like."
WITH_COLON = re.compile(r"(?P<name>.*\S)\s*[:=]\s*[\[(]?\s*(\d+)[\s,]+(\d+)[\s,]+(\d+)\s*[\])]?(:[^:]*){0,2}")
COLUMNS = {"r": "r", "red": "r", "g": "g", "green": "g", "b": "b", "blue": "b"}
NAME_COLUMNS = ("name", "label", "class", "class_name", "classname", "category", "label_name")
Line = tuple[int, str]  # its number and its text
Row = tuple[Colour, str]


def read_colour_map(file: str) -> list[Row]:
    """Colours and names (empty where there is none) of a colour map file, in its order. Raises DataError with file and line."""
    lines = [(number, line.strip()) for number, line in enumerate(lines_of(file), start=1)]
    lines = [line for line in lines if line[1] and not line[1].startswith("#")]
    columns = _columns(lines[0][1]) if lines else {}
    words = [_words(text) for _, text in lines]
    numbered = not columns and _is_numbered(words)
    rows: list[Row] = []
    for line, cells in list(zip(lines, words, strict=True))[1 if columns else 0 :]:
        row = _by_columns(line[1], columns) if columns else _of_line(line[1], cells[1:] if numbered else cells)
        rows.append(_checked(row, rows, file, line))
    if not rows:
        raise DataError(f"{file} has no colours.", advice=ADVICE)
    return rows


def _of_line(text: str, words: list[str]) -> Row | None:
    if found := WITH_COLON.fullmatch(text):
        return _row(found.groups()[1:4], found["name"])
    if all(map(is_digits, words[:3])):
        return _row(words[:3], " ".join(words[3:]))
    return _row(words[-3:], " ".join(words[:-3]))


def _columns(header: str) -> dict[str, int]:
    """Where red, green, blue and the name stand, by the first line; empty where it is no header."""
    cells = [cell.lower() for cell in _cells(header)]
    found = {COLUMNS[cell]: place for place, cell in enumerate(cells) if cell in COLUMNS}
    named = [place for word in NAME_COLUMNS for place, cell in enumerate(cells) if cell == word]
    return {**found, **({"name": named[0]} if named else {})} if {"r", "g", "b"} <= found.keys() else {}


def _by_columns(text: str, columns: dict[str, int]) -> Row | None:
    cells = _cells(text)
    if len(cells) <= max(columns.values()):
        return None
    return _row([cells[columns[name]] for name in "rgb"], cells[columns["name"]] if "name" in columns else "")


def _is_numbered(rows: Sequence[list[str]]) -> bool:
    """Whether a number of the class stands before each colour: the first of four numbers counts and the fourth does not."""
    if len(rows) < 2 or not all(len(words) >= 4 and all(map(is_digits, words[:4])) for words in rows):
        return False
    first, fourth = ([int(words[place]) for words in rows] for place in (0, 3))
    return _counts(first) and not _counts(fourth)


def _counts(numbers: list[int]) -> bool:
    return numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _row(values: Sequence[str], name: str) -> Row | None:
    if len(values) < 3 or not all(is_digits(value) and int(value) < 256 for value in values):
        return None
    red, green, blue = map(int, values)
    return (red, green, blue), name.strip()


def _checked(row: Row | None, rows: list[Row], file: str, line: Line) -> Row:
    number, text = line
    if row is None:
        raise DataError(f"{file}, line {number}: {text[:80]!r} is no colour.", advice=ADVICE)
    if any(row[0] == known for known, _ in rows):
        raise DataError(f"{file}, line {number}: the colour {row[0]} stands twice.", advice="Give each class its own.")
    return row


def _words(text: str) -> list[str]:
    if '"' in text:
        return [word for cell in _cells(text) for word in cell.split()]
    return re.sub("[,;\t]", " ", text).split()


def _cells(text: str) -> list[str]:
    """The cells of a line of a table, whatever is between them."""
    delimiter = max(",;\t", key=text.count)
    if delimiter not in text:
        return text.split()
    return [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter))]
