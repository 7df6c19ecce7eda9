"""Reading a CSV file: its first line shows the delimiter, rows keep their line numbers, numbers may have a decimal comma.

A file that begins with the number of its lines has blanks between its cells, as those of CelebA: in its second line the columns'
names, of which that of the pictures may lack.

A line that is none costs itself alone: where a quote is not closed the lines behind it are read on their own. Text is composed
Unicode, so that equal words are equal.
"""

from __future__ import annotations

import csv
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

from digits.extensions.data.files.text import lines_naming_files, read_text, split_lines
from digits.utils.names import DELIMITERS, is_table
from digits.utils.values import is_digits

COUNTED = 1 << 14  # characters with the first lines of a table that begins with their number
TABLE_LINES = 100  # that tell a table from a list of paths,
TABLE_LINE = 1 << 16  # ... and characters of each
SEPARATOR = re.compile(r"sep=(.)", re.IGNORECASE)  # what Excel writes into a first line of its own
QUOTED = re.compile(r'"[^"]*"')
GROUPED = {  # 1.234 or 1.234,5; 1,234 or 1,234.5
    ".": re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d+)?"),
    ",": re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?"),
}
DECIMAL = {mark: re.compile(rf"[+-]?\d*{re.escape(mark)}\d+([eE][+-]?\d+)?") for mark in GROUPED}
WITH_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d*),\d+([eE][+-]?\d+)?")  # 1,5 or 1.234,5
OPEN = "A quote in it is not closed, or goes on over several lines."
Row = tuple[int, list[str]]  # the number of its (first) line, and the cells without white space around them


@dataclass(frozen=True)
class Fault:
    """A line that is none: its number, what its cells seem to be, and why it is left out."""

    line: int
    cells: list[str]
    reason: str


@dataclass(frozen=True)
class Table:
    """The lines of a file that are not empty, and what separates cells. `faults` are the lines that are none, all of which are
    known once the rows are read."""

    rows: Iterator[Row]
    delimiter: str
    faults: list[Fault] = field(default_factory=list)

    def number(self, cell: str, thousands: str = "") -> float | None:
        """The number in a cell; with a decimal comma too, where commas separate no cells. `thousands` is the mark that divides
        thousands for certain (`Marks`). None where it is none."""
        if self.delimiter == ",":
            return number_of(cell)
        if thousands and GROUPED[thousands].fullmatch(cell):
            cell = cell.replace(thousands, "").replace(",", ".")
        elif WITH_COMMA.fullmatch(cell):
            cell = cell.replace(".", "").replace(",", ".")
        return number_of(cell)

    def marks(self, cells: Iterable[str], *, beside_commas: bool = False, before: Marks | None = None) -> Marks:
        """What points and commas mean in the numbers of a column; `beside_commas`: others of the table have a decimal comma;
        `before`: what the column of an earlier table shows."""
        if self.delimiter == ",":
            return Marks()
        return _marks({one for one in cells if "," in one or "." in one}, beside_commas, before or Marks())

    def has_comma(self, cell: str) -> bool:
        """Whether a cell is a number that has a decimal comma for certain."""
        is_decimal = WITH_COMMA.fullmatch(cell) and not GROUPED[","].fullmatch(cell)
        return self.delimiter != "," and "," in cell and bool(is_decimal)


@dataclass(frozen=True)
class Marks:
    """What divides thousands in the numbers of a column for certain (`.`, `,`, or empty), a number that shows it, and the numbers
    that could mean a thousand times as much or as little: `1,234`, and `1.234` beside numbers with a decimal comma."""

    thousands: str = ""
    shown_by: str = ""
    unclear: frozenset[str] = frozenset()
    has_comma: bool = False  # a decimal one, for certain, in it or beside it

    def remark(self, table: Table, cells: Iterable[str]) -> str:
        """How such a number among some cells was read; empty where there is none."""
        example = next((cell for cell in cells if cell in self.unclear), "")
        if not example:
            return ""
        said = f"{example!r} is read as {table.number(example, self.thousands):.12g}"
        if self.thousands:
            return f"{said}: {self.shown_by!r} shows that {self.thousands!r} divides thousands."
        return f"{said}. Where its mark divides thousands, write the numbers without such marks."


def _marks(cells: set[str], beside_commas: bool, before: Marks) -> Marks:
    grouped = {mark: sorted(filter(GROUPED[mark].fullmatch, cells)) for mark in GROUPED}
    unclear = {mark: [cell for cell in found if DECIMAL[mark].fullmatch(cell)] for mark, found in grouped.items()}
    divides = {mark: [cell for cell in found if cell not in unclear[mark]] for mark, found in grouped.items()}
    decimal = {mark: any(DECIMAL[mark].fullmatch(c) and not GROUPED[mark].fullmatch(c) for c in cells) for mark in GROUPED}
    has_comma = decimal[","] or beside_commas or before.has_comma
    shown = {mark for mark in GROUPED if divides[mark] or mark == before.thousands}
    certain = [mark for mark in shown if not decimal[mark]]
    if len(certain) == 1:
        (mark,) = certain
        return Marks(mark, next(iter(divides[mark]), before.shown_by), frozenset(unclear[mark]), has_comma)
    commas = unclear[","] if "," in shown or not decimal[","] else []
    points = unclear["."] if "." in shown or (has_comma and not decimal["."]) else []
    return Marks(unclear=frozenset(commas + points), has_comma=has_comma)


def number_of(text: str | None) -> float | None:
    """The number that a text writes, also one that is not finite; None for anything else."""
    try:
        return None if text is None or "_" in text else float(text)
    except ValueError:
        return None


def read_table(path: str, most: int = 0, *, several_lines: bool = True) -> Table:
    """The table in a file, or in its first `most` bytes; without `several_lines` no cell goes on to another line. Raises
    DataError."""
    text = unicodedata.normalize("NFC", read_text(path, most))
    if is_counted(text):
        return Table(_counted_rows(text), " ")
    lines = split_lines(text)
    first = next((line for line in lines if line), "")
    said = SEPARATOR.fullmatch(first.strip(" ")) if first[:4].lower() == "sep=" else None
    delimiter = said[1] if said else max(DELIMITERS, key=QUOTED.sub("", first).count)
    if said:
        lines[lines.index(first)] = ""
    faults: list[Fault] = []
    return Table(_rows(lines, delimiter, faults, several_lines), delimiter, faults)


def is_counted(text: str) -> bool:
    """Whether a text, or its beginning, is a table that begins with the number of its lines."""
    first, names, row = (line.split() for line in [*split_lines(text[:COUNTED])[:3], "", "", ""][:3])
    is_blank = not any(mark in word for word in names for mark in DELIMITERS)
    return len(first) == 1 and is_digits(first[0]) and len(names) > 1 and is_blank and 0 <= len(row) - len(names) <= 1


def is_table_file(path: str | os.PathLike[str]) -> bool:
    """Whether a list of pictures is a table, such as `id,label` a line. Raises DataError."""
    with closing(lines_naming_files(path)) as lines:
        first = [line[:TABLE_LINE] for line in islice(lines, TABLE_LINES)]
    return is_table(first) or is_counted("\n".join(first[:3]))


def read_rows(path: str, most: int = 0) -> Iterator[Row]:
    """The lines of a table that are not empty. Raises DataError."""
    return read_table(path, most).rows


class _Feed:
    """Lines one by one; the next one can be set back."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines, self.next = lines, 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if self.next >= len(self.lines):
            raise StopIteration
        self.next += 1
        return self.lines[self.next - 1] + "\n"


def _counted_rows(text: str) -> Iterator[Row]:
    lines = ((number, line.split()) for number, line in enumerate(split_lines(text), start=1) if number > 1)
    rows = [(number, cells) for number, cells in lines if cells]
    (number, names), (_, first) = rows[:2]
    yield number, [*["image"][: len(first) - len(names)], *names]
    yield from rows[1:]


def _rows(lines: Sequence[str], delimiter: str, faults: list[Fault], several_lines: bool) -> Iterator[Row]:
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while feed.next < len(lines):
        start, row = feed.next, list[str]()
        try:
            row = next(reader)
        except csv.Error:
            is_whole = False
        else:
            is_whole = several_lines or feed.next == start + 1
        if not is_whole:
            feed.next = start + 1
            row, reason = _alone(lines[start], delimiter)
            if reason:
                cells = [cell.strip(' "') for cell in lines[start].split(delimiter)]
                faults.append(Fault(start + 1, cells, reason))
                continue
        if any(cell.strip() for cell in row):
            yield start + 1, [cell.strip() for cell in row]


def _alone(line: str, delimiter: str) -> tuple[list[str], str]:
    """The cells of a line by itself, or why it has none. What stands behind a closed quote belongs to the cell."""
    try:
        rows = list(csv.reader([line, ""], delimiter=delimiter))
    except csv.Error as error:
        return [], f"{str(error).capitalize()}."
    return (rows[0], "") if len(rows) == 2 else ([], OPEN)
