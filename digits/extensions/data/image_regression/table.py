"""From a table to numbers for each picture: one or several columns, columns of 0 and 1, or a column of label names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from digits.errors import DataError
from digits.extensions.data.files.columns import Line, PictureTable, read_pictures
from digits.extensions.data.files.names import FileNames
from digits.extensions.data.image_regression.separators import AUTOMATIC, BLANK, NONE, separator_of, words_of
from digits.extensions.data.images.findings import Findings

LABELS = ("labels", "findinglabels", "label", "tags", "tag", "classes", "class", "categories", "category", "attributes", "target")
FORM = "Expected is one picture a line: its name and a number in each column."


@dataclass(frozen=True)
class Table:
    """Numbers of each picture (in the order of the file) and what they are called; made up where the file does not say it."""

    columns: list[str]
    rows: list[tuple[str, list[float]]]
    has_names: bool = True


@dataclass(frozen=True)
class Wanted:
    """What the form says: the column of the picture, those of the values (empty: all others that hold some), whether they are
    labels, and what stands between the labels of a picture."""

    image: str = ""
    values: tuple[str, ...] = ()
    labels: bool = False
    separator: str = AUTOMATIC


def read_table(path: str, names: FileNames, wanted: Wanted, findings: Findings, stage: str, known: Sequence[str] = ()) -> Table:
    """Read a file; lines that cannot be used are noted. `known` are the names of the training file's columns or, where `wanted`
    is labels, of its labels. Raises DataError."""
    table = read_pictures(path, names, wanted.image, FORM)
    reader = _Reader(table, wanted, findings, stage)
    columns = [table.place(name) for name in wanted.values]
    if wanted.labels:
        found = reader.labels(columns or reader.flags(), known)
    else:
        found = reader.numbers(columns or reader.numeric(), known)
    if not found.rows:
        raise DataError(f"No line of {path} could be used.{findings.first_of(('pair', 'annotation'))}", advice=FORM)
    return found


def values_in(table: PictureTable, place: int) -> set[float | None]:
    """The numbers in the cells of a column that are not empty; None among them where one is no number."""
    return {table.number(cells, place) for _, cells in table.lines if table.cell(cells, place)}


def flag_columns(table: PictureTable, places: Sequence[int]) -> list[int]:
    """Those columns that say yes or no: they hold 0 and 1 or, where none holds a 0, -1 and 1."""
    values = {place: values_in(table, place) for place in places}
    flags = [place for place, found in values.items() if found and found <= {0, 1}]
    signed = [place for place, found in values.items() if found and found <= {-1, 1}]
    has_zero = any(0 in values[place] for place in flags)
    return signed if not has_zero and any(-1 in values[place] for place in signed) else flags


def no_of(columns: Iterable[set[float | None]]) -> float:
    """What says no in columns of flags: 0, or -1 where that is all that there is beside 1."""
    return -1.0 if set().union(*columns) in ({-1, 1}, {-1}) else 0.0


class _Reader:
    """Reads one table."""

    def __init__(self, table: PictureTable, wanted: Wanted, findings: Findings, stage: str) -> None:
        self.table, self.wanted, self.findings, self.stage = table, wanted, findings, stage
        self.no = 0.0  # what says that a picture has not a label

    # -- which columns ------------------------------------------------------------------------------------------

    def numeric(self) -> list[int]:
        """The columns of values: those with numbers. Raises DataError."""
        columns = [place for place in self.table.others if self._has_numbers(place)]
        if not columns:
            raise DataError(f"{self.table.path} has no column of numbers beside the picture's name.", advice=FORM)
        for place in (place for place in self.table.others if place not in columns):
            reason = (
                f"The column {self.table.names[place]!r} holds no number; it is no value. Name the columns of values in the form."
            )
            self.findings.add("column", reason, self.table.path, self.stage)
        return columns

    def flags(self) -> list[int]:
        """The columns of labels: all of 0 and 1, else the one with the names. Raises DataError where several may be that."""
        table = self.table
        if found := flag_columns(table, table.others):
            return found
        texts = [place for place in table.others if not self._has_numbers(place)] or table.others
        place = texts[0] if len(texts) == 1 else table.known(LABELS)
        if place is None:
            raise DataError(
                f"{table.path} has no columns of 0 and 1, and {len(texts)} that may hold the labels: "
                f"{', '.join(table.names[one] for one in texts) or 'none'}.",
                advice="Name the column of the labels in the form.",
            )
        return [place]

    def _has_numbers(self, place: int) -> bool:
        return any(self.table.number(cells, place) is not None for _, cells in self.table.lines)

    # -- what they hold -----------------------------------------------------------------------------------------

    def numbers(self, columns: list[int], known: Sequence[str]) -> Table:
        """One number a column, in the order of `known` where these are the same."""
        names = self.table.names
        if sorted(known) == sorted(names[place] for place in columns):
            columns = [self.table.place(name) for name in known]
        rows = []
        for line in self.table.lines:
            values = self._numbers(line[1], columns)
            if isinstance(values, str):
                shown = self.table.table.delimiter.join(line[1])[:100]
                self.findings.add("annotation", f"{shown!r}: {values} Left out.", self.table.path, self.stage, line[0], lost=True)
            elif picture := self._picture(line):
                rows.append((picture, values))
        return Table([names[place] for place in columns], rows, self.table.has_names)

    def labels(self, columns: list[int], known: Sequence[str]) -> Table:
        """A number 0 or 1 for each label: of each column, or for each name that a column has."""
        if len(columns) > 1 or flag_columns(self.table, columns):
            self.no = no_of(values_in(self.table, place) for place in columns)
            if self.no:
                self.findings.add("column", f"{self.no:g} is read as 0, no, and 1 as yes.", self.table.path, self.stage)
            return self.numbers(columns, known)
        column = columns[0]
        cells = [self.table.cell(row, column) for _, row in self.table.lines]
        separator = separator_of(cells) if self.wanted.separator == AUTOMATIC else self.wanted.separator
        self._say(column, separator, cells)
        found = [set(words_of(cell, separator)) for cell in cells]
        labels = list(known) or sorted({word for words in found for word in words})
        rows = []
        for line, words in zip(self.table.lines, found, strict=True):
            if unknown := sorted(words - set(labels)):
                reason = f"The training file has no label {unknown[0]!r}; it does not count."
                self.findings.add("unknown-class", reason, self.table.path, self.stage, line[0])
            if picture := self._picture(line):
                rows.append((picture, [float(label in words) for label in labels]))
        return Table(labels, rows)

    def _say(self, column: int, separator: str, cells: Sequence[str]) -> None:
        """Blanks in names may mean either: how they were read."""
        if self.wanted.separator != AUTOMATIC or not any(" " in cell for cell in cells) or separator not in (NONE, BLANK):
            return
        example = next(cell for cell in cells if " " in cell)
        how = "one label" if separator == NONE else f"the labels {', '.join(words_of(example, separator))}"
        reason = (
            f"{example!r} in the column {self.table.names[column]!r} is read as {how}. Say in the form what separates labels."
        )
        self.findings.add("column", reason, self.table.path, self.stage)

    def _picture(self, line: Line) -> str:
        return self.table.picture(line, self.findings, self.stage)

    def _numbers(self, cells: Sequence[str], columns: Sequence[int]) -> list[float] | str:
        """The values of a line, or why there are none."""
        if len(cells) <= max(columns):
            return f"It has {len(cells)} columns, {max(columns) + 1} are needed."
        values = []
        for place in columns:
            value = self.table.number(cells, place)
            if value is None or not math.isfinite(value):
                return f"{cells[place]!r} is no number."
            if self.wanted.labels and value not in (self.no, 1):
                return f"{cells[place]!r} is neither {self.no:g} nor 1."
            values.append(0.0 if self.wanted.labels and value == self.no else value)
        return values
