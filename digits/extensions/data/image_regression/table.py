"""From a table to numbers for each picture: one or several columns, columns of 0 and 1, or a column of label names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from digits.errors import DataError
from digits.extensions.data.files.columns import PictureTable, read_pictures, report_capitals
from digits.extensions.data.files.names import FileNames
from digits.extensions.data.files.tables import Marks, Row
from digits.extensions.data.image_regression.separators import (
    AUTOMATIC,
    BLANK,
    NONE,
    says_nothing,
    separator_beside,
    separator_of,
    words_of,
    words_of_lists,
)
from digits.extensions.data.images.findings import Findings
from digits.utils.values import counted

LABELS = ("labels", "findinglabels", "label", "tags", "tag", "classes", "class", "categories", "category", "attributes", "target")
FORM = "Expected is one picture a line: its name and a number in each column."


@dataclass(frozen=True)
class Table:
    """Numbers of each picture (in the order of the file) and what they are called; made up where the file does not say it.
    `separator`: what stands between the names of labels, where a column has them; `marks`: what points and commas mean in the
    columns of the file."""

    columns: list[str]
    rows: list[tuple[str, list[float]]]
    has_names: bool = True
    separator: str = AUTOMATIC
    marks: Mapping[str, Marks] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """What the form says: the column of the picture, those of the values (empty: all others that hold some), whether they are
    labels, and what stands between the labels of a picture."""

    image: str = ""
    values: tuple[str, ...] = ()
    labels: bool = False
    separator: str = AUTOMATIC


def read_table(
    path: str, names: FileNames, wanted: Wanted, findings: Findings, stage: str, training: Table | None = None
) -> Table:
    """Read a file; lines that cannot be used are noted. Of validation and test `training` says the columns (or labels) and what
    separates labels. Raises DataError."""
    table = replace(read_pictures(path, names, wanted.image, FORM), marks_before=training.marks if training else {})
    table.report(findings, stage)
    reader = _Reader(table, wanted, findings, stage)
    columns = [table.place(name) for name in wanted.values]
    if wanted.labels:
        found = reader.labels(columns or reader.flags(), training)
    else:
        found = reader.numbers(columns or reader.numeric(), training)
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
        """The columns of values: those with numbers that do not only number the lines. Raises DataError."""
        columns = [place for place in self.table.others if self._has_numbers(place)]
        columns = [place for place in columns if not self.table.is_index(place)] or columns
        if not columns:
            raise DataError(f"{self.table.path} has no column of numbers beside the picture's name.", advice=FORM)
        self._say_left_out(columns, "holds no number, or numbers the lines; it is no value")
        return columns

    def flags(self) -> list[int]:
        """The columns of labels: all of 0 and 1, else the one with the names. Raises DataError where several may be that."""
        table = self.table
        if found := flag_columns(table, table.others):
            self._say_left_out(found, "holds more than the others, which say yes and no; it is no label")
            return found
        texts = [place for place in table.others if not self._has_numbers(place)] or table.others
        place = texts[0] if len(texts) == 1 else table.known(LABELS, self.findings, self.stage)
        if place is None:
            raise DataError(
                f"{table.path} has no columns of 0 and 1, and {len(texts)} that may hold the labels: "
                f"{', '.join(table.names[one] for one in texts) or 'none'}.",
                advice="Name the column of the labels in the form.",
            )
        return [place]

    def _say_left_out(self, columns: list[int], what: str) -> None:
        for place in (place for place in self.table.others if place not in columns):
            reason = f"The column {self.table.names[place]!r} {what}. Name the columns of values in the form."
            self.findings.add("column", reason, self.table.path, self.stage)

    def _has_numbers(self, place: int) -> bool:
        return any(self.table.number(cells, place) is not None for _, cells in self.table.lines)

    # -- what they hold -----------------------------------------------------------------------------------------

    def numbers(self, columns: list[int], training: Table | None) -> Table:
        """One number a column, in the order of the training file's where these are the same."""
        names, known = self.table.names, training.columns if training else []
        if sorted(known) == sorted(names[place] for place in columns):
            columns = [self.table.place(name) for name in known]
        self._say_marks(columns)
        rows: dict[str, tuple[int, list[float]]] = {}
        for line in self.table.lines:
            values = self._numbers(line[1], columns)
            shown = self.table.table.delimiter.join(line[1])[:100]
            if isinstance(values, str):
                self._leave_out(f"{shown!r}: {values}", line)
            elif picture := self._picture(line):
                first, before = rows.setdefault(picture, (line[0], values))
                if before != values:
                    self._leave_out(f"{shown!r}: Line {first} says something else of {picture}.", line)
        return Table(
            [names[place] for place in columns],
            [(path, row[1]) for path, row in rows.items()],
            self.table.has_names,
            marks={names[place]: marks for place, marks in self.table.marks.items()},
        )

    def _say_marks(self, columns: Sequence[int]) -> None:
        """Say how numbers were read that could mean a thousand times as much."""
        for place in columns:
            cells = (self.table.cell(cells, place) for _, cells in self.table.lines)
            if place in self.table.marks and (remark := self.table.marks[place].remark(self.table.table, cells)):
                reason = f"In the column {self.table.names[place]!r} {remark}"
                self.findings.add("column", reason, self.table.path, self.stage)

    def _leave_out(self, reason: str, line: Row) -> None:
        self.findings.add("annotation", f"{reason} Left out.", self.table.path, self.stage, line[0], lost=True)

    def labels(self, columns: list[int], training: Table | None) -> Table:
        """A number 0 or 1 for each label: of each column, or for each name that a column has."""
        if len(columns) > 1 or flag_columns(self.table, columns):
            self.no = no_of(values_in(self.table, place) for place in columns)
            if self.no:
                self.findings.add("column", f"{self.no:g} is read as 0, no, and 1 as yes.", self.table.path, self.stage)
            return self.numbers(columns, training)
        separator, found = self._words(columns[0], training)
        lines = [(line, words) for line, words in zip(self.table.lines, found, strict=True) if self._is_known(line, words)]
        labels = training.columns if training else sorted({word for _, words in lines for word in words})
        report_capitals(labels, self.table.path, self.findings, self.stage)
        rows: dict[str, set[str]] = {}
        joined = set()
        for line, words in lines:
            if unknown := sorted(words - set(labels)):
                reason = f"The training file has no label {unknown[0]!r}; it does not count."
                self.findings.add("unknown-class", reason, self.table.path, self.stage, line[0])
            if picture := self._picture(line):
                joined |= {picture} if not words <= rows.get(picture, words) else set()
                rows[picture] = rows.get(picture, set()) | words
        if joined:
            reason = f"Labels of {counted(len(joined), 'picture')} stand in several lines, as those of {min(joined)}: joined."
            self.findings.add("note", reason, self.table.path, self.stage)
        numbers = [(path, [float(label in words) for label in labels]) for path, words in rows.items()]
        return Table(labels, numbers, separator=separator)

    def _is_known(self, line: Row, words: set[str]) -> bool:
        """Whether the labels of a line are known; where they are not, it is left out and said."""
        if not says_nothing(words):
            return True
        shown = self.table.table.delimiter.join(line[1])[:100]
        self._leave_out(f"{shown!r}: it says that a label is not known; a picture without labels has an empty cell.", line)
        return False

    def _words(self, column: int, training: Table | None) -> tuple[str, list[set[str]]]:
        """What separates the labels in a column of names (AUTOMATIC: they are lists), and those of each line."""
        cells = [self.table.cell(row, column) for _, row in self.table.lines]
        if self.wanted.separator == AUTOMATIC and (lists := words_of_lists(cells)):
            return AUTOMATIC, [set(words) for words in lists]
        separator = self.wanted.separator
        if separator == AUTOMATIC:
            separator = separator_beside(cells, training.separator, training.columns) if training else separator_of(cells)
        self._say(column, separator, cells)
        return separator, [set(words_of(cell, separator)) for cell in cells]

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

    def _picture(self, line: Row) -> str:
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
