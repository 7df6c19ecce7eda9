"""Reading a CSV file: the delimiter is seen from its first line, rows keep their line numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from digits.errors import DataError
from digits.extensions.data.files.text import read_text

DELIMITERS = ",;\t"


def read_rows(path: str) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells without white space around) of every line that is not empty. Raises DataError."""
    text = read_text(path)
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=None), delimiter=max(DELIMITERS, key=first.count))
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, [cell.strip() for cell in row]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}.", advice="Correct the line.") from error
