"""Reading a CSV file: its first line shows the delimiter, rows keep their line numbers, numbers may have a decimal comma.

A file that begins with the number of its lines has blanks between its cells, as those of CelebA: in its second line the columns'
names, of which that of the pictures may lack.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

from digits.errors import DataError
from digits.extensions.data.files.text import lines_naming_files, read_text, split_lines
from digits.utils.names import DELIMITERS, is_table
from digits.utils.values import is_digits

COUNTED = 1 << 14  # characters with the first lines of a table that begins with their number
TABLE_LINES = 100  # that tell a table from a list of paths
QUOTED = re.compile(r'"[^"]*"')
WITH_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d*),\d+([eE][+-]?\d+)?")  # 1,5 or 1.234,5


@dataclass(frozen=True)
class Table:
    """The lines of a file that are not empty, as (line number, cells without white space around), and what separates cells."""

    rows: Iterator[tuple[int, list[str]]]
    delimiter: str

    def number(self, cell: str) -> float | None:
        """The number in a cell; with a decimal comma too, where commas separate no cells. None where it is none."""
        if self.delimiter != "," and WITH_COMMA.fullmatch(cell):
            cell = cell.replace(".", "").replace(",", ".")
        return number_of(cell)


def number_of(text: str | None) -> float | None:
    """The number that a text writes, also one that is not finite; None for anything else."""
    try:
        return None if text is None or "_" in text else float(text)
    except ValueError:
        return None


def read_table(path: str, most: int = 0) -> Table:
    """The table in a file, or in its first `most` bytes. Raises DataError, also while its rows are read."""
    text = read_text(path, most)
    if is_counted(text):
        return Table(_counted_rows(text), " ")
    first = QUOTED.sub("", text.lstrip("\r\n").partition("\n")[0])
    delimiter = max(DELIMITERS, key=first.count)
    return Table(_rows(path, text, delimiter), delimiter)


def is_counted(text: str) -> bool:
    """Whether a text, or its beginning, is a table that begins with the number of its lines."""
    first, names, row = (line.split() for line in [*split_lines(text[:COUNTED])[:3], "", "", ""][:3])
    is_blank = not any(mark in word for word in names for mark in DELIMITERS)
    return len(first) == 1 and is_digits(first[0]) and len(names) > 1 and is_blank and 0 <= len(row) - len(names) <= 1


def is_table_file(path: str | os.PathLike[str]) -> bool:
    """Whether a list of pictures is a table, such as `id,label` a line. Raises DataError."""
    with closing(lines_naming_files(path)) as lines:
        first = list(islice(lines, TABLE_LINES))
    return is_table(first) or is_counted("\n".join(first[:3]))


def read_rows(path: str, most: int = 0) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells without white space around) of every line that is not empty. Raises DataError."""
    return read_table(path, most).rows


def _counted_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    lines = ((number, line.split()) for number, line in enumerate(split_lines(text), start=1) if number > 1)
    rows = [(number, cells) for number, cells in lines if cells]
    (number, names), (_, first) = rows[:2]
    yield number, [*["image"][: len(first) - len(names)], *names]
    yield from rows[1:]


def _rows(path: str, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=delimiter)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, [cell.strip() for cell in row]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}.", advice="Correct the line.") from error
