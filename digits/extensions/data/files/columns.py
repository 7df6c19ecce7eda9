"""What the columns of a table of pictures hold: whether its first line names them, which one names the pictures, and which file
each line means.

Holds: what the files of the folder are called decides, known words only where that leaves a choice. A column without a name
(such as the index that pandas writes) is no value.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from digits.errors import DataError
from digits.extensions.data.files.names import FileNames, Found
from digits.extensions.data.files.tables import Fault, Marks, Row, Table, number_of, read_table
from digits.extensions.data.images.findings import Findings
from digits.utils.names import is_image_file

INDEX = ("index", "idx", "row", "rowid")
WHOLE = re.compile(r"(\d+)\.0+")  # a number that was a whole one before a program read and wrote it
LOOKED_AT = 50  # lines that show which column names pictures
IMAGE = (
    *("image", "filename", "file", "path", "imagepath", "filepath", "imagename", "imagefile", "imageindex", "imageid"),
    *("img", "imgpath", "picture", "photo", "name", "id"),
)
CLASS = (
    *("class", "label", "classname", "labelname", "category", "categoryname", "classlabel", "target", "labels", "classes"),
    "species",
)


@dataclass(frozen=True)
class PictureTable:
    """The lines below the names of the columns, and the file of each picture that a line names. `names` are empty for columns
    that the file does not name, and made up where it names none (`has_names`). `remarks`: what is to be said of the columns.
    `marks_before`: what points and commas mean in the columns of an earlier table, by name."""

    path: str
    names: list[str]
    image: int
    lines: list[Row]
    table: Table
    pictures: dict[str, Found]
    has_names: bool = True
    remarks: tuple[str, ...] = ()
    marks_before: Mapping[str, Marks] = field(default_factory=dict)

    def picture(self, line: Row, findings: Findings, stage: str) -> str:
        """The picture of a line; empty, with a finding, where there is none."""
        number, cells = line
        name = self.cell(cells, self.image)
        found = self.pictures.get(name, Found(reason="It names no picture."))
        if not found:
            findings.add(
                "pair", f"No picture {name!r}: {found.reason} The line is left out.", self.path, stage, number, lost=True
            )
        return found.path

    def cell(self, cells: Sequence[str], place: int) -> str:
        """What a line has in a column, empty for lines that are too short."""
        return cells[place] if place < len(cells) else ""

    def number(self, cells: Sequence[str], place: int) -> float | None:
        """The number that a line has in a column; None where it has none."""
        return self.table.number(self.cell(cells, place), self.marks[place].thousands if place in self.marks else "")

    @cached_property
    def marks(self) -> dict[int, Marks]:
        """What points and commas mean in the numbers of each of the other columns, where commas separate no cells."""
        if self.table.delimiter == ",":
            return {}
        columns = {place: {self.cell(cells, place) for _, cells in self.lines} for place in self.others}
        commas = {place for place, cells in columns.items() if any(map(self.table.has_comma, cells))}
        return {
            place: self.table.marks(cells, beside_commas=bool(commas - {place}), before=self.marks_before.get(self.names[place]))
            for place, cells in columns.items()
        }

    def place(self, name: str) -> int:
        """The column of a name. Raises DataError."""
        if name not in self.names:
            raise DataError(
                f"{self.path} has no column {name!r}; it has {', '.join(filter(None, self.names))}.",
                advice="Correct the column's name.",
            )
        return self.names.index(name)

    @property
    def others(self) -> list[int]:
        """The columns with a name, but for that of the pictures."""
        return [place for place, name in enumerate(self.names) if place != self.image and name]

    def known(self, words: Sequence[str], findings: Findings | None = None, stage: str = "") -> int | None:
        """The one of the other columns that has one of these names; what is said where there are several goes into findings."""
        places = [place for word in words for place in self.others if plain(self.names[place]) == word]
        place, remark = chosen(places, self.names, [cells for _, cells in self.lines])
        if remark and findings is not None:
            findings.add("column", f"{remark} Name another in the form if that is wrong.", self.path, stage)
        return place

    def is_index(self, place: int) -> bool:
        """Whether a column only numbers the lines: it is called so, and has another whole number in each."""
        if plain(self.names[place]) not in (*IMAGE, *INDEX):
            return False
        numbers = [self.number(cells, place) for _, cells in self.lines]
        return len(set(numbers)) == len(numbers) and all(one is not None and one.is_integer() for one in numbers)

    def report(self, findings: Findings, stage: str) -> None:
        """Note the lines that are none, and what is to be said of the columns."""
        for remark in self.remarks:
            findings.add("column", remark, self.path, stage)
        for fault in self.table.faults:
            findings.add("annotation", f"{fault.reason} Left out.", self.path, stage, fault.line, lost=True)


def read_pictures(path: str, files: FileNames, image: str, form: str) -> PictureTable:
    """The table in a file, of the pictures of a folder; `image` is the name of the column that names them, empty: the one that
    does. `form` says what is expected. Raises DataError."""
    table = read_table(path)
    lines = list(table.rows)
    if not lines:
        raise DataError(f"{path} is empty.", advice=form)
    first = lines[0][1]
    has_names = _are_names(first, [cells for _, cells in lines[1 : 1 + LOOKED_AT]], files)
    if has_names:
        names, lines = ["" if _is_unnamed(cell) else cell for cell in first], _without_longer(lines[1:], len(first), table)
    else:
        width = max(len(cells) for _, cells in lines)
        names = ["image", *(f"value {place}" for place in range(1, width))]
    names, remarks = _unique(names)
    for place in (place for place, name in enumerate(names) if plain(name) in IMAGE):
        _write_whole(lines, place, files)
    found = PictureTable(path, names, 0, lines, table, {})
    column = found.place(image) if image else _naming_pictures(found, files)
    pictures = files.find_all(cell for _, cells in lines if (cell := found.cell(cells, column)))
    return PictureTable(path, names, column, lines, table, pictures, has_names, tuple(remarks))


def _without_longer(lines: list[Row], width: int, table: Table) -> list[Row]:
    """The lines without those that have more cells than there are names, unless most have; they become faults."""
    longer = [(number, cells) for number, cells in lines if any(cells[width:])]
    if 2 * len(longer) > len(lines):
        return lines
    reason = "It has {} columns, the names are {}: is there a comma in a text that is not in quotes?"
    table.faults.extend(Fault(number, cells, reason.format(len(cells), width)) for number, cells in longer)
    taken = {number for number, _ in longer}
    return [row for row in lines if row[0] not in taken]


def _unique(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names with a number behind those that stand there before, and what is to be said of them."""
    found: list[str] = []
    remarks = []
    for name in names:
        count = sum(other == name for other in names[: len(found)]) if name else 0
        if count:
            remarks.append(f"Two columns are called {name!r}: the second is `{name} ({count + 1})` here.")
        found.append(f"{name} ({count + 1})" if count else name)
    return found, remarks


def _write_whole(lines: Sequence[Row], place: int, files: FileNames) -> None:
    """Write the names of pictures that became numbers with a point (`12.0`) as they were, where no file has them so."""
    cells = [row[place] for _, row in lines if place < len(row) and row[place]]
    if cells and all(map(WHOLE.fullmatch, cells)) and not any(map(files.find, cells[:LOOKED_AT])):
        for _, row in lines:
            if place < len(row):
                row[place] = row[place].partition(".")[0]


def plain(name: str) -> str:
    """A column's name without capitals, blanks and marks, to compare it: `Image_Index` → `imageindex`."""
    return "".join(character for character in name.casefold() if character.isalnum())


def chosen(places: Sequence[int], names: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[int | None, str]:
    """Of columns that may hold the same thing, the best known first, the one that is taken, and what is to be said of that.

    One with words comes before one with numbers, one whose lines differ before one that says the same in all. Nothing is said of
    columns that only number or rename what it holds.
    """
    if len(places) < 2:
        return next(iter(places), None), ""
    cells = {place: [row[place] if place < len(row) else "" for row in rows] for place in places}
    words = [place for place in places if any(cell and number_of(cell) is None for cell in cells[place])]
    varied = [place for place in words or places if len(set(cells[place])) > 1]
    place = next(iter(varied or words or places))
    others = [other for other in places if other != place and not _are_the_same(cells[place], cells[other])]
    said = ", ".join(map(repr, (names[other] for other in others)))
    return place, f"{names[place]!r} is taken, though {said} may hold it too." if others else ""


def _are_the_same(cells: Sequence[str], others: Sequence[str]) -> bool:
    """Whether two columns tell the same lines apart."""
    pairs = set(zip(cells, others, strict=True))
    return len({first for first, _ in pairs}) == len(pairs) == len({second for _, second in pairs})


def report_capitals(labels: Iterable[str], path: str, findings: Findings, stage: str) -> None:
    """Note labels that differ in capitals only, which are several."""
    folded: dict[str, list[str]] = defaultdict(list)
    for label in sorted(labels):
        folded[label.casefold()].append(label)
    for same in (same for same in folded.values() if len(same) > 1):
        reason = f"{' and '.join(map(repr, same))} differ in capitals only: {len(same)} classes. Write them alike to join them."
        findings.add("class-names", reason, path, stage)


def begins_with_names(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row of a table names the columns, as far as that is seen without the pictures: it holds a known word and
    no file's name, or, unlike the others, neither numbers nor the names of files."""
    if not rows or any(map(is_image_file, rows[0])):
        return False
    return _hold_a_word(rows[0]) or (not _hold_values(rows[0]) and any(map(_hold_values, rows[1:])))


def _are_names(cells: Sequence[str], others: Sequence[Sequence[str]], files: FileNames) -> bool:
    """Whether a first line names the columns: it names no picture, and holds a known word or neither numbers nor files.

    A picture may be called like a column (`image.png`): the word counts where all cells are known words, or where the other lines
    have numbers and this one has none.
    """
    if any(cell and files.find(cell) for cell in cells):
        words = [_is_word(cell) or (not place and _is_unnamed(cell)) for place, cell in enumerate(cells)]
        return (
            len(cells) > 1 and _hold_a_word(cells) and (all(words) or (not _hold_values(cells) and _have_numbers(others, words)))
        )
    return _hold_a_word(cells) or not _hold_values(cells)


def _have_numbers(rows: Sequence[Sequence[str]], words: Sequence[bool]) -> bool:
    """Whether all cells of some lines are numbers, but for the columns of words and cells that are empty."""
    cells = [cell for row in rows for cell, is_word in zip(row, words, strict=False) if not is_word and cell]
    return bool(cells) and all(number_of(cell) is not None for cell in cells)


def _hold_a_word(cells: Sequence[str]) -> bool:
    return any(map(_is_word, cells))


def _is_word(cell: str) -> bool:
    return plain(cell) in (*IMAGE, *CLASS)


def _hold_values(cells: Sequence[str]) -> bool:
    return any(number_of(cell) is not None or is_image_file(cell) for cell in cells)


def _is_unnamed(cell: str) -> bool:
    return not cell or cell.startswith("Unnamed:")


def _naming_pictures(table: PictureTable, files: FileNames) -> int:
    """The column in which most lines name a picture; of several the one with a better known name, then the first. One with a
    known name needs no more than half of the lines: numbers may be names of files by chance, and pictures may be missing."""
    named = [plain(name) for name in table.names]
    rank = [IMAGE.index(name) if name in IMAGE else len(IMAGE) for name in named]
    looked_at = table.lines[:LOOKED_AT]
    hits = [sum(bool(files.find(table.cell(cells, place))) for _, cells in looked_at) for place in range(len(named))]
    is_known = [rank[place] < len(IMAGE) and 2 * hits[place] >= len(looked_at) for place in range(len(named))]
    return min(range(len(named)), key=lambda place: (not is_known[place], -hits[place], rank[place], place))
