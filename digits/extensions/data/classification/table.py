"""Classes by their names out of a table, as contests give them: `id,label`, with or without endings, or a column of 0 and 1 for
each class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from digits.errors import DataError
from digits.extensions.data.files.class_names import check_number
from digits.extensions.data.files.columns import CLASS, PictureTable, read_pictures, report_capitals
from digits.extensions.data.files.names import FileNames
from digits.extensions.data.files.tables import number_of
from digits.extensions.data.images.findings import Findings
from digits.utils.values import is_digits

NO_CLASS = "nan"  # as pandas writes it
FORM = "Expected is one picture a line: its name and its class, e.g. `1.jpg,cat`; a first line may name the columns."


@dataclass(frozen=True)
class Row:
    """One line: the picture's path and the name of its class."""

    line: int
    picture: str
    label: str


@dataclass(frozen=True)
class ClassTable:
    """The usable lines of a table. `labels` are the classes that it names, numbers by their value, then the alphabet."""

    path: str
    rows: list[Row]

    @property
    def labels(self) -> list[str]:
        return sorted({row.label for row in self.rows}, key=_by_value)

    def numbered(self, labels: Sequence[str], findings: Findings, stage: str, *, of_file: bool) -> Iterator[tuple[str, int]]:
        """Picture and class number of each line. Names are looked for among the labels as they are; where all are numbers, and no
        label is one, they count the labels from 0, which is said where these are not `of_file`, a labels file. Lines with another
        class are noted. Raises DataError for a number beyond the labels."""
        place = {label: number for number, label in reversed(list(enumerate(labels)))}  # the first of equal names
        if all(is_digits(row.label) for row in self.rows) and not any(map(is_digits, labels)):
            for row in self.rows:
                check_number(int(row.label), len(labels), f"Line {row.line} of {self.path}")
            place = {row.label: int(row.label) for row in self.rows}
            if not of_file:
                reason = f"Its numbers are taken to count the classes of the training table in their order: 0 is {labels[0]!r}."
                findings.add("class-names", f"{reason} Give a labels file if that is wrong.", self.path, stage)
        for row in self.rows:
            if row.label in place:
                yield row.picture, place[row.label]
            else:
                reason = f"The class {row.label!r} is not among the {len(labels)} labels; the line is left out."
                findings.add("annotation", reason, self.path, stage, row.line, lost=True)


def _by_value(label: str) -> tuple[bool, int, str]:
    """Numbers by their value, then names by the alphabet."""
    number = is_digits(label)
    return not number, int(label) if number else 0, label


def read_classes(path: str, files: FileNames, image: str, column: str, findings: Findings, stage: str) -> ClassTable:
    """The lines of a table that name a picture and a class; `image` and `column` name the columns of both where that is not to be
    seen. Raises DataError."""
    table = read_pictures(path, files, image, FORM)
    table.report(findings, stage)
    places = [table.place(column)] if column else _class_columns(table, findings, stage)
    rows, seen = [], dict[str, Row]()
    as_whole = len(places) == 1 and _are_whole(table, places[0])
    for line in table.lines:
        number, cells = line
        label = _label(table, cells, places)
        label = str(int(float(label))) if label and as_whole else label
        if not label:
            findings.add("annotation", "It names no class, or several; left out.", path, stage, number, lost=True)
            continue
        if not (picture := table.picture(line, findings, stage)):
            continue
        row = Row(number, picture, label)
        if (other := seen.setdefault(picture, row)) is not row and other.label != label:
            reason = f"It says {label!r} of {picture}, line {other.line} says {other.label!r}; this line is left out."
            findings.add("annotation", reason, path, stage, number, lost=True)
            continue
        if other is row:
            rows.append(row)
    report_capitals({row.label for row in rows}, path, findings, stage)
    if not rows:
        raise DataError(f"No line of {path} could be used.{findings.first_of(('pair', 'annotation'))}", advice=FORM)
    return ClassTable(path, rows)


def _class_columns(table: PictureTable, findings: Findings, stage: str) -> list[int]:
    """The column that holds the class, or those that are 1 for it. Raises DataError where several may."""
    known = table.known(CLASS, findings, stage)
    if known is not None:
        return [known]
    others = table.others
    if one_of_many(table, others):
        return others
    if len(others) != 1:
        found = ", ".join(table.names[place] for place in others) or "none"
        raise DataError(
            f"Which column of {table.path} holds the class is not clear: {found}.",
            advice="Name it in the form, or call it `label`.",
        )
    return others


def _are_whole(table: PictureTable, place: int) -> bool:
    """Whether all classes are whole numbers, of which some have a point (`1.0`), as programs without whole ones write them."""
    cells = {cell for _, row in table.lines if (cell := table.cell(row, place)) and cell.lower() != NO_CLASS}
    values = [number_of(cell) for cell in cells]
    return any("." in cell for cell in cells) and all(value is not None and value.is_integer() for value in values)


def one_of_many(table: PictureTable, places: Sequence[int]) -> bool:
    """Whether there are several of these columns and each line has one 1 in them and else 0."""
    return (
        len(places) > 1
        and bool(table.lines)
        and all(
            sorted({table.number(cells, place) for place in places}, key=str) == [0, 1]
            and sum(table.number(cells, place) == 1 for place in places) == 1
            for _, cells in table.lines
        )
    )


def _label(table: PictureTable, cells: Sequence[str], places: Sequence[int]) -> str:
    if len(places) == 1:
        label = table.cell(cells, places[0])
        return "" if label.lower() == NO_CLASS else label
    return next((table.names[place] for place in places if table.number(cells, place) == 1), "")
